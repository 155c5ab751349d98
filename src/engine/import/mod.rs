//! Owns importing keys from elsewhere: reading, checking, storing in batches, and resuming.

mod row;
mod source;
mod strength;

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    path::Path,
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::BASE64URL_NOPAD;

use self::{row::RowValidator, source::Source};
pub use self::{
    row::{BITS_MIN, Defaults},
    source::Format,
};
use super::batch::BatchSize;
use crate::{
    model::{
        audit::Origin,
        clock::Timestamp,
        error::Error,
        secret::{self, Digest},
    },
    store::{ImportBatch, ImportOutcome, ImportProgress, ImportedKey, Store},
};

/// Rows per transaction: as many as fit in about [`BATCH_TIME`], so that other writers do not wait longer for their
/// turn. With a distant database, few rows fit within the transaction timeout.
const BATCH_ROWS: RangeInclusive<usize> = 20..=16_000;
const FIRST_ROWS: usize = 500;
const BATCH_TIME: Duration = Duration::from_millis(250);
/// Maximum keys of a file that a dry run checks for duplicates, in about 200 MB: it stores none to compare with.
const DRY_KEYS_MAX: usize = 4_000_000;

/// The options of an import.
#[derive(Clone, Debug)]
pub struct Options {
    /// The format of the file.
    pub format: Format,
    /// Whether to change nothing.
    pub dry_run: bool,
    /// Whether to accept keys that look easy to guess.
    pub force_weak: bool,
    /// The plan of owners that are created if missing; `None` creates none.
    pub owners_plan: Option<String>,
    /// Values for columns that a row leaves empty.
    pub defaults: Defaults,
    /// The environments of this server.
    pub environments: Vec<String>,
}

/// Observes the progress of an import.
pub trait Watch {
    /// The import begins, or resumes after `done`, in a file of this many bytes.
    ///
    /// # Errors
    /// An error ends the import.
    fn begin(&mut self, bytes: u64, done: ImportProgress) -> Result<(), Error>;
    /// A row was not imported as a new key, and why. The reason never repeats the row.
    ///
    /// # Errors
    /// An error ends the import.
    fn left_out(&mut self, line: u64, reason: &str) -> Result<(), Error>;
    /// A batch was stored.
    ///
    /// # Errors
    /// An error ends the import.
    fn kept(&mut self, done: ImportProgress) -> Result<(), Error>;
}

/// Imports a file. Run again after an interruption, it resumes after the last stored batch; run again after completion,
/// it finds every key present.
///
/// # Errors
/// `invalid_request` if the file is not a file of keys: then nothing was changed. `temporarily_unavailable`.
pub async fn run(
    store: &Store,
    now: Timestamp,
    origin: Origin,
    file: &Path,
    options: &Options,
    watch: &mut impl Watch,
) -> Result<ImportProgress, Error> {
    let mut source = Source::open(file, options.format)?;
    let catalog = store.catalog().await?;
    if options.owners_plan.as_ref().is_some_and(|plan| catalog.plans.find(plan).is_none()) {
        return Err(Error::invalid_request("there is no such plan"));
    }
    let id = identify(&source.digest, options);
    let begun = if options.dry_run { None } else { store.import_progress(&id).await? };
    let progress = begun.unwrap_or_default();
    if begun.is_some() {
        source.go_to(progress.offset, progress.line)?;
    }
    watch.begin(source.bytes, progress)?;
    if !options.dry_run {
        store.begin_import(now).await?;
    }
    let mut validator = RowValidator {
        now,
        catalog: &catalog,
        environments: &options.environments,
        defaults: &options.defaults,
        force_weak: options.force_weak,
        ids: secret::random_base62(6),
        judged: 0,
        scopes: HashMap::new(),
    };
    let (rows, seen) = (BatchSize::new(FIRST_ROWS, BATCH_ROWS), HashSet::new());
    let mut import = Import { store, now, origin, id, options, watch, progress, rows, told: 0, seen };
    while import.batch(&mut source, &mut validator).await? {}
    if !options.dry_run {
        store.finish_import(now, import.origin, import.id, import.progress).await?;
    }
    Ok(import.progress)
}

/// An import in progress.
struct Import<'a, W> {
    store: &'a Store,
    now: Timestamp,
    origin: Origin,
    id: String,
    options: &'a Options,
    watch: &'a mut W,
    progress: ImportProgress,
    /// The size of the next batch.
    rows: BatchSize,
    /// The last line that was reported as invalid.
    told: u64,
    /// Keys of this file that a dry run has seen.
    seen: HashSet<Digest>,
}

impl<W: Watch> Import<'_, W> {
    /// Reads and stores one batch; false after the last row.
    async fn batch(&mut self, source: &mut Source, validator: &mut RowValidator<'_>) -> Result<bool, Error> {
        let began = Instant::now();
        let before = ImportProgress { offset: source.offset, line: source.line, ..self.progress };
        let (mut lines, mut keys) = (Vec::with_capacity(self.rows.rows()), Vec::with_capacity(self.rows.rows()));
        let mut read = 0;
        while read < self.rows.rows()
            && let Some(line) = source.next()?
        {
            read += 1;
            match line.record.map_err(Into::into).and_then(|record| validator.validate(&record)) {
                Ok(key) => {
                    lines.push(line.number);
                    keys.push(key);
                }
                Err(reason) => {
                    self.progress.refused += 1;
                    // A row that is read again was reported before.
                    if line.number > self.told {
                        self.told = line.number;
                        self.watch.left_out(line.number, &reason)?;
                    }
                }
            }
        }
        if read == 0 {
            return Ok(false);
        }
        (self.progress.offset, self.progress.line) = (source.offset, source.line);
        if let Err(error) = self.keep(&lines, keys).await {
            return self.fewer(source, before, error).await;
        }
        if began.elapsed() < BATCH_TIME {
            self.rows.grow();
        } else {
            self.rows.shrink();
        }
        Ok(true)
    }

    /// Continues with fewer rows if a batch may have been too large for the transaction timeout. Resumes from the
    /// stored progress, because a batch that timed out may have been committed.
    async fn fewer(&mut self, source: &mut Source, before: ImportProgress, error: Error) -> Result<bool, Error> {
        if !self.rows.failed(&error) {
            return Err(error);
        }
        let kept = if self.options.dry_run { None } else { self.store.import_progress(&self.id).await? };
        self.progress = kept.unwrap_or(before);
        source.go_to(self.progress.offset, self.progress.line)?;
        Ok(true)
    }

    async fn keep(&mut self, lines: &[u64], keys: Vec<ImportedKey>) -> Result<(), Error> {
        let digests: Vec<Digest> = keys.iter().map(|key| key.digest).collect();
        let batch = ImportBatch {
            id: self.id.clone(),
            keys,
            progress: self.progress,
            owners_plan: self.options.owners_plan.clone(),
            dry_run: self.options.dry_run,
        };
        let (fates, progress) = self.store.import_keys(self.now, self.origin.clone(), batch).await?;
        self.progress = progress;
        for ((line, digest), fate) in lines.iter().zip(digests).zip(fates) {
            let fate = if self.options.dry_run { self.dry(digest, fate) } else { fate };
            match fate {
                ImportOutcome::Imported => {}
                ImportOutcome::Present => self.watch.left_out(*line, "the key already exists")?,
                ImportOutcome::Refused(reason) => self.watch.left_out(*line, &reason)?,
            }
        }
        self.watch.kept(self.progress)
    }

    /// The outcome for a key, had those before it been stored.
    fn dry(&mut self, digest: Digest, fate: ImportOutcome) -> ImportOutcome {
        let is_new = self.seen.len() >= DRY_KEYS_MAX || self.seen.insert(digest);
        if fate != ImportOutcome::Imported || is_new {
            return fate;
        }
        self.progress.imported -= 1;
        self.progress.present += 1;
        ImportOutcome::Present
    }
}

/// Identifies a file together with the options that affect its rows, so that only the same import is resumed.
fn identify(file: &[u8], options: &Options) -> String {
    let Options { format, force_weak, owners_plan, defaults, environments, .. } = options;
    let mut context = Context::new(&SHA256);
    context.update(file);
    context.update(format!("{format:?} {force_weak} {owners_plan:?} {defaults:?} {environments:?}").as_bytes());
    BASE64URL_NOPAD.encode(&context.finish().as_ref()[..15])
}

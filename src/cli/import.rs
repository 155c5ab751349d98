//! Owns `grantd key import`: options, progress bar and report. Rows are checked in `engine::import`.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{IsTerminal, Write, stderr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Global, context, output};
use crate::{
    config::Config,
    engine::import::{self, Defaults, Format, Options, Watch},
    model::error::Error,
    store::ImportProgress,
};

/// Maximum number of refused rows printed one by one without a report file.
const SHOWN_MAX: usize = 20;
/// Maximum number of different reasons counted.
const REASONS_MAX: usize = 100;

/// Import existing keys, or their SHA-256 digests
///
/// The columns of a CSV file (with a header), or the members of each JSON line, are: key or sha256 (hexadecimal or
/// base64url), owner (the user's email address), and optionally name, scopes, project, environment, expires_at (RFC 3339
/// or seconds), plan and networks. If interrupted, the same command resumes; if run again, it changes nothing.
///
/// Keys with an estimated entropy under 64 bits are refused. The estimate is the number of characters times the bits of
/// their alphabet, less repetitions, alphabet and keyboard runs, and common words. Digests cannot be checked.
///
/// Exits with 0 if every row is in the database, and with 1 if any was refused; the other rows are imported.
#[derive(Debug, Args)]
pub struct Import {
    /// The file: uncompressed, UTF-8
    file: PathBuf,
    /// File format [default: from the extension .csv, .jsonl or .ndjson]
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// Check every row against the database and report what would happen; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the line and reason of every skipped or refused row to this CSV file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Also import keys that are easy to guess
    #[arg(long)]
    force_weak: bool,
    /// Create missing owners; they cannot sign in until `grantd user password` sets a password
    #[arg(long)]
    create_owners: bool,
    /// The plan of created owners
    #[arg(long, value_name = "PLAN", default_value = "free")]
    owners_plan: String,
    /// The owner of rows without one
    #[arg(long, value_name = "EMAIL")]
    default_owner: Option<String>,
    /// The scope of rows without one; may be repeated; "all" means every scope
    #[arg(long = "default-scope", value_name = "SCOPE")]
    default_scopes: Vec<String>,
    /// The project of rows without one, by id or name
    #[arg(long, value_name = "PROJECT")]
    default_project: Option<String>,
    /// The environment of rows without one [default: the first configured]
    #[arg(long, value_name = "NAME")]
    default_environment: Option<String>,
    /// The plan of rows without one [default: the project's or owner's]
    #[arg(long, value_name = "PLAN")]
    default_plan: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    /// Comma-separated values
    Csv,
    /// One JSON object per line
    Jsonl,
}

impl Import {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = context::store(global).await?;
        let options = self.options(&opened.config)?;
        let mut watch = Reporter { report: self.report, is_quiet: global.json, ..Reporter::default() };
        let done = import::run(&opened.store, opened.now, context::origin(), &self.file, &options, &mut watch).await?;
        watch.bar.finish_and_clear();
        watch.show_left_out(global)?;
        let (refused, imported) = (done.refused, if self.dry_run { "would_import" } else { "imported" });
        let reasons: Value = watch.reasons.into_iter().map(|(reason, count)| (reason, json!(count))).collect();
        output::one(
            global,
            &[
                ("rows", json!(done.imported + done.present + done.refused)),
                (imported, json!(done.imported)),
                ("already_there", json!(done.present)),
                ("refused", json!(done.refused)),
                ("owners_made", if self.create_owners && !self.dry_run { json!(done.owners) } else { Value::Null }),
                ("continued_after_line", if watch.continued > 0 { json!(watch.continued) } else { Value::Null }),
                ("dry_run", if self.dry_run { json!(true) } else { Value::Null }),
                ("left_out", if global.json { reasons } else { Value::Null }),
                ("lines", if global.json { json!(watch.shown) } else { Value::Null }),
            ],
        )?;
        if refused > 0 {
            let would = if self.dry_run { "would be" } else { "were" };
            return Err(Error::invalid_request(format!(
                "{refused} rows {would} refused; correct them and run the import again"
            )));
        }
        Ok(())
    }

    fn options(&self, config: &Config) -> Result<Options, Error> {
        let format = match (self.format, self.file.extension().and_then(|end| end.to_str())) {
            (Some(FormatName::Csv), _) | (None, Some("csv")) => Format::Csv,
            (Some(FormatName::Jsonl), _) | (None, Some("jsonl" | "ndjson")) => Format::JsonLines,
            _ => return Err(Error::invalid_request("unknown file extension; add --format csv or --format jsonl")),
        };
        Ok(Options {
            format,
            dry_run: self.dry_run,
            force_weak: self.force_weak,
            owners_plan: self.create_owners.then(|| self.owners_plan.clone()),
            defaults: Defaults {
                owner: self.default_owner.clone(),
                scopes: Some(self.default_scopes.join(" ")).filter(|scopes| !scopes.is_empty()),
                project: self.default_project.clone(),
                environment: self
                    .default_environment
                    .clone()
                    .unwrap_or_else(|| config.default_environment().to_owned()),
                plan: self.default_plan.clone(),
            },
            environments: config.environments.clone(),
        })
    }
}

/// Progress and results for the person at the terminal.
struct Reporter {
    report: Option<PathBuf>,
    file: Option<File>,
    bar: ProgressBar,
    is_quiet: bool,
    continued: u64,
    reasons: BTreeMap<String, u64>,
    shown: Vec<Value>,
}

impl Default for Reporter {
    fn default() -> Self {
        Self {
            report: None,
            file: None,
            bar: ProgressBar::hidden(),
            is_quiet: false,
            continued: 0,
            reasons: BTreeMap::new(),
            shown: Vec::new(),
        }
    }
}

impl Watch for Reporter {
    fn begin(&mut self, bytes: u64, done: ImportProgress) -> Result<(), Error> {
        self.continued = done.line;
        if let Some(path) = &self.report {
            self.file = Some(open_report(path, done.line > 0)?);
        }
        if stderr().is_terminal() && !self.is_quiet {
            let style = "{wide_bar} {percent}% of {total_bytes}, {bytes_per_sec}, {eta} left {msg}";
            let style = ProgressStyle::with_template(style).map_err(Error::server)?;
            self.bar = ProgressBar::new(bytes).with_style(style);
            // What an earlier run did must not count towards this run's speed.
            self.bar.set_position(done.offset);
            self.bar.reset_eta();
        }
        if done.line > 0 && !self.is_quiet {
            writeln!(stderr(), "resuming after line {}", done.line).map_err(Error::server)?;
        }
        Ok(())
    }

    fn left_out(&mut self, line: u64, reason: &str) -> Result<(), Error> {
        if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(reason) {
            *self.reasons.entry(reason.to_owned()).or_default() += 1;
        }
        match &mut self.file {
            Some(file) => writeln!(file, "{line},\"{}\"", reason.replace('"', "\"\"")).map_err(Error::server)?,
            None if self.shown.len() < SHOWN_MAX => self.shown.push(json!({ "line": line, "reason": reason })),
            None => {}
        }
        Ok(())
    }

    fn kept(&mut self, done: ImportProgress) -> Result<(), Error> {
        self.bar.set_position(done.offset);
        self.bar.set_message(format!("({} imported, {} refused)", done.imported, done.refused));
        Ok(())
    }
}

impl Reporter {
    fn show_left_out(&self, global: &Global) -> Result<(), Error> {
        if global.json {
            return Ok(());
        }
        let mut out = stderr();
        for (reason, count) in &self.reasons {
            writeln!(out, "{count} skipped: {reason}").map_err(Error::server)?;
        }
        for row in &self.shown {
            let (line, reason) = (&row["line"], row["reason"].as_str().unwrap_or_default());
            writeln!(out, "  line {line}: {reason}").map_err(Error::server)?;
        }
        let all: u64 = self.reasons.values().sum();
        if self.file.is_none() && all > SHOWN_MAX as u64 {
            writeln!(out, "  more rows were skipped; --report FILE lists them all").map_err(Error::server)?;
        }
        Ok(())
    }
}

/// A new report, or the one that the interrupted import began.
fn open_report(path: &Path, goes_on: bool) -> Result<File, Error> {
    let cannot =
        |error: std::io::Error| Error::invalid_request(format!("cannot write the report {}: {error}", path.display()));
    let is_there = path.exists();
    let mut options = OpenOptions::new();
    options.mode(0o600).append(true);
    let options = if goes_on { options.create(true) } else { options.create_new(true) };
    let mut file = options.open(path).map_err(cannot)?;
    if !is_there {
        writeln!(file, "line,reason").map_err(cannot)?;
    }
    Ok(file)
}

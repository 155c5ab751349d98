//! Owns bulk import of keys: a batch and the import's progress are written in one transaction. Does not read files or
//! validate keys; see `engine::import`.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
};

use super::{
    Error, Store,
    row::{binds, column},
    tx::{Tx, transaction},
};
use crate::model::{
    audit::{Event, Origin},
    clock::Timestamp,
    error::Error as ModelError,
    key::KeyForm,
    secret::{Digest, new_id},
};

/// A validated key from another system, ready to be stored.
#[derive(Clone, Debug)]
pub struct ImportedKey {
    /// `key_…`.
    pub id: String,
    /// SHA-256 of the key.
    pub digest: Digest,
    /// The owner's address in normal form.
    pub owner: String,
    /// Display name.
    pub name: String,
    /// Its first characters, as far as they are not secret.
    pub prefix: String,
    /// Its last characters, as far as they do not reveal the rest.
    pub hint: String,
    /// Space-delimited.
    pub scopes: String,
    /// Such as `live`.
    pub environment: String,
    /// Id or name of one of the owner's projects.
    pub project: Option<String>,
    /// Its own plan.
    pub plan: Option<String>,
    /// Space-delimited.
    pub networks: String,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// Result of importing a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It was stored.
    Imported,
    /// It already existed with the same owner; nothing was changed.
    Present,
    /// Why it was not stored.
    Refused(Cow<'static, str>),
}

/// Progress of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes of the file processed.
    pub offset: u64,
    /// Lines of the file processed.
    pub line: u64,
    /// Keys stored.
    pub imported: u64,
    /// Keys that already existed.
    pub present: u64,
    /// Rows refused.
    pub refused: u64,
    /// Owners created.
    pub owners: u64,
}

/// A batch of keys.
#[derive(Clone, Debug)]
pub struct ImportBatch {
    /// Identifies the import; the same for the same file and options.
    pub id: String,
    /// The keys.
    pub keys: Vec<ImportedKey>,
    /// Progress after this batch, except the counts of its keys.
    pub progress: ImportProgress,
    /// Creates missing owners, on this plan.
    pub owners_plan: Option<String>,
    /// Validates without changing anything.
    pub dry_run: bool,
}

impl ImportOutcome {
    /// The outcome for a key that already exists.
    fn known(owner: &str, user_id: &str) -> Self {
        match owner == user_id {
            true => Self::Present,
            false => Self::Refused("the key already exists and belongs to another user".into()),
        }
    }
}

column!(ImportProgress, ImportProgress::parse, "an import's progress");

impl ImportProgress {
    fn text(&self, now: Timestamp) -> String {
        let Self { offset, line, imported, present, refused, owners } = self;
        format!("{offset} {line} {imported} {present} {refused} {owners} {}", now.0)
    }

    fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        // The time of storing follows; versions before schema 21 did not write it.
        let [offset, line, imported, present, refused, owners, ..] = numbers[..] else { return None };
        Some(Self { offset, line, imported, present, refused, owners })
    }

    fn count(&mut self, outcome: &ImportOutcome) {
        match outcome {
            ImportOutcome::Imported => self.imported += 1,
            ImportOutcome::Present => self.present += 1,
            ImportOutcome::Refused(_) => self.refused += 1,
        }
    }
}

impl Store {
    /// Progress of an import that was begun and not finished.
    pub async fn import_progress(&self, id: &str) -> Result<Option<ImportProgress>, Error> {
        self.find("SELECT value FROM meta WHERE name = $1", binds![&place(id)]).await
    }

    /// Tunes the database for bulk writes: until closed, it uses more memory, some 128 MB, and checkpoints less often.
    pub async fn begin_import(&self, now: Timestamp) -> Result<(), Error> {
        transaction!(self, now, |tx| tx.tune_for_bulk())
    }

    /// Stores a batch of keys together with the import's progress: after a crash it resumes after the last stored
    /// batch, and no row is lost or stored twice. Keys are not appended to the feed: no node can have cached them.
    pub async fn import_keys(
        &self,
        now: Timestamp,
        origin: Origin,
        batch: ImportBatch,
    ) -> Result<(Vec<ImportOutcome>, ImportProgress), Error> {
        transaction!(self, now, |tx| {
            let mut progress = batch.progress;
            let outcomes = tx.import(now, &batch, &mut progress).await?;
            outcomes.iter().for_each(|outcome| progress.count(outcome));
            if !batch.dry_run {
                tx.keep_progress(now, &origin, &batch.id, &progress).await?;
                if progress.imported > 0 {
                    tx.note_opaque_keys().await?;
                }
            }
            Ok((outcomes, progress))
        })
    }

    /// Ends an import, with one audit entry for the whole import.
    pub async fn finish_import(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        done: ImportProgress,
    ) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            tx.execute("DELETE FROM meta WHERE name = $1", binds![&place(&id)]).await?;
            let times = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let why = [("the row was refused", done.refused), ("it already existed", done.present)];
            for (why, count) in why.into_iter().filter(|(_, count)| *count > 0) {
                let event = Event::new("key.import").object(&id).denied(why);
                tx.audit(now, &origin, Event { times: times(count), ..event }).await?;
            }
            if done.owners > 0 {
                let event = Event { times: times(done.owners), ..Event::new("user.create").object(&id) };
                tx.audit(now, &origin, event).await?;
            }
            if done.imported > 0 {
                let event = Event { times: times(done.imported), ..Event::new("key.import").object(&id) };
                tx.audit(now, &origin, event).await?;
            }
            Ok(())
        })
    }
}

const OWNERS: &str = "SELECT u.email, u.id FROM users u JOIN (VALUES ($1)) AS v ON u.email = v.column1";
const CREATE_OWNER: &str = "INSERT INTO users (id, email, name, password, plan, admin, created_at)
                            VALUES ($1, $2, $3, NULL, $4, $5, $6)";
/// Projects, and whether each is enabled and may have any number of live keys.
const PROJECTS: &str = "
    SELECT v.column1, v.column2, p.id, NOT p.one_live_key AND p.disabled_by IS NULL
    FROM projects p JOIN (VALUES ($1, $2)) AS v ON p.user_id = v.column1 AND (p.id = v.column2 OR p.name = v.column2)";
const KNOWN: &str = "SELECT k.digest, k.user_id FROM api_keys k JOIN (VALUES ($1)) AS v ON k.digest = v.column1";
const INSERT: &str = "
    INSERT INTO api_keys (id, digest, user_id, name, prefix, hint, scopes, environment, form, project_id, plan,
        networks, created_at, expires_at, uses)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0)
    ON CONFLICT (digest) DO NOTHING RETURNING digest";

/// A key to be inserted: its place in the batch, and what was looked up for it.
struct NewRow<'b> {
    at: usize,
    digest: String,
    owner: &'b str,
    project: Option<&'b str>,
}

impl Tx {
    /// Stores the new keys of a batch. Returns what became of each key, in the order of the batch.
    async fn import(
        &mut self,
        now: Timestamp,
        batch: &ImportBatch,
        progress: &mut ImportProgress,
    ) -> Result<Vec<ImportOutcome>, Error> {
        let owners = self.import_owners(now, batch, progress).await?;
        let projects = self.import_projects(batch, &owners).await?;
        // An existing key is looked up first if a project's policy would otherwise count it.
        let looked_up = batch.keys.iter().filter(|key| batch.dry_run || key.project.is_some());
        let mut known = self.owners_of(looked_up.map(|key| key.digest.text()).collect()).await?;
        let (mut outcomes, mut rows) = (Vec::with_capacity(batch.keys.len()), Vec::new());
        for (at, key) in batch.keys.iter().enumerate() {
            let digest = key.digest.text();
            let outcome = match (owners.get(&key.owner), known.get(&digest)) {
                (None, _) => ImportOutcome::Refused("there is no user with the owner's address".into()),
                (Some(owner), Some(user_id)) => ImportOutcome::known(owner, user_id),
                (Some(owner), None) => {
                    let project = key.project.as_ref().map(|named| projects.get(&(owner.clone(), named.clone())));
                    if let Some(Some((_, false))) = project {
                        // A policy counts the keys before this one.
                        self.insert_imported(now, batch, std::mem::take(&mut rows), &mut outcomes).await?;
                    }
                    match self.import_into(now, project).await {
                        Err(Error::Refused(why)) => ImportOutcome::Refused(why.description),
                        Err(error) => return Err(error),
                        Ok(_) if batch.dry_run => ImportOutcome::Imported,
                        Ok(project) => {
                            known.insert(digest.clone(), owner.clone());
                            rows.push(NewRow { at, digest, owner, project });
                            ImportOutcome::Imported
                        }
                    }
                }
            };
            outcomes.push(outcome);
        }
        self.insert_imported(now, batch, rows, &mut outcomes).await?;
        Ok(outcomes)
    }

    /// The id of a key's project; [`Error::Refused`] if the key cannot be in it.
    async fn import_into<'p>(
        &mut self,
        now: Timestamp,
        project: Option<Option<&'p (String, bool)>>,
    ) -> Result<Option<&'p str>, Error> {
        match project {
            None => Ok(None),
            Some(None) => Err(ModelError::invalid_request("the owner does not have this project").into()),
            Some(Some((id, is_free))) => {
                if !is_free {
                    self.check_policy(now, id).await?;
                }
                Ok(Some(id))
            }
        }
    }

    /// Inserts keys, and corrects the outcome of those that another import has stored meanwhile.
    async fn insert_imported(
        &mut self,
        now: Timestamp,
        batch: &ImportBatch,
        rows: Vec<NewRow<'_>>,
        outcomes: &mut [ImportOutcome],
    ) -> Result<(), Error> {
        let values = rows.iter().map(|NewRow { at, digest, owner, project }| {
            let key = &batch.keys[*at];
            let ImportedKey { id, name, prefix, hint, scopes, environment, plan, networks, .. } = key;
            let (form, end) = (KeyForm::Imported.as_str(), key.expires_at);
            binds![
                id,
                digest,
                *owner,
                name,
                prefix,
                hint,
                scopes,
                environment,
                form,
                *project,
                plan,
                networks,
                now,
                end
            ]
            .to_vec()
        });
        let stored: HashSet<String> = self.list_each(INSERT, &values.collect::<Vec<_>>()).await?.into_iter().collect();
        let lost: Vec<&NewRow<'_>> = rows.iter().filter(|row| !stored.contains(&row.digest)).collect();
        let known = self.owners_of(lost.iter().map(|row| row.digest.clone()).collect()).await?;
        for row in lost {
            let user_id = known.get(&row.digest).map_or(row.owner, String::as_str);
            outcomes[row.at] = ImportOutcome::known(row.owner, user_id);
        }
        Ok(())
    }

    /// The owners of keys that exist, by digest.
    async fn owners_of(&mut self, digests: Vec<String>) -> Result<HashMap<String, String>, Error> {
        let rows: Vec<_> = digests.iter().map(|digest| binds![digest].to_vec()).collect();
        Ok(self.list_each(KNOWN, &rows).await?.into_iter().collect())
    }

    /// The ids of the owners in a batch, by address. Those that do not exist are created if the import says so.
    async fn import_owners(
        &mut self,
        now: Timestamp,
        batch: &ImportBatch,
        progress: &mut ImportProgress,
    ) -> Result<HashMap<String, String>, Error> {
        let emails: BTreeSet<&str> = batch.keys.iter().map(|key| key.owner.as_str()).collect();
        let rows: Vec<_> = emails.iter().map(|email| binds![*email].to_vec()).collect();
        let mut owners: HashMap<String, String> = self.list_each(OWNERS, &rows).await?.into_iter().collect();
        let Some(plan) = &batch.owners_plan else { return Ok(owners) };
        let new: Vec<_> = emails.into_iter().filter(|email| !owners.contains_key(*email)).collect();
        let new: Vec<_> = new.into_iter().map(|email| (email, new_id("user"))).collect();
        if !batch.dry_run {
            let rows = new.iter().map(|(email, id)| {
                let name = email.split('@').next().unwrap_or_default();
                binds![id, *email, name, plan, false, now].to_vec()
            });
            self.execute_each(CREATE_OWNER, &rows.collect::<Vec<_>>()).await?;
            progress.owners += new.len() as u64;
        }
        owners.extend(new.into_iter().map(|(email, id)| (email.to_owned(), id)));
        Ok(owners)
    }

    /// The projects named in a batch, by owner and name: id, and whether it takes any number of keys.
    async fn import_projects(
        &mut self,
        batch: &ImportBatch,
        owners: &HashMap<String, String>,
    ) -> Result<HashMap<(String, String), (String, bool)>, Error> {
        let named = batch.keys.iter().filter_map(|key| Some((owners.get(&key.owner)?, key.project.as_ref()?)));
        let named: BTreeSet<_> = named.collect();
        let rows: Vec<_> = named.into_iter().map(|(owner, name)| binds![owner, name].to_vec()).collect();
        let found: Vec<(String, String, String, bool)> = self.list_each(PROJECTS, &rows).await?;
        Ok(found.into_iter().map(|(owner, name, id, is_free)| ((owner, name), (id, is_free))).collect())
    }

    /// Deletes the progress of imports that were not resumed since `before`. If started again, they find their keys
    /// present.
    pub(super) async fn purge_imports(&mut self, before: Timestamp) -> Result<(), Error> {
        let sql = "SELECT name, value FROM meta WHERE SUBSTR(name, 1, 7) = 'import:'";
        for (name, value) in self.list::<(String, String)>(sql, &[]).await? {
            let kept_at = value.split(' ').nth(6).and_then(|at| at.parse().ok()).map(Timestamp);
            if kept_at.is_none_or(|at| at < before) {
                self.execute("DELETE FROM meta WHERE name = $1 AND value = $2", binds![&name, &value]).await?;
            }
        }
        Ok(())
    }

    async fn keep_progress(
        &mut self,
        now: Timestamp,
        origin: &Origin,
        id: &str,
        progress: &ImportProgress,
    ) -> Result<(), Error> {
        let (name, value) = (place(id), progress.text(now));
        let begun = self
            .execute(
                "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                binds![&name, &value],
            )
            .await?;
        if begun > 0 {
            // Records where the keys came from, even if the import is never finished.
            return self.audit(now, origin, Event::new("key.import_begin").object(id)).await;
        }
        self.execute("UPDATE meta SET value = $2 WHERE name = $1", binds![&name, &value]).await.map(drop)
    }
}

fn place(id: &str) -> String {
    format!("import:{id}")
}

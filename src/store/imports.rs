//! Owns bulk import of keys: a batch and the import's progress are written in one transaction. Does not read files or
//! validate keys; see `engine::import`.

use std::{borrow::Cow, collections::HashMap};

use super::{
    Error, Store,
    row::{binds, column},
    tx::Tx,
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

    fn count(&mut self, fate: &ImportOutcome) {
        match fate {
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
        self.write(now, |tx| Box::pin(async move { tx.tune_for_bulk() })).await
    }

    /// Stores a batch of keys together with the import's progress: after a crash it resumes after the last stored
    /// batch, and no row is lost or stored twice. Keys are not appended to the feed: no node can have cached them.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: nothing of the batch was stored.
    pub async fn import_keys(
        &self,
        now: Timestamp,
        origin: Origin,
        batch: ImportBatch,
    ) -> Result<(Vec<ImportOutcome>, ImportProgress), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let mut progress = batch.progress;
                let mut fates = Vec::with_capacity(batch.keys.len());
                let mut owners = HashMap::new();
                for key in &batch.keys {
                    let fate = tx.import_key(now, &batch, key, &mut owners, &mut progress).await?;
                    progress.count(&fate);
                    fates.push(fate);
                }
                if !batch.dry_run {
                    tx.keep_progress(now, &origin, &batch.id, &progress).await?;
                    if progress.imported > 0 {
                        tx.note_opaque_keys().await?;
                    }
                }
                Ok((fates, progress))
            })
        })
        .await
    }

    /// Ends an import, with one audit entry for the whole import.
    pub async fn finish_import(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        done: ImportProgress,
    ) -> Result<(), Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
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
        })
        .await
    }
}

impl Tx {
    async fn import_key(
        &mut self,
        now: Timestamp,
        batch: &ImportBatch,
        key: &ImportedKey,
        owners: &mut HashMap<String, Option<String>>,
        progress: &mut ImportProgress,
    ) -> Result<ImportOutcome, Error> {
        let owner = match owners.get(&key.owner) {
            Some(known) => known.clone(),
            None => {
                let owner = self.import_owner(now, batch, &key.owner, progress).await?;
                owners.insert(key.owner.clone(), owner.clone());
                owner
            }
        };
        let Some(owner) = owner else {
            return Ok(ImportOutcome::Refused("there is no user with the owner's address".into()));
        };
        // An existing key is looked up first if a project's policy would otherwise count it.
        if (batch.dry_run || key.project.is_some())
            && let Some(fate) = self.present(key, &owner).await?
        {
            return Ok(fate);
        }
        let project = match &key.project {
            None => None,
            Some(project) => match self.import_project(now, &owner, project).await {
                Ok(id) => Some(id),
                Err(Error::Refused(why)) => return Ok(ImportOutcome::Refused(why.description)),
                Err(error) => return Err(error),
            },
        };
        if batch.dry_run {
            return Ok(ImportOutcome::Imported);
        }
        let new = self
            .execute(
                "INSERT INTO api_keys (id, digest, user_id, name, prefix, hint, scopes, environment, form,
                 project_id, plan, networks, created_at, expires_at, uses)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0)
                 ON CONFLICT (digest) DO NOTHING",
                binds![
                    &key.id,
                    &key.digest.text(),
                    &owner,
                    &key.name,
                    &key.prefix,
                    &key.hint,
                    &key.scopes,
                    &key.environment,
                    KeyForm::Imported.as_str(),
                    &project,
                    &key.plan,
                    &key.networks,
                    now,
                    key.expires_at,
                ],
            )
            .await?;
        if new > 0 {
            Ok(ImportOutcome::Imported)
        } else {
            Ok(self.present(key, &owner).await?.unwrap_or(ImportOutcome::Present))
        }
    }

    /// The outcome for a key that already exists.
    async fn present(&mut self, key: &ImportedKey, owner: &str) -> Result<Option<ImportOutcome>, Error> {
        let sql = "SELECT user_id FROM api_keys WHERE digest = $1";
        let found: Option<String> = self.find(sql, binds![&key.digest.text()]).await?;
        Ok(found.map(|user_id| {
            if user_id == owner {
                ImportOutcome::Present
            } else {
                ImportOutcome::Refused("the key already exists and belongs to another user".into())
            }
        }))
    }

    async fn import_owner(
        &mut self,
        now: Timestamp,
        batch: &ImportBatch,
        email: &str,
        progress: &mut ImportProgress,
    ) -> Result<Option<String>, Error> {
        if let Some(id) = self.find("SELECT id FROM users WHERE email = $1", binds![email]).await? {
            return Ok(Some(id));
        }
        let Some(plan) = &batch.owners_plan else { return Ok(None) };
        let id = new_id("user");
        if !batch.dry_run {
            progress.owners += 1;
            let name = email.split('@').next().unwrap_or_default();
            self.execute(
                "INSERT INTO users (id, email, name, password, plan, admin, created_at)
                 VALUES ($1, $2, $3, NULL, $4, $5, $6)",
                binds![&id, email, name, plan, false, now],
            )
            .await?;
        }
        Ok(Some(id))
    }

    /// The project with this id or name, if another key may be stored in it; else [`Error::Refused`].
    async fn import_project(&mut self, now: Timestamp, owner: &str, project: &str) -> Result<String, Error> {
        let sql = "SELECT id FROM projects WHERE user_id = $1 AND (id = $2 OR name = $2)";
        let found = self.find::<String>(sql, binds![owner, project]).await?;
        let id = found.ok_or_else(|| ModelError::invalid_request("the owner does not have this project"))?;
        self.check_policy(now, &id).await?;
        Ok(id)
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

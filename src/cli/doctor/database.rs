//! Owns the checks of the database and of what is in it: schema, first steps, master key, signing keys, clock, backup.

use super::{Finding, context};
use crate::{
    config::Config,
    engine::master::{MasterKey, Purpose},
    model::{clock::Timestamp, error::Error},
    store::{Error as StoreError, Schema, SigningKeyRow, Store},
};

/// A clock that differs by this much fails, in seconds; the server refuses to start this far behind its own rows.
const SKEW_FAIL: i64 = 300;
const SKEW_WARN: i64 = 5;
const DAY: i64 = 86_400;
/// A backup older than this is a warning, in days.
const BACKUP_DAYS: i64 = 7;

/// What could be read from the database.
#[derive(Debug)]
pub(super) struct OpenedDatabase {
    now: Timestamp,
    is_embedded: bool,
    lifetime_seconds: i64,
    master: Result<MasterKey, Error>,
    /// The contents, or the finding that says why there are none.
    read: Result<Contents, Finding>,
}

#[derive(Debug)]
struct Contents {
    place: String,
    schema: Schema,
    fingerprint: Option<String>,
    newest: Option<Timestamp>,
    backup: Option<Timestamp>,
    /// What can be read only if the schema is the one this program uses.
    rows: Option<Rows>,
}

#[derive(Debug)]
struct Rows {
    /// Whether there are users, and APIs.
    has: [bool; 2],
    keys: Vec<SigningKeyRow>,
}

impl OpenedDatabase {
    /// Reads what the checks need. Creates nothing and migrates nothing.
    pub(super) async fn look(config: &Config, now: Timestamp) -> Self {
        Self {
            now,
            is_embedded: config.is_embedded(),
            lifetime_seconds: config.lifetimes.signing_key_seconds,
            master: context::master_key(config),
            read: read(config).await,
        }
    }

    /// The ids of the signing keys, if they could be read.
    pub(super) fn kids(&self) -> Option<Vec<String>> {
        let rows = self.read.as_ref().ok()?.rows.as_ref()?;
        Some(rows.keys.iter().map(|key| key.kid.clone()).collect())
    }

    /// Database, schema, first steps, master key and signing keys.
    pub(super) fn checks(&self) -> Vec<Finding> {
        let contents = match &self.read {
            Ok(contents) => contents,
            Err(finding) => {
                let [schema, steps, keys] = ["schema", "first steps", "signing keys"].map(unknown);
                return vec![finding.clone(), schema, steps, self.master_key(None), keys];
            }
        };
        let database = Finding::ok("database", contents.place.clone());
        let (steps, keys) = match &contents.rows {
            Some(rows) => (first_steps(rows.has), self.signing_keys(&rows.keys)),
            None => (unknown("first steps"), unknown("signing keys")),
        };
        vec![database, schema(&contents.schema), steps, self.master_key(Some(contents)), keys]
    }

    fn master_key(&self, contents: Option<&Contents>) -> Finding {
        let check = "master key";
        let master = match &self.master {
            Ok(master) => master,
            Err(error) => {
                return Finding::fail(check, error.description.clone(), "Restore the master key from your copy");
            }
        };
        let known = contents.and_then(|contents| contents.fingerprint.as_ref());
        match (known, master.fingerprint()) {
            (None, _) => Finding::ok(check, "configured, but not checked against a database"),
            (Some(known), Ok(own)) if *known == own => {
                Finding::ok(check, "matches this database; keep a copy separate from the backups")
            }
            (Some(_), _) => {
                let todo = "Restore the original master key; this database cannot be used with another";
                Finding::fail(check, "the master key does not match this database", todo)
            }
        }
    }

    fn signing_keys(&self, keys: &[SigningKeyRow]) -> Finding {
        let check = "signing keys";
        let Ok(master) = &self.master else { return unknown(check) };
        let sealed = keys.iter().filter(|key| master.open(Purpose::SigningKeys, &key.kid, &key.sealed).is_err());
        let sealed = sealed.count();
        if sealed > 0 {
            let found = format!("{sealed} of {} cannot be decrypted with this master key", keys.len());
            return Finding::fail(check, found, "Restore the master key they were created with");
        }
        let Some(newest) = keys.iter().map(|key| key.active_from).max() else {
            return Finding::ok(check, "none yet; the first start creates one");
        };
        let days = (self.now.seconds() - newest.seconds()).max(0) / DAY;
        let found = format!("{}, the newest in use for {days} d", keys.len());
        if self.now > newest.plus_seconds(self.lifetime_seconds + DAY) {
            return Finding::warn(check, found, "It should have been rotated; check that `grantd serve` is running");
        }
        Finding::ok(check, found)
    }

    /// Compares the clock with the newest row, and with the server's if that answered (`skew`, in seconds).
    pub(super) fn clock(&self, skew: Option<i64>) -> Finding {
        let check = "clock";
        let newest = self.read.as_ref().ok().and_then(|contents| contents.newest);
        let behind = newest.map_or(0, |newest| newest.seconds() - self.now.seconds());
        let todo = "Set this machine's clock, and keep it synchronized with NTP";
        if behind > SKEW_FAIL {
            return Finding::fail(check, format!("{behind} s behind the newest entry in the database"), todo);
        }
        let Some(skew) = skew else {
            return Finding::ok(check, "not behind the database; there is no server to compare with");
        };
        let found = format!("{} s {} the server's", skew.abs(), if skew < 0 { "behind" } else { "ahead of" });
        match skew.abs() {
            SKEW_FAIL.. => Finding::fail(check, found, todo),
            SKEW_WARN.. => Finding::warn(check, found, todo),
            _ => Finding::ok(check, "agrees with the database and with the server"),
        }
    }

    /// The age of the newest backup.
    pub(super) fn backup(&self) -> Finding {
        let check = "backup";
        if !self.is_embedded {
            return Finding::ok(check, "not checked: grantd cannot see backups taken with PostgreSQL's own tools");
        }
        let Ok(contents) = &self.read else { return unknown(check) };
        let Some(at) = contents.backup else {
            let todo = "Run `grantd backup FILE` every day; copying the file of a running server is not a backup";
            return Finding::warn(check, "`grantd backup` was never run", todo);
        };
        let days = (self.now.seconds() - at.seconds()).max(0) / DAY;
        let found = format!("the newest is from {} ({days} d ago)", at.rfc3339());
        if days >= BACKUP_DAYS {
            return Finding::warn(check, found, "Run `grantd backup FILE` every day");
        }
        Finding::ok(check, found)
    }
}

fn unknown(check: &'static str) -> Finding {
    Finding::warn(check, "not checked", "Fix what failed above, then run this again")
}

async fn read(config: &Config) -> Result<Contents, Finding> {
    let (check, place) = ("database", place(config));
    if let Err(error) = context::must_exist(config) {
        return Err(Finding::fail(check, error.description, "Run this command where the database is"));
    }
    let failed = |error: StoreError| {
        let why = match error {
            StoreError::Unavailable(why) | StoreError::Setup(why) | StoreError::Bug(why) => why,
            error => error.to_string(),
        };
        let todo = "Check that it exists, that this user may open it and that it is a grantd database";
        Finding::fail(check, format!("{place} cannot be read: {why}"), todo)
    };
    let store = Store::look(config.database.expose()).await.map_err(failed)?;
    let schema = store.schema().await.map_err(failed)?;
    if schema.version == 0 {
        return Err(Finding::fail(check, format!("{place} is empty"), "Run `grantd serve`, which creates the tables"));
    }
    let rows = if schema.missing == 0 && schema.version <= schema.newest_known {
        let has_user = !store.list_users(1).await.map_err(failed)?.is_empty();
        let has_api = !store.catalog().await.map_err(failed)?.apis.is_empty();
        Some(Rows { has: [has_user, has_api], keys: store.signing_keys().await.map_err(failed)? })
    } else {
        None
    };
    Ok(Contents {
        rows,
        schema,
        fingerprint: store.fact("master_key").await.map_err(failed)?,
        newest: store.newest_entry_at().await.map_err(failed)?,
        backup: store.last_backup_at().await.map_err(failed)?,
        place,
    })
}

/// The database's location, without a password.
fn place(config: &Config) -> String {
    match (config.database.file(), url::Url::parse(config.database.expose())) {
        (Some(file), _) => file.display().to_string(),
        (None, Ok(url)) => format!("{}{}", url.host_str().unwrap_or("PostgreSQL"), url.path()),
        (None, Err(_)) => "PostgreSQL".to_owned(),
    }
}

fn schema(schema: &Schema) -> Finding {
    let check = "schema";
    let found = format!("version {}", schema.version);
    if schema.version > schema.newest_known {
        let known = format!("{found}, which is newer than this grantd ({})", env!("CARGO_PKG_VERSION"));
        return Finding::fail(check, known, "Run a newer grantd");
    }
    if schema.missing > 0 {
        let found = format!("{found}; migrations not applied: {}", schema.missing);
        return Finding::warn(check, found, "Take a backup; the next `grantd serve` applies them");
    }
    Finding::ok(check, found)
}

fn first_steps([has_user, has_api]: [bool; 2]) -> Finding {
    let check = "first steps";
    let user = "grantd user create --email you@example.com --admin";
    let api = "grantd api create --identifier https://api.example.com --name 'My API' --scope read='Read your data'";
    match (has_user, has_api) {
        (true, true) => Finding::ok(check, "there are users and APIs"),
        (false, true) => Finding::warn(check, "no users", format!("Run `{user}`")),
        (true, false) => Finding::warn(check, "no APIs", format!("Run `{api}`")),
        (false, false) => Finding::warn(check, "no users and no APIs", format!("Run `{user}` and `{api}`")),
    }
}

//! Owns tests of `grantd key import`: rows, invalid files, and an import that is killed.

mod files;
mod killed;
mod rows;
mod used;

use std::{fs, path::PathBuf};

use grantd::model::secret::random_base62;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Installation, database::Database};

/// An installation with an API and two users.
fn installation() -> Installation {
    let here = Installation::new();
    here.api();
    for email in ["alice@example.com", "bob@example.com"] {
        here.user(email);
    }
    here
}

/// Its database, for direct queries.
fn database(here: &Installation) -> Database {
    Database { url: here.variable("GRANTD_DATABASE_URL").to_owned(), dir: TempDir::new().expect("a directory") }
}

fn write(here: &Installation, name: &str, text: &str) -> PathBuf {
    let path = here.path(name);
    fs::write(&path, text).expect("a file");
    path
}

/// Imports a file with these options, to the end; it succeeds if no row is refused.
#[track_caller]
fn import(here: &Installation, name: &str, words: &[&str]) -> Value {
    let ran = here.run(&[&["key", "import", name, "--json"], words].concat());
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let code = if told["refused"] == 0 { 0 } else { 1 };
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    told
}

#[track_caller]
fn counts(told: &Value) -> [i64; 3] {
    let imported = if told["dry_run"] == true { "would_import" } else { "imported" };
    [imported, "already_there", "refused"]
        .map(|member| told[member].as_i64().unwrap_or_else(|| panic!("{member}: {told}")))
}

/// A new key.
fn key() -> String {
    format!("sk_live_{}", random_base62(32))
}

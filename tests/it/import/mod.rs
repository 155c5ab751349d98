//! Owns `grantd key import`: what becomes of rows, of files that are none, of an import that is killed.

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

/// Its database, to be asked directly.
fn database(here: &Installation) -> Database {
    Database { url: here.variable("GRANTD_DATABASE_URL").to_owned(), dir: TempDir::new().expect("a directory") }
}

fn write(here: &Installation, name: &str, text: &str) -> PathBuf {
    let path = here.path(name);
    fs::write(&path, text).expect("a file");
    path
}

/// Imports a file with these words, to its end.
#[track_caller]
fn import(here: &Installation, name: &str, words: &[&str]) -> Value {
    here.json(&[&["key", "import", name], words].concat())
}

#[track_caller]
fn counts(told: &Value) -> [i64; 3] {
    ["imported", "already_there", "refused"].map(|member| told[member].as_i64().expect(member))
}

/// A key that nobody has seen.
fn key() -> String {
    format!("sk_live_{}", random_base62(32))
}

//! Owns checking a row: a key to store, or a reason for refusal. No reason repeats a possible secret.

use std::{borrow::Cow, collections::HashMap};

use super::{source::Record, strength::apparent_bits};
use crate::{
    model::{
        api::Catalog,
        clock::Timestamp,
        email,
        network::Networks,
        scope::{Scopes, is_scope_token},
        secret::{self, Digest},
        text,
    },
    store::ImportedKey,
};

/// A key that appears to have fewer bits of entropy is refused unless forced.
pub const BITS_MIN: f64 = 64.0;
/// With this many bits, the last four characters can be shown safely.
const BITS_TO_SHOW: f64 = 112.0;
/// Shortest and longest key, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=512;
/// Longest prefix shown, in bytes.
const PREFIX_MAX: usize = 16;
/// The last second that RFC 3339 can express. "Never" is often a date this late; a later one was in milliseconds.
const ENDS_BEFORE: Timestamp = Timestamp(253_402_300_799_000);
/// Maximum sets of scopes whose validation is cached.
const SCOPES_MAX: usize = 1000;

/// Values for columns that a row leaves empty.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// E-mail address of the owner.
    pub owner: Option<String>,
    /// Space-delimited.
    pub scopes: Option<String>,
    /// ID or name of a project.
    pub project: Option<String>,
    /// Such as `live`.
    pub environment: String,
    /// Name of a plan.
    pub plan: Option<String>,
}

/// The context in which rows are validated.
#[derive(Debug)]
pub(super) struct RowValidator<'a> {
    pub now: Timestamp,
    pub catalog: &'a Catalog,
    pub environments: &'a [String],
    pub defaults: &'a Defaults,
    pub force_weak: bool,
    /// Begins the IDs of one import. IDs follow the order of the file, so that their index grows at its end.
    pub ids: String,
    pub judged: u64,
    pub scopes: HashMap<String, Result<String, String>>,
}

type RowError = Cow<'static, str>;

impl RowValidator<'_> {
    pub(super) fn validate(&mut self, record: &Record) -> Result<ImportedKey, RowError> {
        let secret = self.secret(record)?;
        let given = |own: &Option<String>, other: &Option<String>| {
            own.clone().filter(|text| !text.trim().is_empty()).or_else(|| other.clone())
        };
        let owner = given(&record.owner, &self.defaults.owner).ok_or("the owner is missing")?;
        let owner = email::normalize(&owner).map_err(|_| "the owner is not an email address")?;
        let name = given(&record.name, &None).unwrap_or_else(|| "Imported key".to_owned());
        let name = text::name("the key's name", &name).map_err(|error| error.description)?;
        let scopes = given(&record.scopes, &self.defaults.scopes).ok_or("the scopes are missing")?;
        let environment = given(&record.environment, &None).unwrap_or_else(|| self.defaults.environment.clone());
        if !self.environments.contains(&environment) {
            return Err("unknown environment".into());
        }
        let plan = given(&record.plan, &self.defaults.plan);
        if plan.as_ref().is_some_and(|plan| self.catalog.plans.find(plan).is_none()) {
            return Err("there is no such plan".into());
        }
        let networks = given(&record.networks, &None).unwrap_or_default();
        let expires_at = given(&record.expires_at, &None).map(|text| self.end(&text)).transpose()?;
        self.judged += 1;
        Ok(ImportedKey {
            id: format!("key_{}{:09x}{}", self.ids, self.judged, secret::random_base62(5)),
            digest: secret.digest,
            owner,
            name,
            prefix: secret.prefix,
            hint: secret.hint,
            scopes: self.scopes(scopes)?,
            environment,
            project: given(&record.project, &self.defaults.project),
            plan,
            networks: Networks::parse(&networks).map_err(|_| "a network is malformed")?.to_string(),
            expires_at,
        })
    }

    fn secret(&self, record: &Record) -> Result<KeyMaterial, RowError> {
        let sha256 = record.sha256.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let key = record.key.as_deref().map(str::trim).filter(|text| !text.is_empty());
        match (key, sha256) {
            (Some(key), None) => check_key(key, self.force_weak),
            // A hash reveals nothing about the strength of its input.
            (None, Some(sha256)) => {
                let digest = Digest::read(sha256).ok_or("sha256 must be 64 hexadecimal digits, or base64url")?;
                Ok(KeyMaterial { digest, prefix: String::new(), hint: String::new() })
            }
            (None, None) => Err("key or sha256 is required".into()),
            (Some(_), Some(_)) => Err("key and sha256 cannot be combined".into()),
        }
    }

    fn end(&self, text: &str) -> Result<Timestamp, RowError> {
        let end = Timestamp::read(text.trim()).ok_or("expires_at must be RFC 3339 or seconds since 1970")?;
        if end > ENDS_BEFORE {
            return Err("expires_at is after the year 9999 (milliseconds?)".into());
        }
        if end <= self.now { Err("the key has already expired".into()) } else { Ok(end) }
    }

    /// Scopes of the catalog; `all` means every one. Results are cached, because many keys share few sets.
    fn scopes(&mut self, text: String) -> Result<String, RowError> {
        if self.scopes.len() > SCOPES_MAX {
            self.scopes.clear();
        }
        let judged = self.scopes.entry(text).or_insert_with_key(|text| {
            let names: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
            let all = self.catalog.all_scopes();
            self.catalog.choose(&names).map(|scopes| scopes.to_string()).map_err(|_| no_scope(&names, &all))
        });
        judged.clone().map_err(Into::into)
    }
}

/// Names the scope that does not exist, unless the name may be a key in the wrong column.
fn no_scope(names: &[String], all: &Scopes) -> String {
    match names.iter().find(|name| !all.contains(name)) {
        Some(name) if is_scope_token(name) && apparent_bits(name) < BITS_MIN => {
            format!("there is no such scope: {name}")
        }
        Some(_) => "there is no such scope".to_owned(),
        None => "at least one scope is required".to_owned(),
    }
}

/// The parts of a key that may be stored.
struct KeyMaterial {
    digest: Digest,
    prefix: String,
    hint: String,
}

fn check_key(key: &str, force_weak: bool) -> Result<KeyMaterial, RowError> {
    if !LENGTHS.contains(&key.len()) {
        return Err(format!("a key must have {} to {} characters", LENGTHS.start(), LENGTHS.end()).into());
    }
    if !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a key must be printable ASCII without spaces, to fit in a header".into());
    }
    // These are recognized by their prefix, and never looked up as keys.
    if key.starts_with("eyJ") {
        return Err("this looks like a JWT, not a key".into());
    }
    if secret::is_other_kind(key) {
        return Err("this looks like another secret of this server, not a key".into());
    }
    let bits = apparent_bits(key);
    if bits < BITS_MIN && !force_weak {
        return Err(format!("too easy to guess: its estimated entropy is below {BITS_MIN} bits").into());
    }
    let shown = bits >= BITS_TO_SHOW;
    let label = key.bytes().take(PREFIX_MAX).rposition(|b| b == b'_').filter(|_| shown).map_or("", |at| &key[..=at]);
    let is_label = label.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    Ok(KeyMaterial {
        digest: Digest::of(key),
        prefix: if is_label { label.to_owned() } else { String::new() },
        hint: if shown { key[key.len() - 4..].to_owned() } else { String::new() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imported_keys_are_stored_as_digest_with_a_safe_hint() {
        let kept = check_key("sk_live_4eC39HqLyjWDarjtT1zdp7dcExample", false).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((kept.prefix.as_str(), kept.hint.as_str()), ("sk_live_", "mple"));
        let kept = check_key("3f9a01c47be28d56", true).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((kept.prefix.as_str(), kept.hint.as_str()), ("", ""));
    }

    #[test]
    fn texts_that_are_not_keys_are_refused_even_if_forced() {
        for no_key in [
            "short",
            "with space in between it",
            "schl\u{fc}ssel-0123456789abcdef",
            "eyJhbGciOiJub25lIn0.e30.",
            "gd_code_4fKd93jfKD93jf93kfKD93jfkd9",
            "gd_rt_4fKd93jfKD93jf93kfKD93jfkd9",
            "gd_secret_4fKd93jfKD93jf93kfKD93jfkd9",
            &"x".repeat(513),
        ] {
            assert!(check_key(no_key, true).is_err(), "{no_key}");
        }
        assert!(check_key("password123", false).is_err() && check_key("password123", true).is_ok());
    }
}

//! Owns making API keys: shown once, kept as a digest. Does not verify them; see `engine::verify`.

use crate::model::{
    clock::Timestamp,
    error::Error,
    key::ApiKey,
    scope::Scopes,
    secret::{self, Secret},
    text,
};

/// The environments a key can be for.
pub const ENVIRONMENTS: [&str; 2] = ["live", "test"];
/// Longest lifetime that can be asked for, in seconds: ten years.
const LIFETIME_MAX_SECONDS: i64 = 315_360_000;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its id, where a form must not make two; else one is made.
    pub id: Option<String>,
    /// The owner.
    pub user_id: String,
    /// What it is for.
    pub name: String,
    /// What it may do: at least one scope.
    pub scopes: Scopes,
    /// `live` or `test`.
    pub environment: String,
    /// Seconds until it ends by itself.
    pub expires_in_seconds: Option<i64>,
}

/// Makes a key: the secret to show once, and the record to keep.
///
/// # Errors
/// `invalid_request` or `invalid_scope` saying what would be right.
pub fn make(now: Timestamp, prefix: &str, new: NewKey) -> Result<(Secret, ApiKey), Error> {
    if new.scopes.is_empty() {
        return Err(Error::invalid_scope("a key needs at least one scope"));
    }
    if !ENVIRONMENTS.contains(&new.environment.as_str()) {
        return Err(Error::invalid_request("environment is live or test"));
    }
    let expires_at = match new.expires_in_seconds {
        Some(seconds) if !(1..=LIFETIME_MAX_SECONDS).contains(&seconds) => {
            return Err(Error::invalid_request("a key lives between one second and ten years"));
        }
        seconds => seconds.map(|seconds| now.plus_seconds(seconds)),
    };
    let prefix = format!("{prefix}_{}_", new.environment);
    let shown = Secret::generate(&prefix);
    let key = ApiKey {
        id: new.id.unwrap_or_else(|| secret::new_id("key")),
        user_id: new.user_id,
        name: text::name("the key's name", &new.name)?,
        prefix,
        hint: shown.hint(),
        scopes: new.scopes,
        environment: new.environment,
        created_at: now,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    Ok((shown, key))
}

/// Parses a span such as `90d`, `12h`, `30m` or `45s` into seconds.
///
/// # Errors
/// `invalid_request` saying what would be right.
pub fn span_seconds(text: &str) -> Result<i64, Error> {
    let wrong = || Error::invalid_request("a span is a number with s, m, h or d, such as 90d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).filter(|span| *span >= 0).ok_or_else(wrong)
}

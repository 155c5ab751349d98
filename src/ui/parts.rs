//! Owns the small parts that several pages share: the shell around a page, dates, scopes, choices, key glyphs.

use std::fmt::{self, Write as _};

use crate::model::user::User;

/// The frame of every page: title, signed-in user, navigation and the form token.
#[derive(Debug, Clone, Default)]
pub struct Shell {
    /// Path of the issuer, before every link of a page; empty if the issuer has no path.
    pub base: String,
    pub title: String,
    pub user: Option<Badge>,
    pub csrf: String,
    pub active_nav: Nav,
    /// Hash of the embedded assets, so that a cached style sheet never outlives its release.
    pub asset_version: String,
}

/// The signed-in user, as shown in the user menu.
#[derive(Debug, Clone)]
pub struct Badge {
    pub name: String,
    pub email: String,
}

impl Badge {
    pub fn of(user: &User) -> Self {
        Self { name: user.name.clone(), email: user.email.clone() }
    }

    /// The name to show: the user's name, or the address if there is no name.
    pub fn label(&self) -> &str {
        if self.name.trim().is_empty() { &self.email } else { &self.name }
    }

    pub fn monogram(&self) -> String {
        monogram(self.label())
    }
}

/// The entry of the navigation that the page belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Nav {
    Keys,
    Projects,
    Connected,
    Apps,
    #[default]
    None,
}

/// The meaning of a message or a label; the style sheet maps it to a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warn,
    Bad,
    Quiet,
}

impl fmt::Display for Tone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        })
    }
}

/// A message about the last action, at the top of a page.
#[derive(Debug, Clone)]
pub struct Flash {
    pub tone: Tone,
    pub text: String,
}

impl Flash {
    pub fn of(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }

    pub fn is_bad(&self) -> bool {
        self.tone == Tone::Bad
    }
}

/// A time, for machines (`iso`, RFC 3339) and for people (`text`).
#[derive(Debug, Clone)]
pub struct When {
    pub iso: String,
    pub text: String,
}

/// A scope with its description.
#[derive(Debug, Clone)]
pub struct ScopeLine {
    pub name: String,
    pub description: String,
}

/// The scopes of one API, offered as checkboxes.
#[derive(Debug, Clone)]
pub struct ScopeGroup {
    pub api: String,
    pub scopes: Vec<ScopeChoice>,
}

/// One checkbox of a [`ScopeGroup`].
#[derive(Debug, Clone)]
pub struct ScopeChoice {
    pub name: String,
    pub description: String,
    pub checked: bool,
}

/// One entry of a select or of a radio group.
#[derive(Debug, Clone)]
pub struct Choice {
    pub value: String,
    pub label: String,
    pub selected: bool,
}

/// One or two letters that represent a name in its tile.
pub fn monogram(name: &str) -> String {
    let letters: String = name
        .split(|c: char| !c.is_alphanumeric())
        .filter_map(|word| word.chars().next())
        .take(2)
        .flat_map(char::to_uppercase)
        .take(2)
        .collect();
    if letters.is_empty() { "·".to_owned() } else { letters }
}

/// The outline of a key's blade, cut from its public id: the same id always has the same cuts.
///
/// It helps people tell rows apart at a glance, and is independent of the secret.
pub fn bitting(id: &str) -> String {
    // FNV-1a is good enough for a picture.
    let mut hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^= hash >> 29;
    let mut path = String::from("M21 10H56L60 13L56 16");
    let mut right = 56;
    for _ in 0..6 {
        let depth = 16 + hash % 7;
        hash /= 7;
        let left = right - 5;
        // Writing to a String cannot fail.
        let _ = write!(path, "V{depth}H{left}");
        right = left;
    }
    path.push_str("V16H21Z");
    path
}

/// An error message as a sentence: errors are written for logs, in lower case and without a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    chars.next().map_or_else(String::new, |first| format!("{}{}{end}", first.to_uppercase(), chars.as_str()))
}

/// Quotes a word for a POSIX shell, so that a pasted command does only what it shows.
pub fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The word that [`shell_quote`] quoted.
pub fn shell_unquote(quoted: &str) -> String {
    let inner = quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.map_or_else(|| quoted.to_owned(), |inner| inner.replace(r"'\''", "'"))
}

/// The part of a form that asks for the password if the sign-in is not recent.
#[derive(Debug, Clone, Default)]
pub struct Confirmation {
    /// One-time id, so that a double click changes something only once.
    pub form: String,
    pub ask_password: bool,
    pub password_error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monogram_has_two_initials_or_a_placeholder() {
        assert_eq!(monogram("ada lovelace byron"), "AL");
        assert_eq!(monogram("<script>"), "S");
        assert_eq!(monogram("🦀 🦀"), "·");
        assert_eq!(monogram("ß"), "SS");
    }

    #[test]
    fn bitting_depends_only_on_the_id() {
        assert_eq!(bitting("key_1"), bitting("key_1"));
        assert_ne!(bitting("key_1"), bitting("key_2"));
    }

    #[test]
    fn errors_read_as_sentences() {
        assert_eq!(sentence("a name is missing"), "A name is missing.");
        assert_eq!(sentence("Feedback already."), "Feedback already.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn shell_quote_escapes_everything() {
        assert_eq!(shell_quote("gd_live_abc"), "gd_live_abc");
        assert_eq!(shell_quote("$(id)"), "'$(id)'");
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
        assert_eq!(shell_quote(""), "''");
        for word in ["plain", "a b", "it's", "''", ""] {
            assert_eq!(shell_unquote(&shell_quote(word)), word);
        }
    }
}

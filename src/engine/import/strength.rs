//! Owns estimating how hard a text is to guess, from its characters alone. Does not consider its origin. The estimate
//! is never below the work of an attacker who knows how the text was created.
//!
//! Each character counts as many bits as its alphabet has (digits, hexadecimal, letters of one case …). Fewer are
//! counted for what attackers try first: a leading label (`sk_live_`), words, runs along the alphabet or the keyboard,
//! and repetitions of earlier text.

/// Shortest word, run or repetition that is recognized, in characters: random texts contain shorter ones.
const PATTERN_MIN: usize = 4;
/// Bits of a common word.
const WORD_BITS: f64 = 10.0;
/// Longest label, in bytes.
const LABEL_MAX: usize = 20;
/// Longest text examined, in bytes; the rest would not change the result.
const TEXT_MAX: usize = 256;

const WORDS: [&str; 32] = [
    "password",
    "passwort",
    "passwd",
    "passphrase",
    "secret",
    "admin",
    "administrator",
    "apikey",
    "token",
    "access",
    "letmein",
    "welcome",
    "changeme",
    "example",
    "sample",
    "test",
    "demo",
    "live",
    "prod",
    "production",
    "staging",
    "development",
    "default",
    "user",
    "root",
    "login",
    "master",
    "hello",
    "world",
    "dragon",
    "monkey",
    "iloveyou",
];
const TRACKS: [&str; 6] =
    ["abcdefghijklmnopqrstuvwxyz", "01234567890", "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// Bits of entropy that `text` appears to have.
#[must_use]
pub fn apparent_bits(text: &str) -> f64 {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= TEXT_MAX).unwrap_or(text.len());
    let body = without_label(&text[..end]);
    // Characters that only separate groups, as in a UUID, add nothing.
    let chars: Vec<char> = body.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ':' | ' ')).collect();
    let per_char = alphabet(&chars).log2();
    let folded: Vec<char> = chars.iter().map(char::to_ascii_lowercase).collect();
    let (mut bits, mut at) = (0.0, 0);
    while at < folded.len() {
        let (length, cost) = pattern(&folded, at, per_char).unwrap_or((1, per_char));
        bits += cost.min(length as f64 * per_char);
        at += length;
    }
    bits
}

/// The text after a prefix such as `sk_live_`.
fn without_label(text: &str) -> &str {
    let is_label = |at: usize| text.as_bytes()[..at].iter().all(|b| b.is_ascii_alphabetic() || *b == b'_');
    let head = &text.as_bytes()[..text.len().min(LABEL_MAX)];
    let end = (0..head.len()).rev().find(|at| head[*at] == b'_' && is_label(*at));
    end.map_or(text, |at| &text[at + 1..])
}

/// The number of possible values of each character.
fn alphabet(chars: &[char]) -> f64 {
    let has = |is_one: fn(&char) -> bool| chars.iter().any(is_one);
    let (lower, upper) = (has(char::is_ascii_lowercase), has(char::is_ascii_uppercase));
    let size = if chars.iter().all(char::is_ascii_hexdigit) && !(lower && upper) {
        if lower || upper { 16 } else { 10 }
    } else {
        let others = chars.iter().any(|c| !c.is_ascii_alphanumeric());
        26 * usize::from(lower)
            + 26 * usize::from(upper)
            + 10 * usize::from(has(char::is_ascii_digit))
            + 33 * usize::from(others)
    };
    let mut distinct = chars.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    // A long text with few distinct characters is assumed to be drawn from those alone.
    if chars.len() >= 3 * distinct.len() { size.min(distinct.len()).max(1) as f64 } else { size.max(1) as f64 }
}

/// Length and bits of the longest pattern that begins at `at`.
fn pattern(text: &[char], at: usize, per_char: f64) -> Option<(usize, f64)> {
    let rest = &text[at..];
    let word =
        WORDS.iter().filter(|word| starts_with(rest, word)).map(|word| (word.len(), WORD_BITS)).max_by_key(|w| w.0);
    let run = (along(rest), per_char + 2.0);
    let again = (0..at).map(|from| common(&text[from..], rest)).max().unwrap_or(0);
    // The bits encode where the text occurred before, and its length.
    let again = (again, ((at + 1) as f64).log2() + (again.max(1) as f64).log2() + 1.0);
    word.into_iter().chain([run, again]).filter(|(length, _)| *length >= PATTERN_MIN).max_by_key(|(length, _)| *length)
}

fn starts_with(text: &[char], word: &str) -> bool {
    text.len() >= word.len() && word.chars().zip(text).all(|(one, other)| one == *other)
}

fn common(one: &[char], other: &[char]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// The length of the longest run along a track, in either direction.
fn along(text: &[char]) -> usize {
    let Some(first) = text.first() else { return 0 };
    let same = |(one, other): &(&u8, &char)| char::from(**one) == **other;
    let mut longest = 0;
    for track in TRACKS.map(str::as_bytes) {
        let Some(from) = track.iter().position(|b| char::from(*b) == *first) else { continue };
        let forth = track[from..].iter().zip(text).take_while(same).count();
        let back = track[..=from].iter().rev().zip(text).take_while(same).count();
        longest = longest.max(forth).max(back);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::{Secret, random_base62, random_bytes};

    #[test]
    fn human_made_keys_are_rated_weak() {
        for weak in [
            "",
            "a",
            "hunter2",
            "password123",
            "Password123!",
            "sk_live_password123",
            &"a".repeat(64),
            &"ab".repeat(40),
            &"abc123".repeat(20),
            "0123456789012345678901234567890123456789",
            "abcdefghijklmnopqrstuvwxyz",
            "zyxwvutsrqponmlkjihgfedcba",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            "qwertyuiopasdfghjklzxcvbnm",
            "11111111-1111-1111-1111-111111111111",
            "00000000-0000-0000-0000-000000000042",
            "12345678-1234-1234-1234-123456789012",
            "api_key_customer_42",
            "100000000042",
            "test-test-test-test-test",
            "my-secret-api-token",
            "deadbeefdeadbeefdeadbeefdeadbeef",
        ] {
            assert!(apparent_bits(weak) < 64.0, "{weak}: {}", apparent_bits(weak));
        }
    }

    #[test]
    fn random_keys_are_rated_strong() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        for _ in 0..500 {
            let strong = [
                Secret::uuid().expose().to_owned(),
                hex(&random_bytes::<16>()),
                hex(&random_bytes::<32>()).to_uppercase(),
                random_base62(16),
                format!("sk_live_{}", random_base62(24)),
                format!("{:032}", u128::from_be_bytes(random_bytes())).chars().take(32).collect(),
            ];
            for text in strong {
                assert!(apparent_bits(&text) >= 64.0, "{text}: {}", apparent_bits(&text));
            }
        }
        assert!(apparent_bits("f47ac10b-58cc-4372-a567-0e02b2c3d479") > 100.0);
    }

    #[test]
    fn arbitrary_text_is_rated() {
        let long = "\u{1F511}".repeat(10_000);
        assert!(apparent_bits(&long) < 64.0);
        assert!(apparent_bits("____").abs() < f64::EPSILON);
    }
}

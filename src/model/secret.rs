//! Owns generated secrets: randomness, prefixes, checksum, digest.
//!
//! A secret is `PREFIX_` + 36 random base62 characters (214 bits) + 6 characters of CRC-32, so that a typo is refused
//! without a query and secret scanners can tell our secrets from noise. Stored as SHA-256: a slow hash protects only
//! against dictionaries, and no dictionary has random values. The only file that generates random numbers.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use rand::RngExt;
use zeroize::Zeroizing;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random characters of a secret: 36 × log2(62) = 214 bits.
const RANDOM_CHARS: usize = 36;
const CHECKSUM_CHARS: usize = 6;

/// Prefix of client secrets.
pub const CLIENT_SECRET: &str = "gd_secret_";
/// Prefix of authorization codes.
pub const CODE: &str = "gd_code_";
/// Prefix of refresh tokens.
pub const REFRESH_TOKEN: &str = "gd_rt_";

/// A secret in plain text, to be shown once. Never printed, and wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A new secret that starts with `prefix`.
    #[must_use]
    pub fn generate(prefix: &str) -> Self {
        Self::with_checksum(prefix, &random_base62(RANDOM_CHARS))
    }

    /// A random UUID (RFC 9562 §5.4), 122 random bits, for APIs that document keys in this form.
    #[must_use]
    pub fn uuid() -> Self {
        Self(Zeroizing::new(uuid::Builder::from_random_bytes(random_bytes()).into_uuid().to_string()))
    }

    /// `prefix` + `body` + checksum.
    #[must_use]
    pub fn with_checksum(prefix: &str, body: &str) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + body.len() + CHECKSUM_CHARS));
        text.push_str(prefix);
        text.push_str(body);
        let sum = checksum(text.as_bytes());
        text.push_str(&sum);
        Self(text)
    }

    /// The plain text, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its digest, the only form that is stored.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Its last four characters, for its owner to compare with a configured key. If they belong to the checksum, they
    /// reveal at most 24 of its 32 bits, so that more than 180 random bits stay unknown.
    #[must_use]
    pub fn hint(&self) -> String {
        self.0[self.0.len().saturating_sub(4)..].to_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(REDACTED)")
    }
}

/// Whether `text` begins like a secret of this server that is not a key.
#[must_use]
pub fn is_other_kind(text: &str) -> bool {
    [CODE, REFRESH_TOKEN, CLIENT_SECRET].into_iter().any(|prefix| text.starts_with(prefix))
}

/// The body of a secret with a checksum, if `text` starts with `prefix` and its checksum is right.
#[must_use]
pub fn strip_checksum<'t>(prefix: &str, text: &'t str) -> Option<&'t str> {
    let body = text.strip_prefix(prefix)?;
    has_checksum(text).then(|| &body[..body.len() - CHECKSUM_CHARS])
}

/// Whether `text` ends in its own checksum.
#[must_use]
pub fn has_checksum(text: &str) -> bool {
    let Some(at) = text.len().checked_sub(CHECKSUM_CHARS).filter(|_| text.is_ascii()) else { return false };
    let (body, sum) = text.split_at(at);
    !body.is_empty() && checksum(body.as_bytes()) == sum
}

fn checksum(bytes: &[u8]) -> String {
    let mut rest = crc32fast::hash(bytes) as usize;
    let mut out = [b'0'; CHECKSUM_CHARS];
    for slot in out.iter_mut().rev() {
        *slot = BASE62[rest % 62];
        rest /= 62;
    }
    out.iter().map(|&b| char::from(b)).collect()
}

/// `count` random characters of the base62 alphabet.
#[must_use]
pub fn random_base62(count: usize) -> String {
    let mut rng = rand::rng();
    (0..count).map(|_| char::from(BASE62[rng.random_range(0..62)])).collect()
}

/// `N` random bytes.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes);
    bytes
}

/// An identifier such as `user_4fKd…`: not secret, not guessable, never reused.
#[must_use]
pub fn new_id(kind: &str) -> String {
    format!("{kind}_{}", random_base62(20))
}

/// SHA-256 of a secret. To authenticate, compare it with [`Digest::proves`], in constant time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; digest::SHA256_OUTPUT_LEN]);

impl Digest {
    /// The digest of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Self(bytes)
    }

    /// The digest as stored: base64url, 43 characters.
    #[must_use]
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// Whether this digest equals the stored one; compared in constant time.
    #[must_use]
    pub fn proves(&self, kept: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &kept.0).is_ok()
    }

    /// The shard, out of `count`, that it belongs to.
    #[must_use]
    pub fn shard(&self, count: usize) -> usize {
        usize::from(u16::from_be_bytes([self.0[0], self.0[1]])) % count.max(1)
    }

    /// Reads a digest as people write it: 64 hexadecimal digits, or base64url with or without its padding.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match HEXLOWER_PERMISSIVE.decode(text.as_bytes()) {
            Ok(bytes) => bytes.try_into().ok().map(Self),
            Err(_) => Self::parse(text.strip_suffix('=').unwrap_or(text)),
        }
    }

    /// Reads a stored digest; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_long_checksummed_and_hidden_in_debug_output() {
        // THREATS: AK1
        let one = Secret::generate("gd_live_");
        let two = Secret::generate("gd_live_");
        assert_ne!(one.expose(), two.expose());
        assert_eq!(one.expose().len(), "gd_live_".len() + 36 + 6);
        assert!(36.0 * 62f64.log2() >= 192.0);
        assert_eq!(format!("{one:?} {:?}", one.digest()), "Secret(REDACTED) Digest");
    }

    proptest! {
        #[test]
        fn checksum_detects_any_single_wrong_character(at in 0usize..50, to in "[0-9A-Za-z]") {
            let secret = Secret::generate("gd_live_");
            let mut text = secret.expose().to_owned();
            text.replace_range(at..=at, &to);
            prop_assert_eq!(has_checksum(&text), text == secret.expose());
            prop_assert!(strip_checksum("gd_live_", secret.expose()).is_some());
            prop_assert!(strip_checksum("gd_live_", &secret.expose()[..secret.expose().len() - 1]).is_none());
        }

        #[test]
        fn arbitrary_text_is_handled(text in "\\PC{0,80}") {
            let _ = (has_checksum(&text), strip_checksum("gd_live_", &text), Digest::parse(&text));
        }
    }
}

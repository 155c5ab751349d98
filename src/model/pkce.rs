//! Owns PKCE (RFC 7636) with S256, the only method.

use aws_lc_rs::{constant_time, digest};
use data_encoding::BASE64URL_NOPAD;

use super::error::Error;

/// Shortest and longest `code_verifier` (RFC 7636 §4.1), in characters.
pub const VERIFIER_MIN: usize = 43;
pub const VERIFIER_MAX: usize = 128;

/// A `code_challenge`: base64url of a SHA-256, 43 characters (RFC 7636 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Parses a challenge with its method.
    ///
    /// # Errors
    /// `invalid_request` when the method is not `S256` or the challenge is not the base64url of 32 bytes.
    pub fn parse(challenge: &str, method: Option<&str>) -> Result<Self, Error> {
        if method != Some("S256") {
            return Err(Error::invalid_request("code_challenge_method must be S256"));
        }
        let is_digest =
            BASE64URL_NOPAD.decode(challenge.as_bytes()).is_ok_and(|bytes| bytes.len() == digest::SHA256_OUTPUT_LEN);
        if !is_digest {
            return Err(Error::invalid_request("code_challenge must be 43 base64url characters"));
        }
        Ok(Self(challenge.to_owned()))
    }

    /// A challenge as stored.
    #[must_use]
    pub fn stored(challenge: String) -> Self {
        Self(challenge)
    }

    /// Whether `verifier` is well formed (RFC 7636 §4.1) and hashes to this challenge; compared in constant time.
    #[must_use]
    pub fn accepts(&self, verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if !(VERIFIER_MIN..=VERIFIER_MAX).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return false;
        }
        let hashed = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref());
        constant_time::verify_slices_are_equal(hashed.as_bytes(), self.0.as_bytes()).is_ok()
    }

    /// The challenge as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn rfc_7636_appendix_b_vector_passes() {
        let challenge = CodeChallenge::parse(CHALLENGE, Some("S256")).expect("challenge");
        assert!(challenge.accepts(VERIFIER));
        assert!(!challenge.accepts(&VERIFIER[..42]));
        assert!(!challenge.accepts(&VERIFIER.repeat(4)));
    }

    #[test]
    fn plain_short_padded_and_standard_base64_are_refused() {
        // THREATS: PK2 PK3
        for method in [None, Some("plain"), Some("s256"), Some("S512")] {
            assert!(CodeChallenge::parse(CHALLENGE, method).is_err(), "{method:?}");
        }
        let padded = format!("{CHALLENGE}=");
        let standard = CHALLENGE.replace('-', "+");
        for challenge in ["", "short", padded.as_str(), standard.as_str(), &CHALLENGE[..42]] {
            assert!(CodeChallenge::parse(challenge, Some("S256")).is_err(), "{challenge}");
        }
    }

    proptest! {
        #[test]
        fn only_the_matching_verifier_passes(verifier in "[A-Za-z0-9._~-]{43,128}", other in "[A-Za-z0-9._~-]{43,128}") {
            let text = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref());
            let challenge = CodeChallenge::parse(&text, Some("S256")).expect("challenge");
            prop_assert!(challenge.accepts(&verifier));
            prop_assert_eq!(challenge.accepts(&other), verifier == other);
        }
    }
}

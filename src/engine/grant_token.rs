//! Owns codes and refresh tokens: self-describing, authenticated strings over grant ID and generation (DESIGN idea 2).
//! Garbage is refused before any query. Does not check whether a grant is active; see `store::grants`.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;

use super::master::{MasterKey, Purpose};
use crate::model::{
    error::Error,
    grant::GrantId,
    secret::{self, Secret},
};

const ID_BYTES: usize = 16;
const GENERATION_BYTES: usize = 4;

/// Creates and reads codes and refresh tokens.
#[derive(Debug)]
pub struct GrantTokens {
    codes: Keys,
    refresh: Keys,
}

/// The key that seals, and another that is accepted while the master key is being replaced.
#[derive(Debug)]
struct Keys {
    own: hmac::Key,
    other: Option<hmac::Key>,
}

impl Keys {
    fn new(master: &MasterKey, purpose: Purpose) -> Result<Self, Error> {
        let other = master.other().map(|other| other.mac(purpose)).transpose()?;
        Ok(Self { own: master.mac(purpose)?, other })
    }
}

impl GrantTokens {
    /// Uses subkeys of `master`.
    pub fn new(master: &MasterKey) -> Result<Self, Error> {
        Ok(Self { codes: Keys::new(master, Purpose::Code)?, refresh: Keys::new(master, Purpose::Refresh)? })
    }

    /// The authorization code of a grant. Its 256-bit MAC makes it unguessable.
    pub fn code(&self, id: &GrantId) -> Secret {
        seal(secret::CODE, &self.codes.own, &id.0)
    }

    /// The grant ID of a code, if this server issued exactly this text.
    pub fn read_code(&self, code: &str) -> Option<String> {
        let payload = open(secret::CODE, &self.codes, code)?;
        Some(GrantId(payload.try_into().ok()?).text())
    }

    /// The refresh token of one generation of a grant. It is deterministic, so a retry gets the same successor.
    pub fn refresh_token(&self, grant_id: &str, generation: u32) -> Result<Secret, Error> {
        let mut payload = BASE64URL_NOPAD.decode(grant_id.as_bytes()).map_err(|_| Error::server("a grant id"))?;
        payload.extend_from_slice(&generation.to_be_bytes());
        Ok(seal(secret::REFRESH_TOKEN, &self.refresh.own, &payload))
    }

    /// The grant ID and generation of a refresh token, if this server issued exactly this text.
    pub fn read_refresh_token(&self, token: &str) -> Option<(String, u32)> {
        let payload = open(secret::REFRESH_TOKEN, &self.refresh, token)?;
        let (id, generation) = payload.split_at_checked(ID_BYTES)?;
        let generation: [u8; GENERATION_BYTES] = generation.try_into().ok()?;
        Some((BASE64URL_NOPAD.encode(id), u32::from_be_bytes(generation)))
    }
}

fn seal(prefix: &str, key: &hmac::Key, payload: &[u8]) -> Secret {
    let mut bytes = payload.to_vec();
    bytes.extend_from_slice(hmac::sign(key, payload).as_ref());
    Secret::with_checksum(prefix, &BASE64URL_NOPAD.encode(&bytes))
}

fn open(prefix: &str, keys: &Keys, text: &str) -> Option<Vec<u8>> {
    let mut bytes = BASE64URL_NOPAD.decode(secret::strip_checksum(prefix, text)?.as_bytes()).ok()?;
    let tag = bytes.split_off(bytes.len().checked_sub(hmac::HMAC_SHA256.digest_algorithm().output_len())?);
    let is_ours = |key: &hmac::Key| hmac::verify(key, &bytes, &tag).is_ok();
    (is_ours(&keys.own) || keys.other.as_ref().is_some_and(is_ours)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::clock::Timestamp;

    #[test]
    fn tokens_are_bound_to_kind_key_and_generation() {
        // THREATS: CE5 CE11
        let tokens = GrantTokens::new(&MasterKey::generate()).expect("tokens");
        let others = GrantTokens::new(&MasterKey::generate()).expect("tokens");
        let id = GrantId::new(Timestamp(1_800_000_000_000));
        let code = tokens.code(&id);
        let refresh = tokens.refresh_token(&id.text(), 7).expect("token");
        assert_eq!(tokens.read_code(code.expose()), Some(id.text()));
        assert_eq!(tokens.read_refresh_token(refresh.expose()), Some((id.text(), 7)));
        assert_eq!(tokens.read_code(refresh.expose()), None);
        assert_eq!(tokens.read_refresh_token(code.expose()), None);
        assert_eq!(others.read_code(code.expose()), None);
        let body = secret::strip_checksum(secret::REFRESH_TOKEN, refresh.expose()).expect("body");
        assert_eq!(tokens.read_code(Secret::with_checksum(secret::CODE, body).expose()), None);
    }

    proptest! {
        #[test]
        fn altered_tokens_are_refused(at in 0usize..70, to in "[0-9A-Za-z_-]") {
            let tokens = GrantTokens::new(&MasterKey::generate()).expect("tokens");
            let code = tokens.code(&GrantId::new(Timestamp(1_800_000_000_000)));
            let mut text = code.expose().to_owned();
            let at = at.min(text.len() - 1);
            text.replace_range(at..=at, &to);
            prop_assert_eq!(tokens.read_code(&text).is_some(), text == code.expose());
            prop_assert!(tokens.read_code(&text[..at]).is_none());
        }

        #[test]
        fn arbitrary_text_is_handled(text in "\\PC{0,120}") {
            let tokens = GrantTokens::new(&MasterKey::generate()).expect("tokens");
            prop_assert!(tokens.read_code(&text).is_none());
            prop_assert!(tokens.read_refresh_token(&text).is_none());
        }
    }
}

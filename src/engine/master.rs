//! Owns the master key and the subkeys derived from it, one per purpose. Does not locate the key; see `cli::context`.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    hkdf, hmac,
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use zeroize::{Zeroize, Zeroizing};

use crate::model::{error::Error, secret};

const KEY_BYTES: usize = 32;

/// The purpose of a subkey; each has its own.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Authorization codes.
    Code,
    /// Refresh tokens.
    Refresh,
    /// CSRF tokens and one-time form IDs.
    Forms,
    /// "Known device" cookies.
    Device,
    /// Names of the subjects in limits that nodes share.
    Limits,
    /// Seals of the audit log.
    Audit,
    /// Sealing of signing keys.
    SigningKeys,
    /// Sealing of responses stored for retries.
    Responses,
    /// Cursors of lists.
    Cursors,
    /// The check that this is the key with which the database was created.
    Check,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Code => b"grantd code v1",
            Self::Refresh => b"grantd refresh v1",
            Self::Forms => b"grantd forms v1",
            Self::Device => b"grantd device v1",
            Self::Limits => b"grantd limits v1",
            Self::Audit => b"grantd audit v1",
            Self::SigningKeys => b"grantd signing keys v1",
            Self::Responses => b"grantd answers v1",
            Self::Cursors => b"grantd cursors v1",
            Self::Check => b"grantd check v1",
        }
    }
}

type Bytes = Zeroizing<[u8; KEY_BYTES]>;

/// The only secret outside the database. While it is being replaced, whatever the other one sealed is accepted too.
#[derive(Clone)]
pub struct MasterKey {
    own: Bytes,
    other: Option<Bytes>,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(REDACTED)")
    }
}

impl MasterKey {
    /// A new random key.
    pub fn generate() -> Self {
        Self { own: Zeroizing::new(secret::random_bytes()), other: None }
    }

    /// Also accepts what `other` sealed. Everything new is sealed with this one.
    pub fn beside(self, other: Option<Self>) -> Self {
        Self { other: other.map(|other| other.own), ..self }
    }

    /// This key alone.
    pub fn alone(&self) -> Self {
        Self { own: self.own.clone(), other: None }
    }

    /// The other key alone, if there is one.
    pub fn other(&self) -> Option<Self> {
        self.other.clone().map(|own| Self { own, other: None })
    }

    /// Parses 32 bytes in base64. An obvious sample is refused. An error never repeats the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let right = || {
            Error::invalid_request(
                "the master key must be 32 random bytes in base64; `openssl rand -base64 32` generates one",
            )
        };
        let mut bytes = BASE64.decode(text.trim().as_bytes()).map_err(|_| right())?;
        let mut key = [0; KEY_BYTES];
        if bytes.len() != KEY_BYTES {
            return Err(right());
        }
        key.copy_from_slice(&bytes);
        bytes.zeroize();
        let mut distinct = key.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        // 32 random bytes have about 30 distinct values; fewer than 16 do not occur by chance.
        if distinct.len() < 16 || key.iter().all(u8::is_ascii) {
            return Err(Error::invalid_request(
                "the master key is not random; generate one with `openssl rand -base64 32`",
            ));
        }
        Ok(Self { own: Zeroizing::new(key), other: None })
    }

    /// The key in base64, for the file next to an embedded database.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(&*self.own))
    }

    fn subkey(&self, purpose: Purpose) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"grantd");
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        salt.extract(&*self.own)
            .expand(&[purpose.label()], hkdf::HKDF_SHA256)
            .and_then(|material| material.fill(&mut *out))
            .map_err(|_| Error::server("cannot derive a subkey"))?;
        Ok(out)
    }

    /// An authentication key for one purpose.
    pub fn mac(&self, purpose: Purpose) -> Result<hmac::Key, Error> {
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &*self.subkey(purpose)?))
    }

    /// Seals `plain` with AES-256-GCM, bound to `context`.
    pub fn seal(&self, purpose: Purpose, context: &str, plain: &[u8]) -> Result<String, Error> {
        let failed = |_| Error::server("sealing failed");
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*self.subkey(purpose)?).map_err(failed)?;
        let mut data = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut data).map_err(failed)?;
        let mut out = nonce.as_ref().to_vec();
        out.append(&mut data);
        Ok(BASE64URL_NOPAD.encode(&out))
    }

    /// Opens data sealed by [`Self::seal`] for the same context. Fails if it was sealed under another key, for another
    /// context, or was changed.
    pub fn open(&self, purpose: Purpose, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let opened = self.open_alone(purpose, context, sealed);
        match self.other() {
            Some(other) if opened.is_err() => other.open_alone(purpose, context, sealed),
            _ => opened,
        }
    }

    fn open_alone(&self, purpose: Purpose, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed = || Error::server("the sealed data does not belong to this master key");
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).map_err(|_| failed())?;
        let (nonce, data) = bytes.split_at_checked(aws_lc_rs::aead::NONCE_LEN).ok_or_else(failed)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*self.subkey(purpose)?).map_err(|_| failed())?;
        let nonce = aws_lc_rs::aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
        let mut data = Zeroizing::new(data.to_vec());
        let length = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut data).map_err(|_| failed())?.len();
        data.truncate(length);
        Ok(data)
    }

    /// Whether this key or the other one has this fingerprint.
    pub fn has_fingerprint(&self, known: &str) -> Result<bool, Error> {
        let is_others = match self.other() {
            Some(other) => other.fingerprint()? == known,
            None => false,
        };
        Ok(is_others || self.fingerprint()? == known)
    }

    /// A value by which a database recognizes the key it was created with. Reveals nothing about the key.
    pub fn fingerprint(&self) -> Result<String, Error> {
        Ok(BASE64URL_NOPAD.encode(hmac::sign(&self.mac(Purpose::Check)?, b"fingerprint").as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_master_keys_are_refused() {
        // THREATS: JW11
        for sample in [
            "",
            "secret",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "Y2hhbmdlLW1lLWNoYW5nZS1tZS1jaGFuZ2UtbWUtMTI=",
            "x x",
        ] {
            assert!(MasterKey::parse(sample).is_err(), "{sample}");
        }
        let key = MasterKey::generate();
        assert_eq!(
            MasterKey::parse(&key.text()).expect("key").fingerprint().expect("fp"),
            key.fingerprint().expect("fp")
        );
    }

    #[test]
    fn sealed_data_opens_only_with_its_key_and_context() {
        // THREATS: SR1
        let key = MasterKey::generate();
        let sealed = key.seal(Purpose::SigningKeys, "kid", b"private").expect("sealed");
        assert_eq!(key.open(Purpose::SigningKeys, "kid", &sealed).expect("opened").as_slice(), b"private");
        assert!(key.open(Purpose::SigningKeys, "other", &sealed).is_err());
        assert!(key.open(Purpose::Device, "kid", &sealed).is_err());
        assert!(MasterKey::generate().open(Purpose::SigningKeys, "kid", &sealed).is_err());
    }
}

//! Owns signing keys, from creation to retirement. Does not choose what is signed; see `engine::mint`.
//!
//! `jsonwebtoken` parses its key for each signature, so we sign ourselves: header and claims in base64url, signed by a
//! key pair that was parsed once. `jsonwebtoken` verifies, with our own strict checks around it (`engine::read_token`).

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    digest,
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeySize, PrivateDecryptingKey},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{
    DecodingKey,
    jwk::{Jwk, KeyAlgorithm, PublicKeyUse, ThumbprintHash},
};
use serde_json::json;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::master::{MasterKey, Purpose};
use crate::{
    model::{api::Algorithm, audit::Origin, clock::Timestamp, error::Error, policy::ACCESS_TOKEN_BOUNDS},
    store::{SigningKeyRow, Store},
};

/// How long a resource server may cache the JWKS, in seconds.
pub const JWKS_MAX_AGE_SECONDS: i64 = 300;
/// A new key is announced this long before it signs: many times the JWKS's maximum age.
const LEAD: Duration = Duration::from_hours(1);
const SKEW: Duration = Duration::from_hours(1);

enum Signer {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A loaded key.
pub struct LoadedKey {
    /// Key ID.
    pub kid: String,
    /// The algorithm with which it signs.
    pub algorithm: Algorithm,
    /// Verifies its signatures.
    pub verifier: DecodingKey,
    generation: i64,
    created_at: Timestamp,
    active_from: Timestamp,
    header: String,
    signer: Signer,
}

impl std::fmt::Debug for LoadedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The current keys, and the JWKS that announces them.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<LoadedKey>,
    /// The JWKS document (RFC 7517 §5), public members only.
    pub jwks: Arc<str>,
    /// Its entity tag.
    pub etag: Arc<str>,
}

impl KeySet {
    /// The key with this ID.
    pub fn find(&self, kid: &str) -> Option<&LoadedKey> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    fn current(&self, algorithm: Algorithm, now: Timestamp) -> Option<&LoadedKey> {
        let keys = || self.keys.iter().filter(|key| key.algorithm == algorithm);
        let active = keys().filter(|key| key.active_from <= now).max_by_key(|key| key.generation);
        // No key is active yet if the clock of its creator is ahead of ours: using it early is better than failing.
        active.or_else(|| keys().min_by_key(|key| key.active_from))
    }

    /// The algorithms that have a key, for the metadata.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms: Vec<Algorithm> = self.keys.iter().map(|key| key.algorithm).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        algorithms
    }
}

/// Signs, and manages the keys.
#[derive(Debug)]
pub struct Signing {
    store: Arc<Store>,
    master: MasterKey,
    lifetime: Duration,
    rng: SystemRandom,
    current: ArcSwap<KeySet>,
    /// Held from the read to the replacement, so that a slow read does not overwrite a later one.
    reading: Mutex<()>,
}

impl Signing {
    /// Loads the keys and creates missing ones, for ES256 and for `algorithms`.
    pub async fn load(
        store: Arc<Store>,
        master: MasterKey,
        lifetime: Duration,
        now: Timestamp,
        algorithms: &[Algorithm],
    ) -> Result<Self, Error> {
        let signing = Self {
            store,
            master,
            lifetime,
            rng: SystemRandom::new(),
            current: ArcSwap::default(),
            reading: Mutex::default(),
        };
        signing.reload().await?;
        signing.ensure(now, algorithms).await?;
        Ok(signing)
    }

    /// The current keys.
    pub fn keys(&self) -> Arc<KeySet> {
        self.current.load_full()
    }

    /// Reloads the keys. After an error the old set is kept.
    pub async fn reload(&self) -> Result<(), Error> {
        let _reading = self.reading.lock().await;
        let rows = self.store.signing_keys().await?;
        let mut jwks = Vec::new();
        let mut keys = Vec::new();
        for row in rows {
            let private = self.master.open(Purpose::SigningKeys, &row.kid, &row.sealed)?;
            keys.push(load(&row, &private)?);
            jwks.push(serde_json::from_str::<serde_json::Value>(&row.public_jwk).map_err(Error::server)?);
        }
        let jwks = json!({ "keys": jwks }).to_string();
        let etag =
            format!("\"{}\"", &BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, jwks.as_bytes()).as_ref())[..16]);
        self.current.store(Arc::new(KeySet { keys, jwks: jwks.into(), etag: etag.into() }));
        Ok(())
    }

    /// Creates the first key of each algorithm that has none; it signs at once, because no verifier has cached another.
    pub async fn ensure(&self, now: Timestamp, algorithms: &[Algorithm]) -> Result<(), Error> {
        let mut made = false;
        for &algorithm in [Algorithm::ES256].iter().chain(algorithms) {
            if !self.keys().keys.iter().any(|key| key.algorithm == algorithm) {
                self.make(now, algorithm, 1, now, &Origin::system()).await?;
                made = true;
            }
        }
        if made { self.reload().await } else { Ok(()) }
    }

    /// Announces a successor for every key near the end of its time, and deletes keys that are no longer needed.
    pub async fn maintain(&self, now: Timestamp) -> Result<(), Error> {
        let set = self.keys();
        for algorithm in set.algorithms() {
            let mut keys: Vec<&LoadedKey> = set.keys.iter().filter(|key| key.algorithm == algorithm).collect();
            keys.sort_by_key(|key| key.generation);
            if let Some(newest) = keys.last()
                && newest.active_from + self.lifetime <= now + LEAD
            {
                let active_from = now + LEAD.min(self.lifetime);
                self.make(now, algorithm, newest.generation + 1, active_from, &Origin::system()).await?;
            }
            for pair in keys.windows(2) {
                let gone = pair[1].active_from.plus_seconds(*ACCESS_TOKEN_BOUNDS.end()) + SKEW;
                if gone <= now {
                    self.store.delete_signing_key(now, Origin::system(), pair[0].kid.clone()).await?;
                }
            }
        }
        Ok(())
    }

    /// Creates the next key of an algorithm now. It is announced first, unless `compromised`: then it signs at once,
    /// the others are deleted and everything they signed becomes invalid.
    pub async fn rotate(
        &self,
        now: Timestamp,
        origin: Origin,
        algorithm: Algorithm,
        compromised: bool,
    ) -> Result<(), Error> {
        let set = self.keys();
        let old: Vec<&LoadedKey> = set.keys.iter().filter(|key| key.algorithm == algorithm).collect();
        let generation = old.iter().map(|key| key.generation).max().unwrap_or(0) + 1;
        let active_from = if compromised || old.is_empty() { now } else { now + LEAD };
        self.make(now, algorithm, generation, active_from, &origin).await?;
        if compromised {
            for key in old {
                self.store.delete_signing_key(now, origin.clone(), key.kid.clone()).await?;
            }
        }
        self.reload().await
    }

    /// When each key was created and when it begins to sign, for display.
    pub fn list(&self) -> Vec<(String, Algorithm, Timestamp, Timestamp)> {
        self.keys().keys.iter().map(|key| (key.kid.clone(), key.algorithm, key.created_at, key.active_from)).collect()
    }

    /// How long the key of each algorithm has been signing, in seconds.
    pub fn ages(&self, now: Timestamp) -> Vec<(Algorithm, i64)> {
        let set = self.keys();
        let age = |key: &LoadedKey| (now.seconds() - key.active_from.seconds()).max(0);
        set.algorithms().into_iter().filter_map(|one| Some((one, age(set.current(one, now)?)))).collect()
    }

    /// A JWS in compact form over `claims`, typed `at+jwt` (RFC 9068 §2.1).
    pub fn sign(&self, now: Timestamp, algorithm: Algorithm, claims: &[u8]) -> Result<String, Error> {
        let set = self.current.load();
        let key = set.current(algorithm, now).ok_or_else(|| Error::server("no signing key is active"))?;
        let mut token = String::with_capacity(key.header.len() + claims.len() * 4 / 3 + 400);
        token.push_str(&key.header);
        BASE64URL_NOPAD.encode_append(claims, &mut token);
        let failed = |_| Error::server("signing failed");
        let signature = match &key.signer {
            Signer::Ecdsa(pair) => pair.sign(&self.rng, token.as_bytes()).map_err(failed)?.as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.sign(token.as_bytes()).as_ref().to_vec(),
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.rng, token.as_bytes(), &mut signature).map_err(failed)?;
                signature
            }
        };
        token.push('.');
        BASE64URL_NOPAD.encode_append(&signature, &mut token);
        Ok(token)
    }

    async fn make(
        &self,
        now: Timestamp,
        algorithm: Algorithm,
        generation: i64,
        active_from: Timestamp,
        origin: &Origin,
    ) -> Result<(), Error> {
        let (private, public) = generate(algorithm)?;
        let (kid, jwk) = public_jwk(algorithm, &public)?;
        let row = SigningKeyRow {
            sealed: self.master.seal(Purpose::SigningKeys, &kid, &private)?,
            kid,
            algorithm: algorithm.as_str().to_owned(),
            generation,
            public_jwk: jwk,
            created_at: now,
            active_from,
        };
        // If another node created this generation first, its key is used.
        self.store.insert_signing_key(now, origin.clone(), row).await?;
        Ok(())
    }
}

/// A new key pair: PKCS#8, and the public key in the library's encoding.
fn generate(algorithm: Algorithm) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Error> {
    let failed = |_| Error::server("cannot create a signing key");
    let rejected = |_| Error::server("cannot read back a new signing key");
    Ok(match algorithm {
        Algorithm::ES256 => {
            let document =
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(failed)?;
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).map_err(rejected)?;
            (Zeroizing::new(document.as_ref().to_vec()), pair.public_key().as_ref().to_vec())
        }
        Algorithm::EdDSA => {
            let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
            let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(rejected)?;
            (Zeroizing::new(document.as_ref().to_vec()), pair.public_key().as_ref().to_vec())
        }
        Algorithm::RS256 => {
            let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?;
            let document = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(failed)?;
            let pair = RsaKeyPair::from_pkcs8(document.as_ref()).map_err(rejected)?;
            (Zeroizing::new(document.as_ref().to_vec()), pair.public_key().as_ref().to_vec())
        }
    })
}

fn verifier(algorithm: Algorithm, public: &[u8]) -> DecodingKey {
    match algorithm {
        Algorithm::ES256 => DecodingKey::from_ec_der(public),
        Algorithm::EdDSA => DecodingKey::from_ed_der(public),
        Algorithm::RS256 => DecodingKey::from_rsa_der(public),
    }
}

/// The key ID (RFC 7638 thumbprint) and the JWK, which has public members only.
fn public_jwk(algorithm: Algorithm, public: &[u8]) -> Result<(String, String), Error> {
    let (library, named) = match algorithm {
        Algorithm::ES256 => (jsonwebtoken::Algorithm::ES256, KeyAlgorithm::ES256),
        Algorithm::EdDSA => (jsonwebtoken::Algorithm::EdDSA, KeyAlgorithm::EdDSA),
        Algorithm::RS256 => (jsonwebtoken::Algorithm::RS256, KeyAlgorithm::RS256),
    };
    let mut jwk = Jwk::from_decoding_key(&verifier(algorithm, public), Some(library)).map_err(Error::server)?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(Error::server)?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.key_algorithm = Some(named);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok((kid, serde_json::to_string(&jwk).map_err(Error::server)?))
}

fn load(row: &SigningKeyRow, private: &[u8]) -> Result<LoadedKey, Error> {
    let failed = |_| Error::server("cannot read a signing key");
    let algorithm =
        Algorithm::parse(&row.algorithm).ok_or_else(|| Error::server("a signing key has an unknown algorithm"))?;
    let (signer, public) = match algorithm {
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).map_err(failed)?;
            let public = pair.public_key().as_ref().to_vec();
            (Signer::Ecdsa(pair), public)
        }
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::from_pkcs8(private).map_err(failed)?;
            let public = pair.public_key().as_ref().to_vec();
            (Signer::Ed25519(pair), public)
        }
        Algorithm::RS256 => {
            let pair = RsaKeyPair::from_pkcs8(private).map_err(failed)?;
            let public = pair.public_key().as_ref().to_vec();
            (Signer::Rsa(pair), public)
        }
    };
    let header = json!({ "typ": "at+jwt", "alg": algorithm.as_str(), "kid": row.kid }).to_string();
    Ok(LoadedKey {
        kid: row.kid.clone(),
        algorithm,
        verifier: verifier(algorithm, &public),
        generation: row.generation,
        created_at: row.created_at,
        active_from: row.active_from,
        header: BASE64URL_NOPAD.encode(header.as_bytes()) + ".",
        signer,
    })
}

//! Owns the response to a key found in public: it is revoked and its owner is notified. Also verifies the signature of
//! a report, as in GitHub's secret scanning.

use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use data_encoding::BASE64;
use serde::Deserialize;

use super::{mail::Mailer, remote_keys::RemoteKeys};
use crate::{
    model::{audit::Origin, clock::Timestamp, error::Error, secret::Digest},
    store::{KeyRecord, Store},
};

/// Revokes leaked keys.
#[derive(Debug)]
pub struct Leaks {
    store: Arc<Store>,
    mailer: Arc<Mailer>,
    issuer: String,
    /// The reporter's keys; `None` if reports are not configured.
    reporter: Option<RemoteKeys<PublicKeys>>,
}

/// One of the reporter's keys, as published by GitHub.
#[derive(Clone, Debug, Deserialize)]
struct PublicKey {
    key_identifier: String,
    key: String,
}

#[derive(Debug, Deserialize)]
struct PublicKeys {
    public_keys: Vec<PublicKey>,
}

impl Leaks {
    /// Accepts reports that are signed by a key from `keys_url`; none if that is empty.
    pub fn new(store: Arc<Store>, mailer: Arc<Mailer>, issuer: String, keys_url: String) -> Self {
        let reporter = (!keys_url.is_empty()).then(|| RemoteKeys::new("the reporter's keys", keys_url));
        Self { store, mailer, issuer, reporter }
    }

    /// Whether signed reports are accepted.
    pub fn is_configured(&self) -> bool {
        self.reporter.is_some()
    }

    /// Whether the reporter's key `identifier` signed `body` (ECDSA on P-256 with SHA-256, ASN.1, base64). Fails if the
    /// reporter's keys cannot be fetched; never guesses.
    pub async fn is_signed(
        &self,
        now: Timestamp,
        identifier: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<bool, Error> {
        let (Ok(signature), Some(reporter)) = (BASE64.decode(signature.as_bytes()), &self.reporter) else {
            return Ok(false);
        };
        let found =
            reporter.find(now, |known| known.public_keys.iter().find(|key| key.key_identifier == identifier).cloned());
        let Some(point) = found.await?.and_then(|key| pem::parse(&key.key).ok()) else { return Ok(false) };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point.contents());
        Ok(key.verify(body, &signature).is_ok())
    }

    /// Revokes the key with this text, if it exists and is active, and notifies its owner. False if it does not exist.
    /// After an error the key may still be active.
    pub async fn end(&self, now: Timestamp, origin: Origin, key: &str, found_at: Option<&str>) -> Result<bool, Error> {
        let Some(record) = self.store.find_key_by_digest(&Digest::of(key)).await? else { return Ok(false) };
        if !self.store.revoke_leaked_key(now, origin, record.key.id.clone()).await? {
            return Ok(true);
        }
        let place = found_at.map(|url| format!(" at {url}")).unwrap_or_default();
        let subject = "Your API key was found in public and revoked";
        let what = format!("was found in public{place} and was revoked immediately.");
        self.tell(now, &record, subject, &what).await?;
        Ok(true)
    }

    /// Revokes a key at the request of its holder, and notifies its owner. After an error the key may still be active.
    pub async fn end_by_holder(&self, now: Timestamp, origin: Origin, record: &KeyRecord) -> Result<(), Error> {
        if record.key.revoked_at.is_some() {
            return Ok(());
        }
        let what = format!(
            "was revoked by someone who has the key, from {}.\n\
             Anyone who has a key can revoke it. If it was you, you do not have to do anything else.",
            origin.address
        );
        self.store.revoke_key(now, origin, record.key.id.clone(), None).await?;
        self.tell(now, record, "Your API key was revoked", &what).await
    }

    async fn tell(&self, now: Timestamp, record: &KeyRecord, subject: &str, what: &str) -> Result<(), Error> {
        if let Some(owner) = self.store.find_user(&record.user.id).await? {
            let (key, at) = (&record.key, now.rfc3339());
            let text = format!(
                "Hello {},\n\nyour API key \"{}\" (…{}) {what}\n\nIt stopped working at {at}.\n\n\
                 See how it was used: {issuer}/settings/keys/{}\n\
                 Create a new one: {issuer}/settings/keys\n",
                owner.name,
                key.name,
                key.hint,
                key.id,
                issuer = self.issuer,
            );
            self.mailer.send(&owner.email, subject, text);
        }
        Ok(())
    }
}

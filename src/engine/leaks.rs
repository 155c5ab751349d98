//! Owns the response to a key found in public: it is revoked and its owner is notified. Also verifies the signature of
//! a report, as in GitHub's secret scanning.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use data_encoding::BASE64;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{http_client, mail::Mailer};
use crate::{
    model::{audit::Origin, clock::Timestamp, error::Error, secret::Digest},
    store::{KeyRecord, Store},
};

/// The reporter's keys are fetched again after this long, in seconds, …
const KEYS_KEPT_SECONDS: i64 = 3600;
/// … but not more often than this, whatever identifiers are sent.
const KEYS_READ_SECONDS: i64 = 60;
/// After a failed fetch there is a pause, twice as long each time, in seconds: at first, …
const REST_SECONDS: i64 = 10;
/// … and at most: anybody can send reports, so nobody must be able to block signed ones for long.
const REST_SECONDS_MAX: i64 = 60;
const FETCH_MAX: Duration = Duration::from_secs(5);
/// Largest list of keys accepted, in bytes.
const KEYS_BYTES_MAX: usize = 65_536;

/// Revokes leaked keys.
#[derive(Debug)]
pub struct Leaks {
    store: Arc<Store>,
    mailer: Arc<Mailer>,
    issuer: String,
    reporter: Arc<Reporter>,
    /// Held during a fetch: one at a time.
    reading: Arc<Mutex<Rest>>,
}

/// The reporter's URL, and the keys last fetched from it.
#[derive(Debug)]
struct Reporter {
    keys_url: String,
    http: reqwest::Client,
    keys: ArcSwapOption<Known>,
}

/// The pause before the next fetch.
#[derive(Debug)]
struct Rest {
    until: Timestamp,
    seconds: i64,
}

impl Default for Rest {
    fn default() -> Self {
        Self { until: Timestamp(0), seconds: REST_SECONDS }
    }
}

#[derive(Debug)]
struct Known {
    read_at: Timestamp,
    keys: Vec<PublicKey>,
}

/// One of the reporter's keys, as published by GitHub.
#[derive(Debug, Deserialize)]
struct PublicKey {
    key_identifier: String,
    key: String,
}

#[derive(Deserialize)]
struct PublicKeys {
    public_keys: Vec<PublicKey>,
}

impl Leaks {
    /// Accepts reports that are signed by a key from `keys_url`; none if that is empty.
    ///
    /// # Errors
    /// `server_error` if TLS cannot be set up.
    pub fn new(store: Arc<Store>, mailer: Arc<Mailer>, issuer: String, keys_url: String) -> Result<Self, Error> {
        let http = http_client::build(&keys_url).timeout(FETCH_MAX).build().map_err(Error::server)?;
        let reporter = Arc::new(Reporter { keys_url, http, keys: ArcSwapOption::empty() });
        Ok(Self { store, mailer, issuer, reporter, reading: Arc::default() })
    }

    /// Whether signed reports are accepted.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.reporter.keys_url.is_empty()
    }

    /// Whether the reporter's key `identifier` signed `body` (ECDSA on P-256 with SHA-256, ASN.1, base64).
    ///
    /// # Errors
    /// `temporarily_unavailable` if the reporter's keys cannot be fetched; never a guess.
    pub async fn is_signed(
        &self,
        now: Timestamp,
        identifier: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<bool, Error> {
        let Ok(signature) = BASE64.decode(signature.as_bytes()) else { return Ok(false) };
        let known = self.known(now, identifier).await?;
        let key = known.keys.iter().find(|key| key.key_identifier == identifier);
        let Some(point) = key.and_then(|key| pem::parse(&key.key).ok()) else { return Ok(false) };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point.contents());
        Ok(key.verify(body, &signature).is_ok())
    }

    /// Revokes the key with this text, if it exists and is active, and notifies its owner. False if it does not exist.
    ///
    /// # Errors
    /// `temporarily_unavailable`; the key may then still be active.
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

    /// Revokes a key at the request of its holder, and notifies its owner.
    ///
    /// # Errors
    /// `temporarily_unavailable`; the key may then still be active.
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

    /// The reporter's keys, fetched again if they are old or lack this one. Anybody can send reports: while fetches
    /// fail, most reports are refused without an attempt.
    async fn known(&self, now: Timestamp, identifier: &str) -> Result<Arc<Known>, Error> {
        let is_enough = |known: &Arc<Known>| {
            let age = now.seconds() - known.read_at.seconds();
            let has_it = known.keys.iter().any(|key| key.key_identifier == identifier);
            age < KEYS_READ_SECONDS || (has_it && age < KEYS_KEPT_SECONDS)
        };
        if let Some(known) = self.reporter.keys.load_full().filter(&is_enough) {
            return Ok(known);
        }
        let mut rest = Arc::clone(&self.reading).lock_owned().await;
        if let Some(known) = self.reporter.keys.load_full().filter(&is_enough) {
            return Ok(known);
        }
        if now < rest.until {
            let wait = rest.until.seconds() - now.seconds();
            let error = Error::unavailable("the reporter's keys could not be fetched a moment ago");
            return Err(Error { retry_after: Some(wait.max(1)), ..error });
        }
        // A separate task: a client that disconnects does not abort the fetch, so only a failed one causes a pause.
        let reporter = Arc::clone(&self.reporter);
        let reading = tokio::spawn(async move {
            let fetched = reporter.fetch().await;
            match fetched {
                Ok(PublicKeys { public_keys: keys }) => {
                    *rest = Rest::default();
                    let known = Arc::new(Known { read_at: now, keys });
                    reporter.keys.store(Some(Arc::clone(&known)));
                    Ok(known)
                }
                Err(error) => {
                    rest.until = now.plus_seconds(rest.seconds);
                    rest.seconds = (rest.seconds * 2).min(REST_SECONDS_MAX);
                    Err(error)
                }
            }
        });
        reading.await.map_err(Error::server)?
    }
}

impl Reporter {
    async fn fetch(&self) -> Result<PublicKeys, Error> {
        let mut response = self.http.get(&self.keys_url).send().await.map_err(Error::unavailable)?;
        if !response.status().is_success() {
            return Err(Error::unavailable(format!("the reporter's keys: {}", response.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Error::unavailable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > KEYS_BYTES_MAX {
                return Err(Error::unavailable("the reporter's list of keys is too long"));
            }
        }
        serde_json::from_slice(&bytes).map_err(Error::unavailable)
    }
}

//! Owns the public keys that another server publishes: fetched when one is needed, kept for a while. Fetches
//! do not overlap, keep a minimum interval whatever identifiers are requested, and back off while they fail.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::http_client;
use crate::model::{clock::Timestamp, error::Error};

/// The keys are fetched again after this long, in seconds, …
const KEPT_SECONDS: i64 = 3600;
/// … but not more often than this, whatever identifiers are sent.
const READ_SECONDS: i64 = 60;
/// After a failed fetch there is a pause, twice as long each time, in seconds: at first, …
const REST_SECONDS: i64 = 10;
/// … and at most: any request can cause a fetch, so one sender must not block others for long.
const REST_SECONDS_MAX: i64 = 60;
const FETCH_MAX: Duration = Duration::from_secs(5);
/// Largest list of keys accepted, in bytes.
const BYTES_MAX: usize = 65_536;

/// The keys of one server, in a document of type `D`.
#[derive(Debug)]
pub(super) struct RemoteKeys<D> {
    server: Arc<Server<D>>,
    /// Held during a fetch: one at a time.
    reading: Arc<Mutex<Rest>>,
}

/// The URL, and the keys last fetched from it.
#[derive(Debug)]
struct Server<D> {
    /// Their name in errors.
    name: &'static str,
    url: String,
    keys: ArcSwapOption<Known<D>>,
}

#[derive(Debug)]
struct Known<D> {
    read_at: Timestamp,
    keys: D,
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

impl<D: DeserializeOwned + Send + Sync + 'static> RemoteKeys<D> {
    pub(super) fn new(name: &'static str, url: String) -> Self {
        Self { server: Arc::new(Server { name, url, keys: ArcSwapOption::empty() }), reading: Arc::default() }
    }

    /// The key that `pick` selects, from keys that are fetched again if they are old or lack it. While fetches fail, most
    /// calls fail without an attempt.
    pub(super) async fn find<K>(&self, now: Timestamp, pick: impl Fn(&D) -> Option<K>) -> Result<Option<K>, Error> {
        let fresh = || {
            let known = self.server.keys.load_full()?;
            let (age, key) = (now.seconds() - known.read_at.seconds(), pick(&known.keys));
            (age < READ_SECONDS || (key.is_some() && age < KEPT_SECONDS)).then_some(key)
        };
        if let Some(key) = fresh() {
            return Ok(key);
        }
        let mut rest = Arc::clone(&self.reading).lock_owned().await;
        if let Some(key) = fresh() {
            return Ok(key);
        }
        if now < rest.until {
            let wait = rest.until.seconds() - now.seconds();
            let error = Error::unavailable(format!("{} could not be fetched a moment ago", self.server.name));
            return Err(Error { retry_after: Some(wait.max(1)), ..error });
        }
        // A separate task: a client that disconnects does not abort the fetch, so only a failed one causes a pause.
        let server = Arc::clone(&self.server);
        let reading = tokio::spawn(async move {
            match server.fetch().await {
                Ok(keys) => {
                    *rest = Rest::default();
                    let known = Arc::new(Known { read_at: now, keys });
                    server.keys.store(Some(Arc::clone(&known)));
                    Ok(known)
                }
                Err(error) => {
                    rest.until = now.plus_seconds(rest.seconds);
                    rest.seconds = (rest.seconds * 2).min(REST_SECONDS_MAX);
                    Err(error)
                }
            }
        });
        Ok(pick(&reading.await.map_err(Error::server)??.keys))
    }
}

impl<D: DeserializeOwned> Server<D> {
    async fn fetch(&self) -> Result<D, Error> {
        // Built for each of these rare fetches: a client reads the system's certificates, which a start should not wait for.
        let http = http_client::build(&self.url).timeout(FETCH_MAX).build().map_err(Error::server)?;
        let mut response = http.get(&self.url).send().await.map_err(Error::unavailable)?;
        if !response.status().is_success() {
            return Err(Error::unavailable(format!("{}: {}", self.name, response.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Error::unavailable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BYTES_MAX {
                return Err(Error::unavailable(format!("{}: the list is too long", self.name)));
            }
        }
        serde_json::from_slice(&bytes).map_err(Error::unavailable)
    }
}

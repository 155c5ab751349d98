//! Owns people's passwords: Argon2id on a bounded blocking pool. Generated secrets never come here.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::model::error::Error;

/// Longest password, in bytes; at least this many are accepted and none is cut.
const PASSWORD_MAX: usize = 1024;
/// Shortest password that can be set, in characters.
const PASSWORD_MIN: usize = 8;
/// Sign-ins that wait for a core; more are told to try again.
const QUEUE_MAX: usize = 64;

/// Hashes and checks passwords, as many at once as there are cores.
#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    dummy: String,
}

impl Passwords {
    /// With a hash of nobody's password, so that an unknown user costs what a known one does.
    ///
    /// # Errors
    /// `server_error` when hashing fails.
    pub fn new() -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let dummy = hash_now(&SecretString::from(crate::model::secret::random_base62(24)))?;
        Ok(Self { running: Arc::new(Semaphore::new(cores)), waiting: Semaphore::new(QUEUE_MAX), dummy })
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// `invalid_request` when it is too short or too long, `temporarily_unavailable` when too many wait.
    pub async fn hash(&self, password: SecretString) -> Result<String, Error> {
        let text = password.expose_secret();
        if text.len() > PASSWORD_MAX || text.chars().count() < PASSWORD_MIN {
            return Err(Error::invalid_request("a password has 8 to 1024 characters"));
        }
        self.run(move || hash_now(&password)).await?
    }

    /// Whether `password` is the one of `stored`; the same work is done where there is none.
    ///
    /// # Errors
    /// `temporarily_unavailable` when too many wait.
    pub async fn check(&self, stored: Option<String>, password: SecretString) -> Result<bool, Error> {
        if password.expose_secret().len() > PASSWORD_MAX {
            return Ok(false);
        }
        let known = stored.is_some();
        let hash = stored.unwrap_or_else(|| self.dummy.clone());
        let same = self
            .run(move || Argon2::default().verify_password(password.expose_secret().as_bytes(), hash.as_str()).is_ok())
            .await?;
        Ok(same && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::unavailable("too many sign-ins wait"))?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(Error::server)?;
        spawn_blocking(move || {
            let _running = running;
            work()
        })
        .await
        .map_err(Error::server)
    }
}

fn hash_now(password: &SecretString) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.expose_secret().as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| Error::server("hashing failed"))
}

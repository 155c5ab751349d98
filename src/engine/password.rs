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
/// The hash of no password, with the parameters of every other: an unknown user costs what a known one does.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ibw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and checks passwords, as many at once as there are cores.
#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Passwords {
    /// With nobody waiting.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { running: Arc::new(Semaphore::new(cores)), waiting: Semaphore::new(QUEUE_MAX) }
    }
}

impl Passwords {
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
        let hash = stored.unwrap_or_else(|| NOBODY.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_costs_the_same_work_and_never_passes() {
        // THREATS: SE6
        let passwords = Passwords::default();
        let somebody = passwords.hash(SecretString::from("correct horse")).await.expect("a hash");
        let parameters = |hash: &str| hash.rsplitn(3, '$').last().expect("parameters").to_owned();
        assert_eq!(parameters(NOBODY), parameters(&somebody));
        let verified = Argon2::default().verify_password(b"x", NOBODY).expect_err("nobody");
        assert_eq!(
            verified,
            argon2::password_hash::Error::PasswordInvalid,
            "the hash is read and computed, not refused"
        );
        assert!(!passwords.check(None, SecretString::from("correct horse")).await.expect("checked"));
        assert!(passwords.check(Some(somebody), SecretString::from("correct horse")).await.expect("checked"));
    }
}

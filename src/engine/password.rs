//! Owns users' passwords: Argon2id on a bounded blocking pool. Does not handle generated secrets.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use super::new_password::{NewPassword, normal};
use crate::model::error::Error;

/// Longest password that is hashed, in bytes: longer than any that was ever accepted.
const PASSWORD_MAX: usize = 1024;
/// Maximum sign-ins in the queue for a core; more are refused with advice to retry.
const QUEUE_MAX: usize = 64;
/// Maximum checks in progress for one account.
const TURNS_OF_ACCOUNT: u32 = 2;
/// Maximum checks in progress for one sender: a tenth of the queue, so that no single sender fills it.
const TURNS_OF_SENDER: u32 = 6;
/// A hash that no password matches, with the usual parameters, so that an unknown user costs the same as a known one.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ibw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and checks passwords, with one operation per core at a time.
#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    turns: Arc<Turns>,
}

/// Checks in progress by account and sender. Bounded by the queue: each entry belongs to a queued check.
type Turns = Mutex<HashMap<String, u32>>;

/// The right to one check. Dropping it frees a place for the same account or sender.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    of: Vec<String>,
    _waiting: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        for of in &self.of {
            if let Some(count) = turns.get_mut(of) {
                *count -= 1;
                if *count == 0 {
                    turns.remove(of);
                }
            }
        }
    }
}

/// The reason why there is no turn now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// This account or sender has too many checks in progress.
    Own,
    /// The queue is full.
    All,
}

impl Default for Passwords {
    /// Starts with an empty queue.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            running: Arc::new(Semaphore::new(cores)),
            waiting: Arc::new(Semaphore::new(QUEUE_MAX)),
            turns: Arc::default(),
        }
    }
}

impl Passwords {
    /// The PHC string of a new password.
    ///
    /// # Errors
    /// `temporarily_unavailable` if too many are queued.
    pub async fn hash(&self, NewPassword(password): NewPassword) -> Result<String, Error> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned();
        let waiting = waiting.map_err(|_| Error::unavailable("too many sign-ins are waiting"))?;
        self.run(waiting, move || hash_now(&password)).await?
    }

    /// A turn for a check of this account, requested by this sender.
    ///
    /// # Errors
    /// [`Busy`], saying whether the account or sender, or the whole queue, is at its limit.
    pub fn turn(&self, account: Option<&str>, sender: &str) -> Result<Turn, Busy> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = account.map(|account| (format!("account {account}"), TURNS_OF_ACCOUNT));
        let of_sender = (format!("sender {sender}"), TURNS_OF_SENDER);
        let (of, most): (Vec<String>, Vec<u32>) = of_account.into_iter().chain([of_sender]).unzip();
        if of.iter().zip(most).any(|(of, most)| turns.get(of).is_some_and(|count| *count >= most)) {
            return Err(Busy::Own);
        }
        let _waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| Busy::All)?;
        for of in &of {
            *turns.entry(of.clone()).or_default() += 1;
        }
        Ok(Turn { turns: Arc::clone(&self.turns), of, _waiting })
    }

    /// Whether `password` matches `stored`; the same work is done if there is none.
    ///
    /// # Errors
    /// `server_error` if the work could not be done.
    pub async fn check(&self, turn: Turn, stored: Option<String>, password: SecretString) -> Result<bool, Error> {
        if password.expose_secret().len() > PASSWORD_MAX {
            return Ok(false);
        }
        let known = stored.is_some();
        let hash = stored.unwrap_or_else(|| NOBODY.to_owned());
        let work = move || {
            let is_it = |text: &str| Argon2::default().verify_password(text.as_bytes(), hash.as_str()).is_ok();
            let typed = password.expose_secret();
            let text = SecretString::from(normal(typed));
            // A password set before normalization was introduced was hashed as typed.
            is_it(text.expose_secret()) || (text.expose_secret() != typed && is_it(typed))
        };
        let same = self.run(turn, work).await?;
        Ok(same && known)
    }

    /// Runs on a blocking thread as soon as a core is free. `place` in the queue is held until the work ends, even if
    /// the caller no longer waits for it.
    async fn run<T, P>(&self, place: P, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
        P: Send + 'static,
    {
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(Error::server)?;
        spawn_blocking(move || {
            let _held = (running, place);
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
    use crate::engine::new_password::PasswordOwner;

    const WORDS: &str = "correct horse battery";

    fn new(text: &str) -> NewPassword {
        let whose = PasswordOwner { issuer: "https://auth.example.test", email: "ada@example.com", name: "Ada" };
        NewPassword::accept(&SecretString::from(text), whose).expect("a good password")
    }

    #[tokio::test]
    async fn passwords_are_normalized_and_old_hashes_still_match() {
        // THREATS: SE9
        let passwords = Passwords::default();
        let (composed, decomposed) = ("gr\u{fc}nes Pferd Batterie", "gru\u{308}nes Pferd Batterie");
        let check = async |stored: &str, text: &str| {
            let turn = passwords.turn(None, "192.0.2.1").expect("a turn");
            passwords.check(turn, Some(stored.to_owned()), SecretString::from(text)).await.expect("checked")
        };
        for set in [composed, decomposed] {
            let stored = passwords.hash(new(set)).await.expect("a hash");
            assert!(check(&stored, composed).await && check(&stored, decomposed).await, "{set:?}");
        }
        // Set by a version that neither normalized nor required fifteen characters.
        for old in ["short1", decomposed] {
            let stored = hash_now(&SecretString::from(old)).expect("a hash");
            assert!(check(&stored, old).await, "{old:?}");
        }
    }

    #[tokio::test]
    async fn unknown_users_cost_a_hash_and_never_match() {
        // THREATS: SE6
        let passwords = Passwords::default();
        let somebody = passwords.hash(new(WORDS)).await.expect("a hash");
        let parameters = |hash: &str| hash.rsplitn(3, '$').last().expect("parameters").to_owned();
        assert_eq!(parameters(NOBODY), parameters(&somebody));
        let verified = Argon2::default().verify_password(b"x", NOBODY).expect_err("nobody");
        assert_eq!(
            verified,
            argon2::password_hash::Error::PasswordInvalid,
            "the hash is read and computed, not refused"
        );
        let turn = || passwords.turn(None, "192.0.2.1").expect("a turn");
        assert!(!passwords.check(turn(), None, SecretString::from(WORDS)).await.expect("checked"));
        assert!(passwords.check(turn(), Some(somebody), SecretString::from(WORDS)).await.expect("checked"));
    }

    #[tokio::test]
    async fn concurrent_hashes_per_account_and_sender_are_bounded() {
        // THREATS: SE7
        let passwords = Arc::new(Passwords::default());
        let right = passwords.hash(new(WORDS)).await.expect("a hash");
        // No core is free until the test releases them, so turns taken now stay in the queue.
        let cores = u32::try_from(passwords.running.available_permits()).expect("a count");
        let pause = Arc::clone(&passwords.running).acquire_many_owned(cores).await.expect("every core");
        let flood: Vec<_> = (0..75).map(|from| passwords.turn(Some("ada"), &format!("192.0.2.{from}"))).collect();
        assert_eq!(flood.iter().filter(|turn| turn.is_ok()).count(), 2, "of one account, wherever it comes from");
        let many: Vec<_> = (0..75).map(|name| passwords.turn(Some(&format!("user{name}")), "198.51.100.1")).collect();
        assert_eq!(many.iter().filter(|turn| turn.is_ok()).count(), 6, "of one sender, whatever names it tries");
        assert!(many.iter().filter_map(|turn| turn.as_ref().err()).all(|busy| *busy == Busy::Own));
        let turn = passwords.turn(Some("bob"), "203.0.113.1").expect("another user has a turn");
        let checking = Arc::clone(&passwords);
        let bob = tokio::spawn(async move { checking.check(turn, Some(right), SecretString::from(WORDS)).await });
        drop(pause);
        assert!(bob.await.expect("no panic").expect("checked"));
        drop((flood, many));
        assert!(passwords.turns.lock().expect("turns").is_empty(), "nothing is left behind");
        assert_eq!(passwords.waiting.available_permits(), QUEUE_MAX);
    }
}

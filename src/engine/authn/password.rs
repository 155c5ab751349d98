//! Owns authenticating a user by password, with the counts that stop guessing. Does not hash; see `engine::password`.

use secrecy::{ExposeSecret, SecretString};

use crate::{
    engine::{Engine, limit::Throttle, password::Busy},
    model::{audit::Origin, authentication::Proof, clock::Timestamp, error::Error, user::User},
};

/// `Retry-After` while checks for the same account are in progress, in seconds.
const TURN_SECONDS: i64 = 1;

/// One attempt with a password.
#[derive(Clone, Debug)]
pub struct PasswordAttempt {
    /// When.
    pub now: Timestamp,
    /// Where it came from.
    pub origin: Origin,
    /// What counts as one sender.
    pub sender: String,
    /// The address in normal form; `None` if it is none.
    pub email: Option<String>,
    /// Whether this browser signed in as this user before. It has its own count, so that strangers cannot lock the user out.
    pub is_known_browser: bool,
    /// The password.
    pub password: SecretString,
}

/// The result of checking a password.
#[derive(Debug)]
pub enum PasswordCheck {
    /// It belongs to this active user.
    Correct(User, Proof),
    /// Unknown address, wrong password or disabled user: the caller does not learn which.
    Wrong,
    /// Too many failures: not checked, for this many seconds.
    Wait(i64),
}

impl PasswordAttempt {
    /// The key under which failures of this account are counted.
    fn account(&self) -> Option<String> {
        let kind = if self.is_known_browser { "device" } else { "account" };
        self.email.as_ref().map(|email| format!("{kind}:{email}"))
    }

    /// Checks the password, unless there were too many failures or this account or sender has too many checks in
    /// progress.
    ///
    /// A failure is counted before the check, so that parallel attempts cannot outrun the count. The count is reset after
    /// a success, and undone if the password could not be checked: that was no guess. Once begun, this must complete.
    pub async fn check(&self, engine: Engine<'_>) -> Result<PasswordCheck, Error> {
        let Engine { config, limiter, event_counts, .. } = engine;
        let (now, sender, account) = (self.now, self.sender.as_str(), self.account());
        let by_sender = Throttle::address(config.limits.login_failures_per_address);
        let by_account = Throttle::account(config.limits.login_failures_per_account);
        let of_sender = limiter.retry_after(now, by_sender, sender).await;
        let of_account = match &account {
            Some(account) if of_sender.is_none() => limiter.hit(now, by_account, account).await,
            Some(account) => limiter.retry_after(now, by_account, account).await,
            None => None,
        };
        if let Some(seconds) = of_sender.max(of_account) {
            event_counts.count("login", None, &self.origin, Some("too many failures"));
            return Ok(PasswordCheck::Wait(seconds));
        }
        let checked = self.compare(engine, account.as_deref()).await;
        match (&checked, &account) {
            (Ok(PasswordCheck::Wrong), _) => {
                limiter.hit(now, by_sender, sender).await;
                event_counts.count("login", None, &self.origin, Some("wrong address or password"));
            }
            (Ok(PasswordCheck::Correct(..)), Some(account)) => limiter.reset(now, by_account, account).await,
            (_, Some(account)) => limiter.release(now, by_account, account).await,
            (_, None) => {}
        }
        checked
    }

    /// Compares the password with the stored one. Checks are shared out: however many one account or sender causes,
    /// successful or not, sign-ins of others continue.
    async fn compare(&self, engine: Engine<'_>, account: Option<&str>) -> Result<PasswordCheck, Error> {
        let Engine { store, limiter, passwords, .. } = engine;
        let (now, sender) = (self.now, self.sender.as_str());
        let of_sender = limiter.retry_after(now, Throttle::SIGN_INS_OF_ADDRESS, sender).await;
        let of_account = match account {
            Some(account) => limiter.retry_after(now, Throttle::SIGN_INS_OF_ACCOUNT, account).await,
            None => None,
        };
        if let Some(seconds) = of_sender.max(of_account) {
            return Ok(PasswordCheck::Wait(seconds));
        }
        let turn = match passwords.turn(account, sender) {
            Ok(turn) => turn,
            Err(Busy::Own) => return Ok(PasswordCheck::Wait(TURN_SECONDS)),
            Err(Busy::All) => return Err(Error::unavailable("too many sign-ins are waiting")),
        };
        let found = match &self.email {
            Some(email) => store.find_user_by_email(email).await?,
            None => None,
        };
        let (user, stored) = found.filter(|(user, _)| user.active).unzip();
        let stored = stored.flatten();
        let password = SecretString::from(self.password.expose_secret());
        let is_right = passwords.check(turn, stored.clone(), password).await?;
        let Some((user, hash)) = user.zip(stored).filter(|_| is_right) else { return Ok(PasswordCheck::Wrong) };
        limiter.hit(now, Throttle::SIGN_INS_OF_ADDRESS, sender).await;
        if let Some(account) = account {
            limiter.hit(now, Throttle::SIGN_INS_OF_ACCOUNT, account).await;
        }
        Ok(PasswordCheck::Correct(user, Proof::Password(hash)))
    }
}

//! Owns authenticating a user by password, with the counts that stop guessing.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::{
    app::App,
    engine::{limit::Throttle, password::Busy},
    http::{extract::RequestInfo, session::Viewer},
    model::{audit::Origin, clock::Timestamp, email, error::Error, user::User},
    ui::Step,
};

/// A sign-in this recent is enough for sensitive steps; after that, the password is required again. In milliseconds.
const RECENT_MS: i64 = 10 * 60 * 1000;

/// `Retry-After` while checks for the same account are in progress, in seconds.
const TURN_SECONDS: i64 = 1;

/// The result of checking a password.
#[derive(Debug)]
pub(super) enum PasswordCheck {
    /// It belongs to this active user; with the PHC string it was checked against.
    Correct(User, String),
    /// Unknown address, wrong password or disabled user: the caller does not learn which.
    Wrong,
    /// Too many failures: not checked, for this many seconds.
    Wait(i64),
}

/// Checks a password, unless there were too many failures or this account or sender has too many checks in progress.
///
/// A failure is counted before the check, so that parallel attempts cannot outrun the count. The count is reset after a
/// success, and undone if the password could not be checked: that was no guess. All of this runs in its own task, so
/// that it completes even if the client disconnects or the request times out.
pub(super) async fn verify_password(
    app: &Arc<App>,
    info: &RequestInfo,
    viewer: &Viewer,
    address: &str,
    password: &str,
) -> Result<PasswordCheck, Error> {
    let email = email::normalize(address).ok();
    // A browser that signed in as this user before has its own count: strangers cannot lock the user out.
    let account = email.as_deref().map(|email| match viewer.knows(app, email) {
        true => format!("device:{email}"),
        false => format!("account:{email}"),
    });
    let attempt = Attempt {
        now: info.now,
        origin: info.origin("anonymous"),
        sender: info.network(),
        email,
        account,
        password: SecretString::from(password),
    };
    let app = Arc::clone(app);
    tokio::spawn(async move { attempt.verify(&app).await }).await.map_err(Error::server)?
}

/// One attempt with a password.
struct Attempt {
    now: Timestamp,
    origin: Origin,
    sender: String,
    email: Option<String>,
    /// The key under which failures of this account are counted.
    account: Option<String>,
    password: SecretString,
}

impl Attempt {
    async fn verify(&self, app: &App) -> Result<PasswordCheck, Error> {
        let limits = &app.config.limits;
        let (now, sender) = (self.now, self.sender.as_str());
        let by_address = Throttle::address(limits.login_failures_per_address);
        let by_account = Throttle::account(limits.login_failures_per_account);
        let of_sender = app.limiter.retry_after(now, by_address, sender).await;
        let of_account = match &self.account {
            Some(account) if of_sender.is_none() => app.limiter.hit(now, by_account, account).await,
            Some(account) => app.limiter.retry_after(now, by_account, account).await,
            None => None,
        };
        if let Some(seconds) = of_sender.max(of_account) {
            app.event_counts.count("login", None, &self.origin, Some("too many failures"));
            return Ok(PasswordCheck::Wait(seconds));
        }
        let looked = self.look(app).await;
        if !matches!(looked, Ok(PasswordCheck::Wrong))
            && let Some(account) = &self.account
        {
            match looked {
                Ok(PasswordCheck::Correct(..)) => app.limiter.reset(now, by_account, account).await,
                _ => app.limiter.release(now, by_account, account).await,
            }
        }
        if matches!(looked, Ok(PasswordCheck::Wrong)) {
            app.limiter.hit(now, by_address, sender).await;
            app.event_counts.count("login", None, &self.origin, Some("wrong address or password"));
        }
        looked
    }

    /// Compares the password with the stored one. Checks are shared out: however many one account or sender causes,
    /// successful or not, sign-ins of others continue.
    async fn look(&self, app: &App) -> Result<PasswordCheck, Error> {
        let (now, sender, account) = (self.now, self.sender.as_str(), self.account.as_deref());
        let of_sender = app.limiter.retry_after(now, Throttle::SIGN_INS_OF_ADDRESS, sender).await;
        let of_account = match account {
            Some(account) => app.limiter.retry_after(now, Throttle::SIGN_INS_OF_ACCOUNT, account).await,
            None => None,
        };
        if let Some(seconds) = of_sender.max(of_account) {
            return Ok(PasswordCheck::Wait(seconds));
        }
        let turn = match app.passwords.turn(account, sender) {
            Ok(turn) => turn,
            Err(Busy::Own) => return Ok(PasswordCheck::Wait(TURN_SECONDS)),
            Err(Busy::All) => return Err(Error::unavailable("too many sign-ins are waiting")),
        };
        let found = match &self.email {
            Some(email) => app.store.find_user_by_email(email).await?,
            None => None,
        };
        let (user, stored) = found.filter(|(user, _)| user.active).unzip();
        let stored = stored.flatten();
        let password = SecretString::from(self.password.expose_secret());
        let right = app.passwords.check(turn, stored.clone(), password).await?;
        let Some((user, hash)) = user.zip(stored).filter(|_| right) else { return Ok(PasswordCheck::Wrong) };
        app.limiter.hit(now, Throttle::SIGN_INS_OF_ADDRESS, sender).await;
        if let Some(account) = account {
            app.limiter.hit(now, Throttle::SIGN_INS_OF_ACCOUNT, account).await;
        }
        Ok(PasswordCheck::Correct(user, hash))
    }
}

/// Whether a sensitive step requires the password again (ASVS 7.5).
pub(super) fn is_stale(now: Timestamp, viewer: &Viewer) -> bool {
    viewer.auth_time().is_none_or(|at| now.0.saturating_sub(at.0) > RECENT_MS)
}

/// The part of a form that asks for the password if [`is_stale`]; `wrong` is the error of [`require_recent_login`].
pub(super) fn step(app: &App, now: Timestamp, viewer: &Viewer, wrong: Option<String>) -> Step {
    Step { form: viewer.form_id(app), ask_password: is_stale(now, viewer), password_error: wrong }
}

/// Checks whether the signed-in user may take a sensitive step: the sign-in is recent, or the password was given again.
/// Otherwise returns a message to show beside the field.
pub(super) async fn require_recent_login(
    app: &Arc<App>,
    info: &RequestInfo,
    viewer: &Viewer,
    user: &User,
    password: Option<&str>,
) -> Result<Result<(), String>, Error> {
    if !is_stale(info.now, viewer) {
        return Ok(Ok(()));
    }
    let Some(password) = password else { return Ok(Err("Please enter your password.".to_owned())) };
    Ok(match verify_password(app, info, viewer, &user.email, password).await? {
        PasswordCheck::Correct(proven, _) if proven.id == user.id => Ok(()),
        PasswordCheck::Correct(..) | PasswordCheck::Wrong => Err("The password is wrong.".to_owned()),
        PasswordCheck::Wait(seconds) => Err(too_many(seconds)),
    })
}

/// The message for a user who has to wait.
pub(super) fn too_many(seconds: i64) -> String {
    if seconds < 60 {
        return "Too many attempts. Please try again in a few seconds.".to_owned();
    }
    let minutes = (seconds + 59) / 60;
    format!("Too many attempts. Please wait {minutes} minute{}.", if minutes == 1 { "" } else { "s" })
}

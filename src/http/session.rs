//! Owns cookies: the session, the browser before sign-in, and a device that signed in before.
//!
//! Before sign-in, a browser has a random id, to which pending requests and the sign-in form are bound. At sign-in the
//! session gets a new secret; an id from outside is never adopted.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::Response,
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use data_encoding::BASE64URL_NOPAD;

use super::{error::PageError, extract::RequestInfo};
use crate::{
    app::App,
    cache::Cached,
    model::{
        authentication::{Authenticated, Proof},
        clock::Timestamp,
        error::Error,
        secret::{self, Digest},
        user::User,
    },
    store::{NewSession, SessionRecord},
};

const SESSION: &str = "grantd_session";
const BROWSER: &str = "grantd_browser";
const DEVICE: &str = "grantd_device";
/// How long a browser that signed in before is remembered, in seconds.
const DEVICE_LIFETIME: Duration = Duration::from_hours(365 * 24);
const BROWSER_LIFETIME: Duration = Duration::from_hours(24);
/// Random bytes of a cookie: 256 bits.
const COOKIE_BYTES: usize = 32;
/// Longest `User-Agent` kept, in characters.
const AGENT_MAX: usize = 200;

/// The viewer of a page: a browser, possibly signed in. Comes before [`RequestInfo`] in a handler's parameters.
#[derive(Clone)]
pub struct Viewer {
    /// When the request arrived.
    pub now: Timestamp,
    session: Option<(Digest, Arc<Cached<SessionRecord>>)>,
    browser: Option<String>,
    jar: CookieJar,
}

impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Viewer(REDACTED)")
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let now = RequestInfo::of(&parts.extensions)?.now;
        Ok(Self::of(app, now, &parts.headers).await?)
    }
}

impl Viewer {
    /// Identifies the viewer from the request's cookies.
    pub async fn of(app: &App, now: Timestamp, headers: &HeaderMap) -> Result<Self, Error> {
        let jar = CookieJar::from_headers(headers);
        let session = match jar.get(&name(app, SESSION)).filter(|cookie| is_ours(cookie.value())) {
            Some(cookie) => {
                let digest = Digest::of(cookie.value());
                app.sessions.find(now, digest).await?.map(|record| (digest, record))
            }
            None => None,
        };
        let browser =
            jar.get(&name(app, BROWSER)).map(|cookie| cookie.value().to_owned()).filter(|value| is_ours(value));
        Ok(Self { now, session, browser, jar })
    }

    /// Who is signed in, how, and since when.
    pub fn authenticated(&self) -> Option<&Authenticated> {
        self.session.as_ref().map(|(_, cached)| &cached.value.who)
    }

    /// The signed-in user.
    pub fn user(&self) -> Option<&User> {
        self.authenticated().map(|who| &who.user)
    }

    /// Whether this browser presents a session that has ended.
    pub fn had_session(&self, app: &App) -> bool {
        self.session.is_none() && self.jar.get(&name(app, SESSION)).is_some()
    }

    /// Digest of the session cookie.
    pub fn session(&self) -> Option<Digest> {
        self.session.as_ref().map(|(digest, _)| *digest)
    }

    /// Digest of the browser's id, to which pending requests are bound.
    pub fn browser(&self) -> Option<Digest> {
        self.browser.as_deref().map(Digest::of)
    }

    /// Gives the browser an id if it has none. [`Self::set_browser`] adds the cookie to a response.
    pub fn ensure_browser(&mut self) -> Digest {
        let id = self.browser.get_or_insert_with(new_value);
        Digest::of(id)
    }

    /// Adds the browser's cookie to a response.
    #[must_use]
    pub fn set_browser(&self, app: &App, response: Response) -> Response {
        let Some(id) = &self.browser else { return response };
        with_cookies(response, [cookie(app, BROWSER, id.clone(), BROWSER_LIFETIME)])
    }

    /// A new session of this browser, in place of the previous one, and the cookie value for [`begin`].
    pub fn new_session(&self, app: &App, user: &User, proof: Proof, agent: String) -> (NewSession, String) {
        let value = new_value();
        let session = NewSession {
            digest: Digest::of(&value),
            user_id: user.id.clone(),
            proof,
            expires_at: self.now + app.config.lifetimes.session,
            agent,
            replaces: self.session(),
        };
        (session, value)
    }

    /// Whether this browser signed in as this user before. Then other senders' failures do not count against it.
    pub fn knows(&self, app: &App, email: &str) -> bool {
        let presented =
            self.jar.get(&name(app, DEVICE)).and_then(|cookie| BASE64URL_NOPAD.decode(cookie.value().as_bytes()).ok());
        presented.is_some_and(|tag| hmac::verify(&app.devices, email.as_bytes(), &tag).is_ok())
    }
}

/// The browser's `User-Agent`, as stored with a session.
pub fn agent(headers: &HeaderMap) -> String {
    let words = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    words.chars().take(AGENT_MAX).collect()
}

/// A new cookie value, to be sent to its browser only.
fn new_value() -> String {
    BASE64URL_NOPAD.encode(&secret::random_bytes::<COOKIE_BYTES>())
}

/// Adds the cookies of a new session.
#[must_use]
pub fn begin(app: &App, response: Response, value: String, email: &str) -> Response {
    let device = BASE64URL_NOPAD.encode(hmac::sign(&app.devices, email.as_bytes()).as_ref());
    with_cookies(
        response,
        [cookie(app, SESSION, value, app.config.lifetimes.session), cookie(app, DEVICE, device, DEVICE_LIFETIME)],
    )
}

/// Removes the session and browser cookies, so that the next user of this browser starts clean.
#[must_use]
pub fn end(app: &App, response: Response) -> Response {
    with_cookies(
        response,
        [cookie(app, SESSION, String::new(), Duration::ZERO), cookie(app, BROWSER, String::new(), Duration::ZERO)],
    )
}

fn with_cookies<const N: usize>(mut response: Response, cookies: [Cookie<'static>; N]) -> Response {
    for cookie in cookies {
        if let Ok(value) = cookie.to_string().parse() {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// `__Host-` if the issuer uses TLS: then no other host or path can have set the cookie (RFC 6265bis §4.1.3.2).
fn name(app: &App, name: &str) -> String {
    if app.config.issuer.is_https() { format!("__Host-{name}") } else { name.to_owned() }
}

fn cookie(app: &App, of: &str, value: String, lifetime: Duration) -> Cookie<'static> {
    Cookie::build((name(app, of), value))
        .path("/")
        .secure(app.config.issuer.is_https())
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(time::Duration::seconds(lifetime.as_secs().cast_signed()))
        .build()
}

fn is_ours(value: &str) -> bool {
    BASE64URL_NOPAD.decode(value.as_bytes()).is_ok_and(|bytes| bytes.len() == COOKIE_BYTES)
}

//! Owns CSRF protection: the token in a viewer's forms, the one-time id of a form that creates something, and the origin
//! that the browser reports.

use aws_lc_rs::{constant_time, hmac};
use axum::http::HeaderMap;
use data_encoding::BASE64URL_NOPAD;

use super::session::Viewer;
use crate::{
    app::App,
    model::{
        error::{Error, ErrorCode},
        params::Params,
        secret,
    },
};

impl Viewer {
    /// The token in this viewer's forms: bound to the session, or before sign-in to the browser.
    pub fn csrf(&self, app: &App) -> String {
        let bound = match (self.session(), self.browser()) {
            (Some(session), _) => format!("session {}", session.text()),
            (None, Some(browser)) => format!("browser {}", browser.text()),
            (None, None) => return String::new(),
        };
        BASE64URL_NOPAD.encode(hmac::sign(&app.forms, bound.as_bytes()).as_ref())
    }

    /// Rejects a form that did not come from a page shown to this viewer, by its token and by the origin that the
    /// browser reports (RFC 9700 §4.7).
    ///
    /// # Errors
    /// `forbidden`.
    pub fn check_form(&self, app: &App, headers: &HeaderMap, params: &Params<'_>) -> Result<(), Error> {
        let foreign = || {
            Error::new(
                ErrorCode::Forbidden,
                "this form was not sent from this site, or the page was open for too long; go back and try again",
            )
        };
        let expected = self.csrf(app);
        if expected.is_empty() {
            let words = "your browser sent no cookie with this form; allow cookies for this site, open the page again, and \
                         send the form again";
            return Err(Error::new(ErrorCode::Forbidden, words));
        }
        let presented = params.get("csrf").unwrap_or_default();
        let same = constant_time::verify_slices_are_equal(expected.as_bytes(), presented.as_bytes()).is_ok();
        if same && is_same_origin(app, headers) { Ok(()) } else { Err(foreign()) }
    }

    /// A one-time id for a form that creates something, so that sending it twice creates only one.
    pub fn form_id(&self, app: &App) -> String {
        let random = secret::random_base62(20);
        format!("{random}{}", self.form_tag(app, &random))
    }

    /// The id in a form's one-time value, if it was issued to this viewer.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn read_form_id(&self, app: &App, value: &str) -> Result<String, Error> {
        let foreign = || Error::new(ErrorCode::Forbidden, "this form was not sent from this site");
        let (random, tag) = value.split_at_checked(20).ok_or_else(foreign)?;
        let same =
            constant_time::verify_slices_are_equal(tag.as_bytes(), self.form_tag(app, random).as_bytes()).is_ok();
        if same { Ok(random.to_owned()) } else { Err(foreign()) }
    }

    fn form_tag(&self, app: &App, random: &str) -> String {
        let tag = hmac::sign(&app.forms, format!("form {random} {}", self.csrf(app)).as_bytes());
        BASE64URL_NOPAD.encode(&tag.as_ref()[..16])
    }
}

/// Whether the browser reports that the request came from our own pages. For old browsers, only the token decides.
pub(super) fn is_same_origin(app: &App, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("invalid"));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    // A name in `hosts` is ours too; an earlier layer has already checked the Host header.
    let scheme = if app.config.issuer.is_https() { "https" } else { "http" };
    let other = text("host").map(|host| format!("{scheme}://{host}"));
    text("origin")
        .is_none_or(|origin| origin == app.config.issuer.origin() || other.is_some_and(|other| origin == other))
}

//! Owns the user of a page that requires signing in.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::{reply, session::Viewer};
use crate::{
    app::App,
    engine::authn::{Purpose, Step, next_step},
    model::{secret::Digest, user::User},
};

/// Attached to a redirect to the sign-in page: the browser that has to sign in.
#[derive(Clone, Debug)]
pub struct LoginRequired(pub Viewer);

/// The signed-in user. A request without one is redirected to the sign-in page.
#[derive(Debug)]
pub struct SignedIn {
    /// The user.
    pub user: User,
    /// The session.
    pub session: Digest,
    /// The browser.
    pub viewer: Viewer,
}

impl SignedIn {
    /// The user of this browser.
    ///
    /// # Errors
    /// A redirect to the sign-in page.
    pub fn of(app: &App, viewer: Viewer) -> Result<Self, Box<Response>> {
        match (next_step(viewer.now, Purpose::Pages, viewer.authenticated()), viewer.session()) {
            (Step::Done(who), Some(session)) => Ok(Self { user: who.user.clone(), session, viewer }),
            _ => {
                let mut response = reply::see_other(&format!("{}/login", app.config.issuer.base_path()));
                response.extensions_mut().insert(LoginRequired(viewer));
                Err(Box::new(response))
            }
        }
    }

    /// Whether a sensitive change requires the password again.
    pub fn must_confirm(&self) -> bool {
        let step = next_step(self.viewer.now, Purpose::SensitiveChange, self.viewer.authenticated());
        !matches!(step, Step::Done(_))
    }
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let viewer = Viewer::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        Self::of(app, viewer).map_err(|response| *response)
    }
}

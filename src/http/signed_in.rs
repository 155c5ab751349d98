//! Owns the user of a page that requires signing in.

use axum::{
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use super::{error::PageError, reply, session::Viewer};
use crate::{
    app::App,
    model::{clock::Timestamp, user::User},
    store::Store,
};

/// Attached to a redirect to the sign-in page: the browser that has to sign in.
#[derive(Clone, Debug)]
pub struct LoginRequired(pub Viewer);

/// The signed-in user, or a redirect to the sign-in page.
#[derive(Debug)]
pub struct SignedIn {
    /// The user.
    pub user: User,
    /// The browser and session.
    pub viewer: Viewer,
}

impl SignedIn {
    /// The store for this user's changes. A change is not made if the session ends in the meantime.
    #[must_use]
    pub fn store(&self, app: &App) -> Store {
        match self.viewer.session() {
            Some(session) => app.store.in_session(session, self.user.id.clone()),
            None => (*app.store).clone(),
        }
    }

    /// The signed-in user of a request.
    ///
    /// # Errors
    /// A redirect to the sign-in page, or `temporarily_unavailable` as a page.
    pub async fn of(app: &App, now: Timestamp, headers: &HeaderMap) -> Result<Self, Response> {
        let viewer = Viewer::of(app, now, headers).await.map_err(|error| PageError(error).into_response())?;
        match viewer.user().cloned() {
            Some(user) => Ok(Self { user, viewer }),
            None => {
                let mut response = reply::see_other(&format!("{}/login", app.config.issuer.base_path()));
                response.extensions_mut().insert(LoginRequired(viewer));
                Err(response)
            }
        }
    }
}

//! Owns finding the authorization request that a page belongs to, bound to its browser. Does not decide the next step.

use super::session::Viewer;
use crate::{
    app::App,
    model::{
        clock::Timestamp,
        error::{Error, ErrorCode},
        secret::Digest,
    },
    store::Interaction,
};

/// The waiting request with this id, if it began in this browser.
///
/// # Errors
/// `invalid_request` when it has ended, `forbidden` when it began elsewhere, `temporarily_unavailable`.
pub async fn find(app: &App, now: Timestamp, viewer: &Viewer, id: &str) -> Result<Interaction, Error> {
    let ended = || Error::invalid_request("this sign-in has ended or was completed; start again from the app");
    let interaction = app.store.find_interaction(now, &Digest::of(id)).await?.ok_or_else(ended)?;
    if viewer.browser() != Some(interaction.browser) {
        return Err(Error::new(
            ErrorCode::Forbidden,
            "this sign-in began in another browser; start again from the app",
        ));
    }
    Ok(interaction)
}

//! Owns finding the authorization request of a page, bound to its browser.

use crate::{
    model::{
        clock::Timestamp,
        error::{Error, ErrorCode},
        secret::Digest,
    },
    store::{Interaction, Store},
};

/// The pending request with this ID, if it began in the browser with this digest.
pub async fn find(store: &Store, now: Timestamp, browser: Option<Digest>, id: &str) -> Result<Interaction, Error> {
    let ended = || Error::invalid_request("this sign-in has expired or was completed; start again from the app");
    let interaction = store.find_interaction(now, &Digest::of(id)).await?.ok_or_else(ended)?;
    if browser != Some(interaction.browser) {
        return Err(Error::new(
            ErrorCode::Forbidden,
            "this sign-in was started in another browser; start again from the app",
        ));
    }
    Ok(interaction)
}

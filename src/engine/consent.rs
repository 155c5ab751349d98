//! Owns whether a user is asked for consent. What a user allowed is in `store::consents`; the page is `web::consent`.

use crate::{
    model::{
        authorize_request::AuthorizeRequest,
        client::{Client, ClientType},
        error::Error,
        redirect_uri::is_local,
    },
    store::Store,
};

/// Whether to ask the user for consent: the first time; for more access than before; if the app's name or host changed
/// since; and every time if the client cannot authenticate (RFC 8252 §8.6).
pub async fn is_needed(
    store: &Store,
    user_id: &str,
    client: &Client,
    request: &AuthorizeRequest,
) -> Result<bool, Error> {
    if is_local(&request.redirect_uri) {
        return Ok(true);
    }
    if client.first_party {
        return Ok(false);
    }
    if client.kind == ClientType::Public {
        return Ok(true);
    }
    let before = store.find_consent(user_id, &client.id).await?;
    Ok(before.is_none_or(|before| !before.covers(&request.consent_to(client))))
}

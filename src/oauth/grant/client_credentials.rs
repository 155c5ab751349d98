//! Owns the client credentials grant (RFC 6749 §4.4). Writes nothing: what was issued is counted.

use super::Authorization;
use crate::{
    app::App,
    http::extract::RequestInfo,
    model::{
        client::Client,
        error::{Error, ErrorCode},
        scope::Scopes,
    },
};

/// Decides for a confidential client in its own name.
pub fn redeem(
    app: &App,
    info: &RequestInfo,
    client: &Client,
    scope: Option<Scopes>,
    resources: Vec<String>,
) -> Result<Authorization, Error> {
    if !client.is_confidential() {
        return Err(Error::new(ErrorCode::UnauthorizedClient, "a public client has no credentials of its own"));
    }
    let scopes = match scope {
        Some(scope) if scope.is_subset(&client.scopes) => scope,
        Some(_) => return Err(Error::invalid_scope("scope is not one this client may have")),
        // Asked for nothing in particular: what the client is registered for (RFC 6749 §3.3), stated in the answer.
        None => client.scopes.clone(),
    };
    app.event_counts.count("token.issue", Some(&client.id), &info.origin(&client.id), None);
    Ok(Authorization {
        subject: client.id.clone(),
        scopes,
        granted: Vec::new(),
        resources,
        grant_id: None,
        not_after: None,
        refresh_token: None,
    })
}

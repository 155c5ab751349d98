//! Owns the client credentials grant (RFC 6749 §4.4). Writes nothing: what was issued is counted.

use crate::{
    app::App,
    engine::mint::Authorization,
    http::extract::RequestInfo,
    model::{
        client::Client,
        error::{Error, ErrorCode},
        params::Params,
        resource::resources,
        scope::Scopes,
    },
};

/// RFC 6749 §4.4.2.
pub struct Request {
    /// Absent where the client asks for nothing in particular.
    scope: Option<Scopes>,
    /// RFC 8707 §2.
    resources: Vec<String>,
}

impl Request {
    pub fn parse(params: &Params<'_>) -> Result<Self, Error> {
        Ok(Self { resources: resources(params)?, scope: params.get("scope").map(Scopes::parse).transpose()? })
    }

    /// Authorizes a confidential client in its own name.
    pub fn redeem(self, app: &App, info: &RequestInfo, client: &Client) -> Result<Authorization, Error> {
        if !client.is_confidential() {
            return Err(Error::new(ErrorCode::UnauthorizedClient, "a public client has no credentials of its own"));
        }
        let scopes = match &self.scope {
            Some(scope) if scope.is_subset(&client.scopes) => scope,
            Some(_) => return Err(Error::invalid_scope("scope is not one this client may have")),
            // What the client is registered for (RFC 6749 §3.3), stated in the answer.
            None => &client.scopes,
        };
        let target = app.catalog.current().target(scopes, &[], &self.resources)?;
        app.event_counts.count("token.issue", Some(&client.id), &info.origin(&client.id), None);
        Ok(Authorization {
            subject: client.id.clone(),
            client_id: client.id.clone(),
            target,
            grant_id: None,
            not_after: None,
            refresh_token: None,
        })
    }
}

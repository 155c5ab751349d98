//! Owns the client credentials grant (RFC 6749 §4.4). It writes nothing but a count of the tokens issued.

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
    /// Absent if the client requests no particular scopes.
    scope: Option<Scopes>,
    /// RFC 8707 §2.
    resources: Vec<String>,
}

impl Request {
    pub fn parse(params: &Params<'_>) -> Result<Self, Error> {
        Ok(Self { resources: resources(params)?, scope: params.get("scope").map(Scopes::parse).transpose()? })
    }

    /// Authorizes a confidential client as itself.
    pub fn redeem(self, app: &App, info: &RequestInfo, client: &Client) -> Result<Authorization, Error> {
        if !client.is_confidential() {
            return Err(Error::new(ErrorCode::UnauthorizedClient, "a public client cannot use client credentials"));
        }
        let scopes = match &self.scope {
            Some(scope) if scope.is_subset(&client.scopes) => scope,
            Some(_) => return Err(Error::invalid_scope("this client may not have this scope")),
            // The client's registered scopes (RFC 6749 §3.3), stated in the response.
            None => &client.scopes,
        };
        let target = app.catalog.current().target(scopes, &[], &self.resources)?;
        app.event_counts.count("token.issue", Some(&client.id), &info.origin(&client.id), None);
        Ok(Authorization::of(client, target))
    }
}

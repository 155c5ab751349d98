//! Owns `/gateway/verify` (forward-auth), the hot path on one screen. nginx, Caddy, Traefik, Envoy and Apache call it
//! before they forward a request. What belongs here: what proxies send and the answers they expect. Not here: the
//! decision itself (`http::decision`), matching rules (`model::rules`) and checking credentials (`engine::verify`).
//!
//! Authentication comes before the result of the rules, so that anonymous callers cannot map the rules.

mod nginx;
pub mod own;
mod request;

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    engine::verify::Verification,
    http::{
        credential::{CredentialCheck, Use},
        decision::{Decision, Judged, Ruling},
        error::OAuthError,
        extract::RequestInfo,
    },
    model::{
        api::{Api, Catalog},
        clock::Timestamp,
        error::Error,
        principal::Rejection,
    },
};

/// The request to decide: its caller and its API.
struct ForwardAuth<'a> {
    app: &'a App,
    info: &'a RequestInfo,
    api: &'a Api,
    parts: &'a Parts,
    /// The original target, if it is appended to our own path.
    appended: Option<&'a str>,
}

/// `ANY /gateway/verify` where there is one API
#[utoipa::path(get, path = "/gateway/verify", tag = "gateway", summary = "Authorize a request for a reverse proxy, with a single API",
    description = "Like /gateway/verify/{api}, for a server with a single API.",
    security(("bearer" = [])), responses((status = 200, description = "The request is allowed; headers identify the caller"),
        (status = 401, description = "No valid credential"), (status = 403, description = "Insufficient scope"),
        (status = 429, description = "Too many requests")))]
pub async fn only(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Response {
    let mut catalog = app.catalog.current();
    if catalog.apis.is_empty() {
        catalog = match app.catalog.seek(info.now).await {
            Ok(catalog) => catalog,
            Err(error) => return OAuthError(error).into_response(),
        };
    }
    match catalog.apis.as_slice() {
        [api] => {
            let (parts, _) = request.into_parts();
            ForwardAuth { app: &app, info: &info, api, parts: &parts, appended: None }.respond().await
        }
        _ => OAuthError(Error::invalid_request("the path must name the API: /gateway/verify/{slug}")).into_response(),
    }
}

/// `ANY /gateway/verify/{api}`
#[utoipa::path(get, path = "/gateway/verify/{api}", tag = "gateway", summary = "Authorize a request for a reverse proxy",
    description = "Called by a reverse proxy before each request, with any method: is the request allowed, and who is calling?",
    params(("api" = String, Path)),
    security(("bearer" = [])), responses((status = 200, description = "The request is allowed; headers identify the caller"),
        (status = 401, description = "No valid credential"), (status = 403, description = "Insufficient scope"),
        (status = 429, description = "Too many requests")))]
pub async fn named(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    info: RequestInfo,
    request: Request,
) -> Response {
    appended(State(app), Path((slug, String::new())), info, request).await
}

/// `ANY /gateway/verify/{api}/…`: the original path appended, as Envoy's `ext_authz` does.
pub async fn appended(
    State(app): State<Arc<App>>,
    Path((slug, _)): Path<(String, String)>,
    info: RequestInfo,
    request: Request,
) -> Response {
    let catalog = match catalog_with(&app, &slug, info.now).await {
        Ok(catalog) => catalog,
        Err(error) => return OAuthError(error).into_response(),
    };
    let Some(api) = catalog.by_slug(&slug) else { return OAuthError(Error::not_found()).into_response() };
    let (parts, _) = request.into_parts();
    // The raw target, not the decoded one: the upstream receives it in this form.
    let raw = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let rest = raw.strip_prefix("/gateway/verify/").and_then(|rest| rest.strip_prefix(slug.as_str()));
    let rest = rest.filter(|rest| rest.starts_with('/'));
    ForwardAuth { app: &app, info: &info, api, parts: &parts, appended: rest }.respond().await
}

/// The catalog, read again if it has no API with this slug: another node may have just created it.
async fn catalog_with(app: &App, slug: &str, now: Timestamp) -> Result<Arc<Catalog>, Error> {
    let catalog = app.catalog.current();
    if catalog.by_slug(slug).is_some() { Ok(catalog) } else { app.catalog.seek(now).await }
}

impl<'q> ForwardAuth<'q> {
    /// The decision in a form that the proxy can pass on.
    async fn respond(&self) -> Response {
        let response = self.decide().await;
        if nginx::asks(&self.parts.headers) { nginx::passable(response).await } else { response }
    }

    async fn decide(&self) -> Response {
        let check = CredentialCheck::of(self.app, self.info, &self.parts.headers, Some(self.api));
        let (decision, ruling) = (self.decision(), self.ruling(&check));
        let verified = match self.api.profile.credential(&self.parts.headers, self.query()) {
            Ok(Some(credential)) => check.verify(&credential).await,
            Ok(None) => return self.without_credential(&check, &ruling),
            Err(reason) => Ok(Rejection::unknown(reason).into()),
        };
        let judged = match verified {
            Ok(Verification::Accepted(used)) => self.judge(ruling, used).await,
            Ok(Verification::Rejected(rejection)) => Ok(decision.refuse(&check.deny(rejection, self.asked()), None)),
            Err(error) => Err(error),
        };
        judged.unwrap_or_else(|error| decision.fail(error))
    }

    fn decision(&self) -> Decision<'q> {
        Decision { app: self.app, request_id: &self.info.id, api: self.api }
    }

    fn without_credential(&self, check: &CredentialCheck<'_>, ruling: &Ruling<'q>) -> Response {
        let Some(reason) = Decision::without_credential(ruling) else { return self.decision().pass(None, None) };
        // Not counted: a missing credential is not evidence about any credential.
        let rejection = Rejection::unknown(reason);
        check.record(&rejection, self.asked());
        self.decision().refuse(&rejection, None)
    }

    async fn judge(&self, ruling: Ruling<'q>, used: Use<'_>) -> Result<Response, Error> {
        let decision = self.decision();
        let Judged { reason, verdict } = decision.judge(self.info.now, used.principal(), ruling, true).await?;
        Ok(match reason {
            None => decision.pass(Some(&used.allow().value.principal), verdict),
            Some(reason) => decision.refuse(&used.deny(reason, self.asked()), verdict),
        })
    }
}

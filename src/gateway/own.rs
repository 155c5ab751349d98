//! Owns `/gateway/self/{api}/…`: paths of an API that grantd answers itself, such as "who am I?", as its profile says. A
//! proxy forwards these paths here instead of to the API.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::catalog_with;
use crate::{
    app::App,
    engine::verify::Verification,
    http::{
        credential::CredentialCheck,
        decision::{Decision, not_in_url},
        error::OAuthError,
        extract::RequestInfo,
    },
    model::{
        api::Api,
        denial::DeniedRequest,
        error::Error,
        principal::{Principal, Rejection},
        profile::{Holder, OwnAnswer},
        reason::Reason,
    },
};

/// `GET /gateway/self/{api}/…`
pub async fn answer(
    State(app): State<Arc<App>>,
    Path((slug, _)): Path<(String, String)>,
    info: RequestInfo,
    request: Request,
) -> Response {
    let catalog = match catalog_with(&app, &slug, info.now).await {
        Ok(catalog) => catalog,
        Err(error) => return OAuthError(error).into_response(),
    };
    let (parts, _) = request.into_parts();
    let raw = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let target = raw.strip_prefix("/gateway/self/").and_then(|rest| rest.strip_prefix(slug.as_str()));
    let target = target.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let found = catalog.by_slug(&slug).and_then(|api| Some((api, api.profile.answer(path)?)));
    let Some((api, own)) = found else { return OAuthError(Error::not_found()).into_response() };
    let check = CredentialCheck::of(&app, &info, &parts.headers, Some(api));
    let decision = Decision { app: &app, request_id: &info.id, api };
    let asked = || DeniedRequest::of(parts.method.as_str(), path);
    let credential = not_in_url(&check, query).and_then(|()| api.profile.credential(&parts.headers, query));
    let verified = match credential {
        Ok(Some(credential)) => check.verify(&credential).await,
        Err(reason) => Ok(Rejection::unknown(reason).into()),
        Ok(None) => {
            return respond(own, api, &info, None).unwrap_or_else(|| {
                let rejection = Rejection::unknown(Reason::Missing);
                check.record(&rejection, asked());
                decision.refuse(&rejection, None)
            });
        }
    };
    match verified {
        Ok(Verification::Accepted(used)) if !used.principal().audience.contains(&api.identifier) => {
            decision.refuse(&used.deny(Reason::Audience, asked()), None)
        }
        Ok(Verification::Accepted(used)) => {
            let accepted = used.allow();
            respond(own, api, &info, Some(&accepted.value.principal))
                .unwrap_or_else(|| decision.refuse(&Rejection::unknown(Reason::Missing), None))
        }
        Ok(Verification::Rejected(rejection)) => decision.refuse(&check.deny(rejection, asked()), None),
        Err(error) => decision.fail(error),
    }
}

/// The response for this principal; without one, only if the profile has a body for it.
fn respond(own: &OwnAnswer, api: &Api, info: &RequestInfo, principal: Option<&Principal>) -> Option<Response> {
    let scopes = principal.map(|principal| api.own_scopes(&principal.scopes)).unwrap_or_default();
    let body = own.body(&Holder::of(principal, scopes, &info.id, &api.name))?;
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, own.content_type.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

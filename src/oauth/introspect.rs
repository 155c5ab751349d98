//! Owns `/oauth/introspect` (RFC 7662), for access tokens, refresh tokens and API keys. Validity is decided in
//! `engine::verify`.

use std::{io::Write, net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde::Serialize;

use crate::{
    app::App,
    engine::{
        limit::Throttle,
        verify::{Accepted, Verification},
    },
    http::{
        client_auth,
        credential::CredentialCheck,
        error::OAuthError,
        extract::{BodyKind, ParamsBody, RequestInfo},
        reply,
    },
    model::{
        api::Api,
        client::Client,
        clock::Timestamp,
        denial::DeniedRequest,
        error::Error,
        principal::{Presentation, Principal},
        reason::Reason,
    },
};

/// Most tokens in one batch request.
pub const TOKENS_MAX: usize = 100;
/// How long a resource server may cache a response, in seconds: the time within which nodes agree.
const REUSE_SECONDS: i64 = 1;

/// The caller: the resource server of an API, or a client asking about its own tokens (RFC 7662 §4).
#[derive(Clone, Copy)]
enum IntrospectionCaller<'c> {
    ResourceServer(&'c Api),
    Owner(&'c Client),
}

/// Members of RFC 7662 §2.2 and grantd's own that are the same in each response about a credential.
#[derive(Serialize)]
struct Described<'a> {
    active: bool,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    sub: &'a str,
    aud: Audience<'a>,
    iss: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    jti: &'a str,
    token_type: &'static str,
    credential: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a str>,
}

/// What is left of the plan, for this subject at this API. No `limit` means unlimited except for the burst.
#[derive(Serialize)]
struct RateLimit {
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u32>,
    reset: i64,
    exceeded: bool,
    #[serde(skip)]
    retry_after: i64,
    // The introspection itself was counted as the request.
    #[serde(skip)]
    is_call: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Many(&'a [String]),
}

/// `POST /oauth/introspect`
#[utoipa::path(post, path = "/oauth/introspect", tag = "oauth", summary = "Introspect a credential",
    description = "Used by an API to check an access token or API key that it received (RFC 7662).",
    security(("client" = [])),
    request_body(content = serde_json::Value, content_type = "application/x-www-form-urlencoded",
        description = "token, or tokens[] for up to 100 at once"),
    responses((status = 200, description = "The credential's properties (RFC 7662 §2.2), or only active: false")))]
pub async fn introspect(
    State(app): State<Arc<App>>,
    info: RequestInfo,
    request: Request,
) -> Result<Response, OAuthError> {
    let (headers, body) = ParamsBody::read(request, BodyKind::Form, app.config.limits.body_bytes).await?;
    let params = body.params()?;
    params.refuse_duplicates(&["tokens[]"])?;
    let client = client_auth::authenticate(&app, &info, &headers, &params).await?;
    if !client.is_confidential() {
        return Err(Error::invalid_client().into());
    }
    let address = match params.get("ip_address").map(str::parse::<IpAddr>) {
        Some(Err(_)) => return Err(Error::invalid_request("ip_address must be an IPv4 or IPv6 address").into()),
        Some(Ok(address)) => Some(address),
        None => None,
    };
    let catalog = app.catalog.current();
    let caller =
        catalog.by_client(&client.id).map_or(IntrospectionCaller::Owner(&client), IntrospectionCaller::ResourceServer);
    let check = CredentialCheck {
        app: &app,
        info: &info,
        from: Presentation { address, agent: params.get("user_agent") },
        api: caller.api(),
        introspected_by: Some(&client.id),
    };
    if let Some(token) = params.get("token") {
        let mut out = Vec::with_capacity(512);
        if let Credential::Scanned(wait) = answer(&check, caller, token, &mut out).await? {
            return Err(scanned(wait).into());
        }
        return Ok(reply::json_bytes(out));
    }
    let tokens: Vec<&str> = params.all("tokens[]").collect();
    if tokens.is_empty() || tokens.len() > TOKENS_MAX {
        return Err(Error::invalid_request("token, or 1 to 100 tokens[], is required").into());
    }
    let mut out = b"{\"tokens\":[".to_vec();
    let (mut any_active, mut scan) = (false, None);
    for (at, token) in tokens.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match answer(&check, caller, token, &mut out).await? {
            Credential::Active => any_active = true,
            Credential::Inactive => {}
            Credential::Scanned(wait) => scan = Some(wait),
        }
    }
    if let Some(wait) = scan.filter(|_| !any_active) {
        return Err(scanned(wait).into());
    }
    out.extend_from_slice(b"]}");
    Ok(reply::json_bytes(out))
}

/// The result of one introspection.
enum Credential {
    Active,
    Inactive,
    /// Not active, and the caller asked for too many unknown tokens; seconds to wait.
    Scanned(i64),
}

fn scanned(wait: i64) -> Error {
    Error::too_many(wait, "too many unknown tokens; active ones are still answered")
}

async fn answer(
    check: &CredentialCheck<'_>,
    caller: IntrospectionCaller<'_>,
    token: &str,
    out: &mut Vec<u8>,
) -> Result<Credential, Error> {
    let (app, info) = (check.app, check.info);
    let rejection = match check.verify(token).await? {
        Verification::Accepted(used) if caller.may_know(used.principal()) => {
            let rate_limit = rate_limit(app, info.now, caller, used.principal()).await?;
            let over =
                rate_limit.as_ref().filter(|limit| limit.is_call && limit.exceeded).map(|limit| limit.retry_after);
            render(app, info.now, caller, used.accepted(), rate_limit, out)?;
            match over {
                Some(retry_after) => {
                    let why = format!("over the plan's limit; try again in {retry_after} s").into();
                    drop(used.deny(Reason::Limited { retry_after, why }, DeniedRequest::default()));
                }
                None => drop(used.allow()),
            }
            return Ok(Credential::Active);
        }
        Verification::Accepted(used) => used.deny(Reason::Audience, DeniedRequest::default()),
        Verification::Rejected(rejection) => {
            if let (IntrospectionCaller::Owner(client), Reason::WrongKind) = (caller, &rejection.reason)
                && let Some((grant, generation)) = app.grant_tokens.read_refresh_token(token)
                && let Some(live) = app.store.live_grant(info.now, &grant, &client.id, generation).await?
            {
                let body = serde_json::json!({
                    "active": true, "scope": live.scopes.to_string(), "client_id": client.id, "sub": live.user_id,
                    "iss": &*app.config.issuer, "exp": live.expires_at.seconds(), "token_type": "refresh_token",
                });
                out.extend_from_slice(body.to_string().as_bytes());
                return Ok(Credential::Active);
            }
            check.deny(rejection, DeniedRequest::default())
        }
    };
    out.extend_from_slice(b"{\"active\":false}");
    let client = caller.client_id();
    // An expired or revoked credential is not a guess, so it is not counted; the response does not reveal that it once was
    // valid. Active credentials are always answered: a caller that forwards guesses must not lock out its own users.
    let wait = match rejection.reason {
        Reason::Unknown => app.limiter.hit(info.now, Throttle::INTROSPECTION, client).await,
        _ => app.limiter.retry_after(info.now, Throttle::INTROSPECTION, client).await,
    };
    if wait.is_some() {
        let outcome = "too many unknown tokens";
        app.event_counts.count("introspection_scan", Some(client), &info.origin(client), Some(outcome));
    }
    Ok(wait.map_or(Credential::Inactive, Credential::Scanned))
}

impl<'c> IntrospectionCaller<'c> {
    fn api(self) -> Option<&'c Api> {
        match self {
            Self::ResourceServer(api) => Some(api),
            Self::Owner(_) => None,
        }
    }

    fn may_know(&self, principal: &Principal) -> bool {
        match self {
            Self::ResourceServer(api) => principal.audience.contains(&api.identifier),
            Self::Owner(client) => principal.client_id.as_ref() == Some(&client.id),
        }
    }

    fn client_id(&self) -> &str {
        match self {
            Self::ResourceServer(api) => &api.client_id,
            Self::Owner(client) => &client.id,
        }
    }
}

fn render(
    app: &App,
    now: Timestamp,
    caller: IntrospectionCaller<'_>,
    accepted: &Accepted,
    rate_limit: Option<RateLimit>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let principal = &accepted.principal;
    // Every resource server that may know a credential for one API is that API's: it always gets the same description.
    let is_shared = matches!(caller, IntrospectionCaller::ResourceServer(_)) && principal.audience.len() == 1;
    match accepted.introspected.get().filter(|_| is_shared) {
        Some(described) => out.extend_from_slice(described),
        None => {
            let described = describe(app, caller, principal)?;
            out.extend_from_slice(&described);
            if is_shared {
                accepted.introspected.get_or_init(|| described.into());
            }
        }
    }
    if let Some(rate_limit) = rate_limit {
        out.extend_from_slice(b",\"rate_limit\":");
        serde_json::to_writer(&mut *out, &rate_limit).map_err(Error::server)?;
    }
    let reuse_until = now.plus_seconds(REUSE_SECONDS);
    let cache_until = principal.expires_at.map_or(reuse_until, |end| end.min(reuse_until)).seconds();
    write!(out, ",\"cache_until\":{cache_until}}}").map_err(Error::server)
}

/// What never changes about a credential, as a JSON object that is left open.
fn describe(app: &App, caller: IntrospectionCaller<'_>, principal: &Principal) -> Result<Vec<u8>, Error> {
    // A resource server learns only the scopes of its own API.
    let (scope, aud) = match caller {
        IntrospectionCaller::ResourceServer(api) if principal.audience.len() > 1 => {
            (api.own_scopes(&principal.scopes), Audience::One(&api.identifier))
        }
        _ => match principal.audience.as_slice() {
            [one] => (principal.scopes.to_string(), Audience::One(one.as_str())),
            many => (principal.scopes.to_string(), Audience::Many(many)),
        },
    };
    // Only the API learns the user's name: a client that asks about its own token does not.
    let is_api = matches!(caller, IntrospectionCaller::ResourceServer(_));
    let user = principal.user.as_ref().filter(|_| is_api);
    let key = principal.key.as_ref();
    let mut described = serde_json::to_vec(&Described {
        active: true,
        scope,
        client_id: principal.client_id.as_deref(),
        username: user.map(|user| user.name.as_str()),
        sub: &principal.subject,
        aud,
        iss: &app.config.issuer,
        iat: principal.issued_at.seconds(),
        exp: principal.expires_at.map(Timestamp::seconds),
        jti: &principal.token_id,
        token_type: "Bearer",
        credential: principal.kind.as_str(),
        key_id: key.map(|key| key.id.as_str()),
        environment: key.map(|key| key.environment.as_str()),
        project: key.and_then(|key| key.project.as_ref()).map(|(id, _)| id.as_str()),
        plan: principal.quota.as_ref().filter(|_| is_api).map(|quota| quota.plan.as_str()),
    })
    .map_err(Error::server)?;
    described.pop();
    Ok(described)
}

/// What is left of the plan, so that one request answers identity, permission and limits. Counted only if introspections
/// count as requests to this API.
async fn rate_limit(
    app: &App,
    now: Timestamp,
    caller: IntrospectionCaller<'_>,
    principal: &Principal,
) -> Result<Option<RateLimit>, Error> {
    let IntrospectionCaller::ResourceServer(api) = caller else { return Ok(None) };
    let catalog = app.catalog.current();
    let Some(quota) = &principal.quota else { return Ok(None) };
    let Some(plan) = catalog.plans.find(&quota.plan) else { return Ok(None) };
    let verdict = if api.counts_introspection {
        app.limiter.count(now, plan, &quota.subject, &api.id).await?
    } else {
        app.limiter.peek(now, plan, &quota.subject, &api.id).await?
    };
    Ok(verdict.map(|verdict| RateLimit {
        is_call: api.counts_introspection,
        limit: verdict.limit,
        remaining: verdict.remaining,
        reset: verdict.reset,
        exceeded: verdict.exceeded,
        retry_after: verdict.retry_after,
    }))
}

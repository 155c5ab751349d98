//! Owns a small API behind grantd: its users call it with an API key or an access token, which it introspects.
//! Next to `grantd demo`, run `. ./demo.env; export GRANTD API_ID API_SECRET`, start this,
//! then `curl -H "Authorization: Bearer $API_KEY" http://127.0.0.1:8081/v1/users/me`.

use std::{
    collections::HashMap,
    io::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use clap::Parser;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};

/// Maximum number of cached responses; each is valid for about a second, so there are never many.
const ANSWERS_MAX: usize = 10_000;

/// A small API that introspects every caller's credential.
#[derive(Debug, Parser)]
struct Options {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// URL of grantd
    #[arg(long, env = "GRANTD", default_value = "http://127.0.0.1:8080")]
    grantd: String,
    /// The client_id that `grantd api create` printed
    #[arg(long, env = "API_ID")]
    client_id: String,
    /// The client_secret that `grantd api create` printed
    #[arg(long, env = "API_SECRET", hide_env_values = true)]
    client_secret: String,
}

struct Api {
    options: Options,
    http: reqwest::Client,
    answers: Mutex<HashMap<String, Caller>>,
}

/// The caller: the members of grantd's response that this API uses.
#[derive(Clone, Deserialize)]
struct Caller {
    sub: String,
    username: Option<String>,
    scope: String,
    credential: String,
    plan: Option<String>,
    cache_until: i64,
}

/// The response to a refused caller.
enum Refusal {
    Missing,
    Invalid,
    Expired,
    Scope(&'static str),
    Unavailable,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error, message, challenge) = match self {
            Self::Missing => {
                (401, "missing_api_key", "No API key provided in the Authorization header.", "Bearer".into())
            }
            Self::Invalid => (401, "invalid_api_key", "The API key provided is invalid.", invalid()),
            Self::Expired => (401, "token_expired", "The access token has expired.", invalid()),
            Self::Scope(scope) => {
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
                (403, "insufficient_scope", "The credential does not permit this.", challenge)
            }
            Self::Unavailable => (503, "temporarily_unavailable", "Please try again.", String::new()),
        };
        let body = Json(json!({ "error": error, "message": message }));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            (status, [(header::RETRY_AFTER, "1")], body).into_response()
        } else {
            (status, [(header::WWW_AUTHENTICATE, challenge)], body).into_response()
        }
    }
}

fn invalid() -> String {
    "Bearer error=\"invalid_token\"".to_owned()
}

impl Api {
    /// The holder of this credential. A response is reused until grantd's own `cache_until`, never longer.
    async fn caller(&self, credential: &str) -> Result<Caller, Refusal> {
        if let Some(known) = self.answers().get(credential).filter(|known| known.cache_until > now()) {
            return Ok(known.clone());
        }
        let asked = self
            .http
            .post(format!("{}/oauth/introspect", self.options.grantd))
            .basic_auth(&self.options.client_id, Some(&self.options.client_secret))
            .form(&[("token", credential)])
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        // Without a response, the credential is neither valid nor invalid.
        let answer: Value = asked.map_err(unavailable)?.json().await.map_err(unavailable)?;
        if answer["active"] != true {
            return Err(if has_expired(credential) { Refusal::Expired } else { Refusal::Invalid });
        }
        let caller: Caller = serde_json::from_value(answer).map_err(|_| Refusal::Unavailable)?;
        let mut answers = self.answers();
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(credential.to_owned(), caller.clone());
        Ok(caller)
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Caller>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(_: reqwest::Error) -> Refusal {
    Refusal::Unavailable
}

/// Whether a refused credential is a token that has expired. This only affects the message.
fn has_expired(credential: &str) -> bool {
    let payload = credential.split('.').nth(1).and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    let claims: Option<Value> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    claims.and_then(|claims| claims["exp"].as_i64()).is_some_and(|end| end <= now())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, credential) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credential.trim())
}

/// Guards every route that needs the scope `read`.
async fn may_read(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Result<Response, Refusal> {
    let credential = bearer(request.headers()).ok_or(Refusal::Missing)?;
    let caller = api.caller(credential).await?;
    if !caller.scope.split(' ').any(|scope| scope == "read") {
        return Err(Refusal::Scope("read"));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

const USERS: [(&str, &str); 2] = [("123", "Ada Lovelace"), ("124", "Alan Turing")];

async fn users() -> Json<Value> {
    Json(USERS.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect())
}

async fn user(Path(wanted): Path<String>) -> Response {
    match USERS.iter().find(|(id, _)| *id == wanted) {
        Some((id, name)) => Json(json!({ "id": id, "name": name })).into_response(),
        None => {
            (StatusCode::NOT_FOUND, Json(json!({ "error": "not_found", "message": "No such user." }))).into_response()
        }
    }
}

async fn me(Extension(caller): Extension<Caller>) -> Json<Value> {
    Json(json!({ "id": caller.sub, "name": caller.username, "credential": caller.credential, "plan": caller.plan }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    let api = Arc::new(Api { options, http, answers: Mutex::default() });
    let router = Router::new()
        .route("/v1/users", get(users))
        .route("/v1/users/me", get(me))
        .route("/v1/users/{id}", get(user))
        .layer(from_fn_with_state(Arc::clone(&api), may_read));
    Ok(axum::serve(listener, router).await?)
}

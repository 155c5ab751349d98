//! Owns the smallest API behind grantd, shown in `docs/protect-your-api.md`. `resource_server` also caches
//! responses and has several routes.

use std::{env, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;

#[derive(Clone)]
struct Grantd {
    http: reqwest::Client,
    url: String,
    id: String,
    secret: String,
}

/// The members of the response that this API uses.
#[derive(Deserialize)]
struct Caller {
    active: bool,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    scope: String,
}

impl Grantd {
    async fn introspect(&self, credential: &str) -> reqwest::Result<Caller> {
        let request = self.http.post(format!("{}/oauth/introspect", self.url)).basic_auth(&self.id, Some(&self.secret));
        request.form(&[("token", credential)]).send().await?.error_for_status()?.json().await
    }
}

fn refuse(status: StatusCode, header: (header::HeaderName, &'static str)) -> Response {
    (status, [header], Json(json!({ "error": status.to_string() }))).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, credential) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credential)
}

async fn read(State(grantd): State<Grantd>, headers: HeaderMap) -> Response {
    let Some(credential) = bearer(&headers) else {
        return refuse(StatusCode::UNAUTHORIZED, (header::WWW_AUTHENTICATE, "Bearer"));
    };
    match grantd.introspect(credential).await {
        // Without a response, the credential is neither valid nor invalid.
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, (header::RETRY_AFTER, "1")),
        Ok(caller) if !caller.active => {
            refuse(StatusCode::UNAUTHORIZED, (header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
        }
        Ok(caller) if !caller.scope.split(' ').any(|scope| scope == "read") => {
            let challenge = "Bearer error=\"insufficient_scope\", scope=\"read\"";
            refuse(StatusCode::FORBIDDEN, (header::WWW_AUTHENTICATE, challenge))
        }
        Ok(caller) => Json(json!({ "hello": caller.sub })).into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let grantd = Grantd {
        http: reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?,
        url: env::var("GRANTD")?,
        id: env::var("API_ID")?,
        secret: env::var("API_SECRET")?,
    };
    let port = env::var("PORT").unwrap_or_else(|_| "9000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, Router::new().route("/", get(read)).with_state(grantd)).await?)
}

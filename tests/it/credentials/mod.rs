//! Owns tests of existing credentials: introspection, revocation, JWTs and their keys, metadata, API keys.
//! How credentials are issued is tested in `oauth`.

mod claims;
mod forged;
mod introspect;
mod introspect_caller;
mod key_life;
mod keys;
mod keys_page;
mod me;
mod metadata;
mod revoke;
mod rotation;
mod spread;

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use grantd::{
    cache::TRUST_MS,
    model::{
        api::{Algorithm, Api, ApiScope},
        client::{ClientType, GrantType},
        profile::Dialect,
        scope::Scopes,
        secret::new_id,
    },
    store::ChangeFeed,
};
use serde_json::{Value, json};

use crate::harness::{
    ISSUER, OAuthClient, Reply, TestApp,
    app::{API, register_api},
    wait,
};

/// A text in the form of an access token, signed by `sign`.
fn jws(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// One part of a JWT, decoded.
fn part(token: &str, at: usize) -> Value {
    let text = token.split('.').nth(at).expect("a part");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).expect("base64url")).expect("JSON")
}

/// The claims of a token that this client could have been issued.
fn claims(app: &TestApp, client: &OAuthClient) -> Value {
    let now = app.now().seconds();
    json!({
        "iss": ISSUER, "sub": client.id, "aud": API, "exp": now + 600, "iat": now, "jti": new_id("jti"),
        "client_id": client.id, "scope": "read",
    })
}

/// These claims, signed with the server's own key.
fn signed(app: &TestApp, claims: &Value) -> String {
    app.app.signing.sign(app.now(), Algorithm::ES256, claims.to_string().as_bytes()).expect("a token")
}

/// The resource server refuses it, and its bearer learns no more than RFC 6750 allows.
async fn assert_refused(app: &TestApp, token: &str, why: &str) {
    let reply = app.introspect(token).await;
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (200, r#"{"active":false}"#), "{why}");
    let reply = app.get_as("/v1/users/me", token).await;
    assert_eq!(reply.status.as_u16(), 401, "{why}: {}", reply.body);
    assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="grantd", error="invalid_token""#, "{why}");
    assert_eq!(
        reply.json(),
        json!({ "error": "invalid_api_key", "message": "The API key provided is invalid." }),
        "{why}"
    );
}

/// Lets the second pass in which a node may use its cache, by its own clock; from then on every response is current.
async fn a_second_later() {
    wait::advance(Duration::from_millis(TRUST_MS)).await;
}

/// An API whose tokens are signed with `algorithm`, with one scope.
async fn api_signed_by(app: &TestApp, algorithm: Algorithm, identifier: &str, scope: &str) -> OAuthClient {
    let api = Api {
        id: new_id("api"),
        slug: scope.to_lowercase(),
        identifier: identifier.to_owned(),
        name: format!("API of {scope}"),
        profile: Dialect::shipped_default(),
        algorithm,
        access_token_seconds: 3600,
        client_id: String::new(),
        counts_introspection: false,
        rules: Arc::default(),
        scopes: vec![ApiScope { name: scope.to_owned(), description: "May do it".to_owned() }],
    };
    let client = register_api(&app.app, api).await;
    look(app).await;
    client
}

/// One poll of the feed by this node, as it does five times a second.
async fn look(app: &TestApp) {
    app.app.background.poll(&mut ChangeFeed::default()).await.expect("a look");
}

/// A confidential client with the client credentials grant and these scopes.
async fn machine(app: &TestApp, scopes: &str) -> OAuthClient {
    app.client(ClientType::Confidential, |client| {
        client.grant_types = vec![GrantType::ClientCredentials];
        client.scopes = Scopes::parse(scopes).expect("scopes");
    })
    .await
}

/// What another client, a resource server or not, sees of a credential.
pub async fn introspect_as(app: &TestApp, caller: &OAuthClient, token: &str) -> Reply {
    app.post_as(caller, "/oauth/introspect", &[("token", token)]).await
}

/// The members of a JSON object, sorted.
fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

//! Owns the bare server: for each measured operation the least work that still answers it, with the crates
//! that grantd uses. It has no limits, logs, audit, cache or feed: it is the yardstick.
//!
//! * `/introspect/opaque`: Basic decoded, SHA-256 of the secret compared in constant time, SHA-256 of the
//!   token looked up in a sharded map, expiry checked, the answer serialized.
//! * `/token/es256`: the same client check and a signed JWT; `/token/opaque`: 32 random bytes into the map.
//! * the code flow and refresh: in `grants`.

mod grants;

use std::{
    borrow::Cow,
    collections::HashMap,
    io::Write,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use aws_lc_rs::{
    constant_time, digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{self, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
    routing::{get, post},
    serve::ListenerExt,
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use tokio::net::TcpListener;

use self::grants::Writer;
use crate::Fallible;

pub(crate) const CLIENT_ID: &str = "bench";
pub(crate) const CLIENT_SECRET: &str = "bench-secret-0123456789abcdef0123456789abcdef";
/// A token that is always active.
pub(crate) const KNOWN_TOKEN: &str = "bench-token-0123456789abcdef0123456789abcde";
const SUBJECT: &str = "0123456789abcdef0123456789abcdef";
const ISSUER: &str = "http://127.0.0.1:9100";
const AUDIENCE: &str = "https://api.example.test";
const PRELOADED_TOKENS: usize = 100_000;
const SESSIONS: usize = 64;
const LIFETIME_SECONDS: u64 = 3600;

/// Serves on a free port until the process is killed; the first line on standard output is the address.
pub(crate) fn serve(directory: &Path) -> Fallible<()> {
    let app = Arc::new(Bare::new(directory)?);
    let router = Router::new()
        .route("/readyz", get(|| async { "ok" }))
        .route("/introspect/opaque", post(introspect))
        .route("/token/{kind}", post(token))
        .route("/authorize", get(grants::authorize))
        .with_state(app);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        writeln!(std::io::stdout(), "{address}")?;
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        Ok(axum::serve(listener, router).await?)
    })
}

/// The value of the cookie `session` of the user with this number.
pub(crate) fn session(number: usize) -> String {
    format!("{number:043}")
}

type Hash = [u8; 32];
type Shard = RwLock<HashMap<Hash, Token>>;

struct Bare {
    clients: HashMap<String, Hash>,
    tokens: Vec<Shard>,
    sessions: HashMap<String, String>,
    signing_key: EncodingKey,
    writer: Writer,
}

#[derive(Clone)]
struct Token {
    client_id: Arc<str>,
    sub: Arc<str>,
    scope: Arc<str>,
    iat: u64,
    exp: u64,
}

#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    scope: &'a str,
    client_id: &'a str,
    sub: &'a str,
    token_type: &'static str,
    iat: u64,
    exp: u64,
    iss: &'static str,
    aud: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    sub: &'a str,
    aud: &'static str,
    client_id: &'a str,
    scope: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

#[derive(Default, Serialize)]
struct Issued {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl Bare {
    fn new(directory: &Path) -> Fallible<Self> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        let bare = Self {
            clients: [(CLIENT_ID.to_owned(), sha256(CLIENT_SECRET))].into(),
            tokens: (0..64).map(|_| Shard::default()).collect(),
            sessions: (0..SESSIONS).map(|number| (session(number), format!("user-{number}"))).collect(),
            signing_key: EncodingKey::from_ec_der(pkcs8.as_ref()),
            writer: Writer::start(&directory.join("bare.db"))?,
        };
        let (client_id, sub, scope, iat) = (CLIENT_ID.into(), SUBJECT.into(), "read write".into(), now());
        let token = Token { client_id, sub, scope, iat, exp: iat + 86_400 };
        bare.insert(KNOWN_TOKEN, token.clone());
        for _ in 0..PRELOADED_TOKENS {
            bare.insert(&random(), token.clone());
        }
        Ok(bare)
    }

    /// client_secret_basic as in a server with many clients: decode, look up, compare the hash.
    fn authenticate(&self, headers: &HeaderMap) -> Option<&str> {
        let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        let (id, expected) = self.clients.get_key_value(id)?;
        constant_time::verify_slices_are_equal(&sha256(secret), expected).ok()?;
        Some(id)
    }

    fn insert(&self, token: &str, record: Token) {
        let hash = sha256(token);
        let shard = &self.tokens[usize::from(hash[0] & 63)];
        shard.write().unwrap_or_else(PoisonError::into_inner).insert(hash, record);
    }

    fn find(&self, token: &str) -> Option<Token> {
        let hash = sha256(token);
        let shard = &self.tokens[usize::from(hash[0] & 63)];
        shard.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned()
    }

    fn sign(&self, sub: &str, client_id: &str, scope: &str) -> Option<String> {
        let iat = now();
        let jti = BASE64URL_NOPAD.encode(&random_bytes::<16>());
        let exp = iat + LIFETIME_SECONDS;
        let claims = Claims { iss: ISSUER, sub, aud: AUDIENCE, client_id, scope, jti, iat, exp };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".into());
        header.kid = Some("k1".into());
        jsonwebtoken::encode(&header, &claims, &self.signing_key).ok()
    }
}

async fn introspect(State(bare): State<Arc<Bare>>, headers: HeaderMap, body: Bytes) -> Response {
    if bare.authenticate(&headers).is_none() {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let form = Form::parse(&body);
    match form.get("token").and_then(|token| bare.find(token)) {
        Some(token) if token.exp > now() => json(&Active {
            active: true,
            scope: &token.scope,
            client_id: &token.client_id,
            sub: &token.sub,
            token_type: "Bearer",
            iat: token.iat,
            exp: token.exp,
            iss: ISSUER,
            aud: AUDIENCE,
        }),
        _ => json(&serde_json::json!({ "active": false })),
    }
}

async fn token(
    State(bare): State<Arc<Bare>>,
    extract::Path(kind): extract::Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(client) = bare.authenticate(&headers) else {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    };
    let form = Form::parse(&body);
    let issued = match (form.get("grant_type"), kind.as_str()) {
        (Some("client_credentials"), "opaque") => Some(mint_opaque(&bare, client)),
        (Some("client_credentials"), _) => mint(&bare, client, client, form.get("scope").unwrap_or("read")),
        (Some("refresh_token"), _) => grants::rotate(&bare, client, &form).await,
        (Some("authorization_code"), _) => grants::redeem(&bare, client, &form).await,
        _ => None,
    };
    issued.map_or_else(|| refuse(StatusCode::BAD_REQUEST, "invalid_grant"), |issued| json(&issued))
}

fn mint(bare: &Bare, client: &str, sub: &str, scope: &str) -> Option<Issued> {
    let access_token = bare.sign(sub, client, scope)?;
    let scope = scope.to_owned();
    Some(Issued { access_token, token_type: "Bearer", expires_in: LIFETIME_SECONDS, scope, ..Issued::default() })
}

fn mint_opaque(bare: &Bare, client: &str) -> Issued {
    let (access_token, iat) = (random(), now());
    let token = Token { client_id: client.into(), sub: client.into(), scope: "read".into(), iat, exp: iat + 86_400 };
    bare.insert(&access_token, token);
    Issued { access_token, token_type: "Bearer", expires_in: 86_400, scope: "read".to_owned(), ..Issued::default() }
}

/// A decoded form or query.
struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    fn parse(bytes: &'a [u8]) -> Self {
        Self(form_urlencoded::parse(bytes).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }
}

fn json(body: &impl Serialize) -> Response {
    let Ok(bytes) = serde_json::to_vec(body) else { return Response::default() };
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse(status: StatusCode, error: &str) -> Response {
    let mut response = json(&serde_json::json!({ "error": error }));
    *response.status_mut() = status;
    response
}

fn sha256(text: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

/// 32 random bytes in base64url, as codes and refresh tokens are.
pub(crate) fn random() -> String {
    BASE64URL_NOPAD.encode(&random_bytes::<32>())
}

fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

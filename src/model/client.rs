//! Owns the OAuth client (RFC 6749 §2). Does not authenticate it; see `http::client_auth`.

use serde::{Deserialize, Serialize};

use super::{
    clock::Timestamp,
    policy,
    redirect_uri::RedirectUri,
    scope::Scopes,
    secret::{Digest, new_id},
    words,
};

/// Most redirect URIs of one client.
pub const REDIRECT_URIS_MAX: usize = 20;

/// RFC 6749 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ClientType {
    /// Cannot keep a secret: runs in a browser, on a phone or on a desktop.
    Public,
    /// Runs on a server and has a secret.
    Confidential,
}

words!(ClientType { Public => "public", Confidential => "confidential" });

/// How a client authenticates (RFC 7591 §2 `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum AuthMethod {
    /// HTTP Basic (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
    /// No authentication: a public client sends only its id.
    None,
}

words!(AuthMethod {
    ClientSecretBasic => "client_secret_basic",
    ClientSecretPost => "client_secret_post",
    None => "none",
});

/// The grant types of `/oauth/token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 §4.1.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4.
    ClientCredentials,
}

words!(GrantType {
    AuthorizationCode => "authorization_code",
    RefreshToken => "refresh_token",
    ClientCredentials => "client_credentials",
});

/// One live secret of a client. Several may be live during a rotation.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    /// `secret_…`, safe to show.
    pub id: String,
    /// SHA-256 of the secret.
    pub digest: Digest,
    /// Last four characters.
    pub hint: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires, if another has replaced it.
    pub expires_at: Option<Timestamp>,
}

/// An OAuth client.
#[derive(Clone, Debug)]
pub struct Client {
    /// `client_…`.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Public or confidential.
    pub kind: ClientType,
    /// The one method that it registered; both ways of sending the secret for a confidential client without a choice.
    pub auth_methods: Vec<AuthMethod>,
    /// The redirect URIs that codes may be sent to.
    pub redirect_uris: Vec<RedirectUri>,
    /// The grant types that it may use.
    pub grant_types: Vec<GrantType>,
    /// The scopes that it may request.
    pub scopes: Scopes,
    /// The user who registered it, if not the operator.
    pub owner_id: Option<String>,
    /// Set if it is the resource server of this API.
    pub api_id: Option<String>,
    /// Whether it is the operator's own: then users are not asked for consent.
    pub first_party: bool,
    /// Whether a code needs PKCE; only the operator can turn it off, for confidential clients.
    pub require_pkce: bool,
    /// How long a refresh token's predecessor still returns the same successor, in milliseconds; 0 turns it off.
    pub refresh_grace_ms: i64,
    /// Whether neither the client nor its owner is disabled.
    pub active: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Its secrets, newest first.
    pub secrets: Vec<ClientSecret>,
}

impl Client {
    /// A client with the default registration: code flow with PKCE and refresh, no scopes yet.
    pub fn new(now: Timestamp, name: String, kind: ClientType) -> Self {
        Self {
            id: new_id("client"),
            name,
            kind,
            auth_methods: match kind {
                ClientType::Public => vec![AuthMethod::None],
                ClientType::Confidential => vec![AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost],
            },
            redirect_uris: Vec::new(),
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            scopes: Scopes::default(),
            owner_id: None,
            api_id: None,
            first_party: false,
            require_pkce: true,
            refresh_grace_ms: policy::REFRESH_GRACE * 1000,
            active: true,
            created_at: now,
            secrets: Vec::new(),
        }
    }

    /// Whether it is confidential.
    pub fn is_confidential(&self) -> bool {
        self.kind == ClientType::Confidential
    }

    /// Whether codes may be sent to this redirect URI.
    pub fn allows_redirect(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered.matches(uri))
    }

    /// Whether it may use this grant type.
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }
}

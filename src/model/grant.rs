//! Owns the grant: one approval of one client by one user, from consent to the last refresh. Does not change it; see `store::grants`.

use data_encoding::BASE64URL_NOPAD;

use super::{
    clock::Timestamp,
    scope::Scopes,
    secret::{self, Digest},
};

/// Identifier of a grant: 128 random bits, carried inside its code and refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantId(pub [u8; 16]);

impl GrantId {
    /// A new identifier.
    #[must_use]
    pub fn random() -> Self {
        Self(secret::random_bytes())
    }

    /// As it is stored and as access tokens name it: base64url, 22 characters.
    #[must_use]
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

/// What a grant carries from the authorization request.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Its identifier.
    pub id: GrantId,
    /// Who approved.
    pub user_id: String,
    /// In which session: it must not have ended.
    pub session: Digest,
    /// Whom.
    pub client_id: String,
    /// What.
    pub scopes: Scopes,
    /// Audience URIs the tokens may have, from `resource`; empty means those of the scopes.
    pub resources: Vec<String>,
    /// Where the code went.
    pub redirect_uri: String,
    /// PKCE, unless the client opted out.
    pub code_challenge: Option<String>,
    /// When the user signed in.
    pub auth_time: Timestamp,
    /// When the code ends.
    pub code_expires_at: Timestamp,
    /// When everything ends, whatever is refreshed.
    pub expires_at: Timestamp,
}

/// What a redemption or rotation yields.
#[derive(Clone, Debug)]
pub struct Redeemed {
    /// Identifier of the grant, as text.
    pub grant_id: String,
    /// Who approved.
    pub user_id: String,
    /// What was approved.
    pub scopes: Scopes,
    /// Audience URIs from `resource`.
    pub resources: Vec<String>,
    /// Where the code went.
    pub redirect_uri: String,
    /// The challenge of the request.
    pub code_challenge: Option<String>,
    /// The generation now current: the one the refresh token must carry.
    pub generation: u32,
    /// When the grant ends.
    pub expires_at: Timestamp,
}

/// An approval as its user sees it under "connected apps".
#[derive(Clone, Debug)]
pub struct ConnectedApp {
    /// The client.
    pub client_id: String,
    /// Its name.
    pub client_name: String,
    /// What was approved.
    pub scopes: Scopes,
    /// First approval.
    pub allowed_at: Timestamp,
    /// Last code exchange or refresh.
    pub last_used_at: Option<Timestamp>,
}

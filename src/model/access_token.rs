//! Owns the claims of an access token (RFC 9068 §2.2): one struct for writing and for reading them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    clock::Timestamp,
    principal::{CredentialKind, Rejection},
    reason::Reason,
};

/// How far in the future a token's `iat` may be, in seconds: the clocks of nodes differ.
const SKEW: Duration = Duration::from_mins(1);

/// The claims. Numbers must be integers, and members unique. Times are in seconds since the epoch.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The user, or the client itself.
    pub sub: String,
    /// The one API it is for. A token with several (RFC 7519 §4.1.3) is not ours.
    pub aud: String,
    /// When it expires.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// Not before. We never issue it, but we respect it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its identifier.
    pub jti: String,
    /// The client that holds it.
    pub client_id: String,
    /// Its scopes, space-delimited.
    pub scope: String,
    /// The grant it belongs to; `None` for a client acting on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<String>,
}

impl Claims {
    /// A rejection of this token.
    pub fn denied(&self, reason: Reason) -> Rejection {
        Rejection {
            reason,
            kind: Some(CredentialKind::AccessToken),
            key_id: None,
            // Only a token with a grant has a user.
            user_id: self.gid.is_some().then(|| self.sub.clone()),
            client_id: Some(self.client_id.clone()),
        }
    }

    /// When it expires.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }

    /// Whether the token is valid at `now`, by its own times.
    pub fn is_current(&self, now: Timestamp) -> bool {
        let ahead = (now + SKEW).seconds();
        self.exp > now.seconds() && self.iat <= ahead && self.nbf.is_none_or(|nbf| nbf <= ahead)
    }
}

//! Owns what an access token says (RFC 9068 §2.2): one struct for writing and for reading it.

use serde::{Deserialize, Serialize};

use super::{
    clock::Timestamp,
    principal::{CredentialKind, Rejection},
    reason::Reason,
};

/// How far a token's `iat` may lie ahead, in seconds: clocks of several nodes differ.
const SKEW_SECONDS: i64 = 60;

/// The claims, strictly typed: a float, string or repeated member is no number of ours. Times are in seconds since the epoch.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The user, or the client itself.
    pub sub: String,
    /// The one API it is for. Several (RFC 7519 §4.1.3) are none of ours.
    pub aud: String,
    /// When it expires.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// Not before; never ours, and obeyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its identifier.
    pub jti: String,
    /// The client that holds it.
    pub client_id: String,
    /// Space-delimited.
    pub scope: String,
    /// The grant behind it; none for a client on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<String>,
}

impl Claims {
    /// This token, refused.
    pub fn denied(&self, reason: Reason) -> Rejection {
        Rejection {
            reason,
            kind: Some(CredentialKind::AccessToken),
            key_id: None,
            // Only what a grant stands behind has a user.
            user_id: self.gid.is_some().then(|| self.sub.clone()),
            client_id: Some(self.client_id.clone()),
        }
    }

    /// When it expires.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }

    /// Whether the token's own times allow it at `now`.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        let ahead = now.plus_seconds(SKEW_SECONDS).seconds();
        self.exp > now.seconds() && self.iat <= ahead && self.nbf.is_none_or(|nbf| nbf <= ahead)
    }
}

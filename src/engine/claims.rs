//! Owns reading an access token: signature, type, issuer, its own times. Does not ask whether it still counts; see `verify`.

use jsonwebtoken::Validation;
use serde::Deserialize;

use super::signing::Signing;
use crate::model::{
    api::Algorithm,
    clock::Timestamp,
    principal::{CredentialKind, Rejection},
    reason::Reason,
};

/// How far a token's `iat` may lie ahead, in seconds: clocks of several nodes differ.
const SKEW_SECONDS: i64 = 60;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
    crit: Option<serde_json::Value>,
    b64: Option<serde_json::Value>,
}

/// Claims, strictly typed: a float, string or repeated member is no number of ours.
#[derive(Debug, Deserialize)]
pub struct Claims {
    iss: String,
    /// `sub`.
    pub sub: String,
    /// `aud`: the one API it is for. Several (RFC 7519 §4.1.3) are none of ours.
    pub aud: String,
    /// `exp`, in seconds since the epoch.
    pub exp: i64,
    /// `iat`, in seconds since the epoch.
    pub iat: i64,
    nbf: Option<i64>,
    /// `jti`.
    pub jti: String,
    /// `client_id`.
    pub client_id: String,
    /// `scope`.
    pub scope: String,
    /// The grant behind it.
    pub gid: Option<String>,
}

/// The claims of a token that we signed (RFC 9068 §4); the algorithm is the key's, never the header's choice.
///
/// # Errors
/// [`Reason::Unknown`] for anything else.
pub fn read(signing: &Signing, issuer: &str, token: &str) -> Result<Claims, Reason> {
    let unknown = || Reason::Unknown;
    let mut parts = token.splitn(4, '.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Reason::Unknown);
    };
    let header = data_encoding::BASE64URL_NOPAD.decode(header.as_bytes()).map_err(|_| unknown())?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| unknown())?;
    if header.typ != "at+jwt" || header.crit.is_some() || header.b64.is_some() {
        return Err(Reason::Unknown);
    }
    let keys = signing.keys();
    let key = keys.find(&header.kid).filter(|key| key.algorithm.as_str() == header.alg).ok_or_else(unknown)?;
    let mut validation = Validation::new(match key.algorithm {
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
    });
    // Times and audience are checked by us: against our clock, strictly typed.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let claims: Claims = jsonwebtoken::decode(token, &key.verifier, &validation).map_err(|_| unknown())?.claims;
    let sane = (0..=claims.exp).contains(&claims.iat) && claims.nbf.is_none_or(|nbf| nbf >= 0);
    if claims.iss == issuer && sane { Ok(claims) } else { Err(Reason::Unknown) }
}

impl Claims {
    /// This token, refused.
    pub fn denied(&self, reason: Reason) -> Rejection {
        Rejection {
            reason,
            kind: Some(CredentialKind::AccessToken),
            key_id: None,
            // Only a token of a grant has a user.
            user_id: self.gid.is_some().then(|| self.sub.clone()),
            client_id: Some(self.client_id.clone()),
        }
    }

    /// Whether the token's own times allow it at `now`.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        let ahead = now.plus_seconds(SKEW_SECONDS).seconds();
        self.exp > now.seconds() && self.iat <= ahead && self.nbf.is_none_or(|nbf| nbf <= ahead)
    }
}

/// What an access token says, its signature checked and nothing else.
#[derive(Debug)]
pub struct SignedToken {
    /// `jti`.
    pub jti: String,
    /// `client_id`.
    pub client_id: String,
    /// `exp`.
    pub expires_at: Timestamp,
}

impl From<Claims> for SignedToken {
    fn from(claims: Claims) -> Self {
        Self { jti: claims.jti, client_id: claims.client_id, expires_at: Timestamp::from_seconds(claims.exp) }
    }
}

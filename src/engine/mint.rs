//! Owns the mint: every access token is created here (RFC 9068). Does not decide who receives one; a grant does.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;

use super::signing::Signing;
use crate::model::{
    access_token::Claims,
    client::Client,
    clock::Timestamp,
    error::{Error, ErrorCode},
    resource::Target,
    secret::{self, Secret},
};

/// What a grant authorizes.
#[derive(Debug)]
pub struct Authorization {
    /// `sub`.
    pub subject: String,
    /// The client that receives the tokens.
    pub client_id: String,
    /// The API that the access token is for, with its scopes.
    pub target: Target,
    /// The grant that authorized it, if any.
    pub grant_id: Option<String>,
    /// The latest time at which the access token may expire.
    pub not_after: Option<Timestamp>,
    /// The current refresh token.
    pub refresh_token: Option<Secret>,
}

impl Authorization {
    /// For a client that acts for itself.
    pub fn of(client: &Client, target: Target) -> Self {
        Self {
            subject: client.id.clone(),
            client_id: client.id.clone(),
            target,
            grant_id: None,
            not_after: None,
            refresh_token: None,
        }
    }
}

/// The tokens of one response.
#[derive(Debug)]
pub struct Minted {
    /// The JWT.
    pub access_token: String,
    /// Seconds until it expires.
    pub expires_in: i64,
    /// Its scopes, space-delimited.
    pub scope: String,
    /// The refresh token of the authorization, unchanged.
    pub refresh_token: Option<Secret>,
}

/// Creates access tokens.
#[derive(Debug)]
pub struct Mint {
    issuer: String,
    signing: Arc<Signing>,
}

impl Mint {
    /// Creates tokens of this issuer.
    pub fn new(issuer: String, signing: Arc<Signing>) -> Self {
        Self { issuer, signing }
    }

    /// Issues the tokens of an authorization.
    pub fn issue(&self, now: Timestamp, authorization: Authorization) -> Result<Minted, Error> {
        let Authorization { subject, client_id, target, grant_id, not_after, refresh_token } = authorization;
        let expires_at = now.plus_seconds(target.access_token_seconds);
        let expires_at = not_after.map_or(expires_at, |end| end.min(expires_at));
        let expires_in = expires_at.seconds() - now.seconds();
        if expires_in <= 0 {
            return Err(Error::new(ErrorCode::InvalidGrant, "the grant has expired"));
        }
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: subject,
            aud: target.audience,
            exp: expires_at.seconds(),
            iat: now.seconds(),
            nbf: None,
            jti: BASE64URL_NOPAD.encode(&secret::random_bytes::<16>()),
            client_id,
            scope: target.scopes.to_string(),
            gid: grant_id,
        };
        let payload = serde_json::to_vec(&claims).map_err(Error::server)?;
        let access_token = self.signing.sign(now, target.algorithm, &payload)?;
        Ok(Minted { access_token, expires_in, scope: claims.scope, refresh_token })
    }
}

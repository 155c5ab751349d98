//! Owns the one mint: every access token is made here (RFC 9068). Does not decide who gets one; a grant does.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use super::{catalog::CatalogCache, signing::Signing};
use crate::model::{
    clock::Timestamp,
    error::{Error, ErrorCode},
    scope::Scopes,
    secret,
};

/// What an access token is to say.
#[derive(Debug)]
pub struct Order<'o> {
    /// `sub`.
    pub subject: &'o str,
    /// `client_id`.
    pub client_id: &'o str,
    /// `scope`.
    pub scopes: &'o Scopes,
    /// Audience URIs that the grant is limited to; empty means no limit.
    pub granted: &'o [String],
    /// Audience URIs that the token request names.
    pub resources: &'o [String],
    /// The grant behind it.
    pub grant_id: Option<&'o str>,
    /// It ends no later than this.
    pub not_after: Option<Timestamp>,
}

/// A minted token.
#[derive(Debug)]
pub struct Minted {
    /// The JWT.
    pub access_token: String,
    /// Seconds until it expires.
    pub expires_in: i64,
    /// What it may do.
    pub scopes: Scopes,
}

#[derive(Serialize)]
struct Claims<'c> {
    iss: &'c str,
    sub: &'c str,
    aud: &'c str,
    exp: i64,
    iat: i64,
    jti: String,
    client_id: &'c str,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<&'c str>,
}

/// Makes access tokens.
#[derive(Debug)]
pub struct Mint {
    issuer: String,
    catalog: Arc<CatalogCache>,
    signing: Arc<Signing>,
}

impl Mint {
    /// For this issuer.
    #[must_use]
    pub fn new(issuer: String, catalog: Arc<CatalogCache>, signing: Arc<Signing>) -> Self {
        Self { issuer, catalog, signing }
    }

    /// Issues a token for one API, with the scopes that belong to it; see `Catalog::target`.
    ///
    /// # Errors
    /// `invalid_target`, `invalid_scope`, `invalid_grant` when the grant has ended, `server_error`.
    pub fn access_token(&self, now: Timestamp, order: &Order<'_>) -> Result<Minted, Error> {
        let catalog = self.catalog.current();
        let (api, scopes) = catalog.target(order.scopes, order.granted, order.resources)?;
        let seconds = api.access_token_seconds;
        let expires_at =
            order.not_after.map_or_else(|| now.plus_seconds(seconds), |end| end.min(now.plus_seconds(seconds)));
        let expires_in = expires_at.seconds() - now.seconds();
        if expires_in <= 0 {
            return Err(Error::new(ErrorCode::InvalidGrant, "the grant has ended"));
        }
        let claims = Claims {
            iss: &self.issuer,
            sub: order.subject,
            aud: &api.identifier,
            exp: expires_at.seconds(),
            iat: now.seconds(),
            jti: BASE64URL_NOPAD.encode(&secret::random_bytes::<16>()),
            client_id: order.client_id,
            scope: scopes.to_string(),
            gid: order.grant_id,
        };
        let claims = serde_json::to_vec(&claims).map_err(Error::server)?;
        Ok(Minted { access_token: self.signing.sign(now, api.algorithm, &claims)?, expires_in, scopes })
    }
}

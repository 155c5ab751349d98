//! Owns the one mint: every access token is made here (RFC 9068). Does not decide who gets one; a grant does.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use super::{catalog::CatalogCache, signing::Signing};
use crate::model::{
    api::{Algorithm, Api},
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
    /// Audience URIs asked for; empty means those of the scopes.
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
    aud: Audience<'c>,
    exp: i64,
    iat: i64,
    jti: String,
    client_id: &'c str,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<&'c str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'c> {
    One(&'c str),
    Many(Vec<&'c str>),
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

    /// Makes a token: its audience is the APIs of its scopes, cut to those asked for.
    ///
    /// # Errors
    /// `invalid_scope` when nothing is left, `invalid_target` for an unknown resource, `server_error`.
    pub fn access_token(&self, now: Timestamp, order: &Order<'_>) -> Result<Minted, Error> {
        let catalog = self.catalog.current();
        let targets = catalog.targets(order.resources)?;
        let of = |name: &str| targets.iter().any(|api| api.scopes.iter().any(|scope| scope.name == name));
        let scopes = order.scopes.filter(of);
        let apis: Vec<&Api> =
            targets.into_iter().filter(|api| api.scopes.iter().any(|scope| scopes.contains(&scope.name))).collect();
        let Some(first) = apis.first() else {
            return Err(Error::invalid_scope("none of the scopes belongs to an API of the request"));
        };
        // Several APIs that sign differently can only agree on the default.
        let agreed = apis.iter().all(|api| api.algorithm == first.algorithm);
        let algorithm = if agreed { first.algorithm } else { Algorithm::default() };
        let seconds = apis.iter().map(|api| api.access_token_seconds).min().unwrap_or_default();
        let expires_at =
            order.not_after.map_or_else(|| now.plus_seconds(seconds), |end| end.min(now.plus_seconds(seconds)));
        let expires_in = expires_at.seconds() - now.seconds();
        if expires_in <= 0 {
            return Err(Error::new(ErrorCode::InvalidGrant, "the grant has ended"));
        }
        let claims = Claims {
            iss: &self.issuer,
            sub: order.subject,
            aud: if apis.len() == 1 {
                Audience::One(&first.identifier)
            } else {
                Audience::Many(apis.iter().map(|api| api.identifier.as_str()).collect())
            },
            exp: expires_at.seconds(),
            iat: now.seconds(),
            jti: BASE64URL_NOPAD.encode(&secret::random_bytes::<16>()),
            client_id: order.client_id,
            scope: scopes.to_string(),
            gid: order.grant_id,
        };
        let claims = serde_json::to_vec(&claims).map_err(Error::server)?;
        Ok(Minted { access_token: self.signing.sign(now, algorithm, &claims)?, expires_in, scopes })
    }
}

//! Owns reading an access token: signature, type, issuer, plausible times. Does not check its status; see `verify`.

use jsonwebtoken::Validation;
use serde::Deserialize;

use super::signing::Signing;
use crate::model::{access_token::Claims, api::Algorithm, reason::Reason};

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
    crit: Option<serde_json::Value>,
    b64: Option<serde_json::Value>,
}

/// The claims of a token signed by this server (RFC 9068 §4). The algorithm comes from the key, not from the header.
/// Anything else is [`Reason::Unknown`].
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
    // Times and audience are checked by our own code: against our clock, strictly typed.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let claims: Claims = jsonwebtoken::decode(token, &key.verifier, &validation).map_err(|_| unknown())?.claims;
    let sane = (0..=claims.exp).contains(&claims.iat) && claims.nbf.is_none_or(|nbf| nbf >= 0);
    if claims.iss == issuer && sane { Ok(claims) } else { Err(Reason::Unknown) }
}

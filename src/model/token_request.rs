//! Owns the token request (RFC 6749 §4, §6) parsed into one variant per grant type.

use super::{
    client::GrantType,
    error::{Error, ErrorCode},
    params::Params,
    scope::Scopes,
};

/// Most `resource` parameters in one request.
pub const RESOURCES_MAX: usize = 8;

/// What the client asks for.
pub enum TokenRequest {
    /// RFC 6749 §4.1.3.
    AuthorizationCode {
        /// The code.
        code: String,
        /// Must equal the authorization request's, where given.
        redirect_uri: Option<String>,
        /// RFC 7636 §4.5.
        code_verifier: Option<String>,
        /// RFC 8707 §2.2.
        resources: Vec<String>,
    },
    /// RFC 6749 §6.
    RefreshToken {
        /// The token.
        refresh_token: String,
        /// A narrower scope for this access token.
        scope: Option<Scopes>,
        /// RFC 8707 §2.2.
        resources: Vec<String>,
    },
    /// RFC 6749 §4.4.2.
    ClientCredentials {
        /// The scope asked for.
        scope: Option<Scopes>,
        /// RFC 8707 §2.
        resources: Vec<String>,
    },
}

impl std::fmt::Debug for TokenRequest {
    /// Without the code, verifier or token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.grant_type().as_str())
    }
}

impl TokenRequest {
    /// Parses the parameters of a token request.
    ///
    /// # Errors
    /// `unsupported_grant_type`, `invalid_request` or `invalid_scope`.
    pub fn parse(params: &Params<'_>) -> Result<Self, Error> {
        let grant_type = params.get("grant_type").ok_or_else(|| Error::invalid_request("grant_type is missing"))?;
        let grant = GrantType::parse(grant_type)
            .ok_or_else(|| Error::new(ErrorCode::UnsupportedGrantType, "grant_type is not one this server supports"))?;
        let need = |name: &'static str| {
            params.get(name).map(ToOwned::to_owned).ok_or_else(|| Error::invalid_request(format!("{name} is missing")))
        };
        let scope = || params.get("scope").map(Scopes::parse).transpose();
        let resources = resources(params)?;
        Ok(match grant {
            GrantType::AuthorizationCode => Self::AuthorizationCode {
                code: need("code")?,
                redirect_uri: params.get("redirect_uri").map(ToOwned::to_owned),
                code_verifier: params.get("code_verifier").map(ToOwned::to_owned),
                resources,
            },
            GrantType::RefreshToken => {
                Self::RefreshToken { refresh_token: need("refresh_token")?, scope: scope()?, resources }
            }
            GrantType::ClientCredentials => Self::ClientCredentials { scope: scope()?, resources },
        })
    }

    /// The grant type of the request.
    #[must_use]
    pub fn grant_type(&self) -> GrantType {
        match self {
            Self::AuthorizationCode { .. } => GrantType::AuthorizationCode,
            Self::RefreshToken { .. } => GrantType::RefreshToken,
            Self::ClientCredentials { .. } => GrantType::ClientCredentials,
        }
    }
}

/// The `resource` parameters: absolute URIs without fragment (RFC 8707 §2).
///
/// # Errors
/// `invalid_target`.
pub fn resources(params: &Params<'_>) -> Result<Vec<String>, Error> {
    let mut resources: Vec<String> = params.all("resource").map(ToOwned::to_owned).collect();
    resources.sort_unstable();
    resources.dedup();
    let absolute = |uri: &String| url::Url::parse(uri).is_ok() && !uri.contains('#');
    if resources.len() > RESOURCES_MAX || !resources.iter().all(absolute) {
        return Err(Error::new(ErrorCode::InvalidTarget, "resource must be an absolute URI without fragment"));
    }
    Ok(resources)
}

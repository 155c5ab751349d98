//! Owns resource indicators (RFC 8707): the `resource` parameter, and the one API that an access token is for.

use super::{
    api::{Algorithm, Api, Catalog},
    error::{Error, ErrorCode},
    params::Params,
    scope::Scopes,
};

const UNKNOWN_TARGET: &str = "unknown resource";

/// Most `resource` parameters in one request.
pub const RESOURCES_MAX: usize = 8;

/// The `resource` parameters: absolute URIs without fragment (RFC 8707 §2).
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

/// The one API that an access token is for, and its permissions there.
#[derive(Clone, Debug)]
pub struct Target {
    /// `aud`.
    pub audience: String,
    /// How the token is signed.
    pub algorithm: Algorithm,
    /// Lifetime of the token, in seconds.
    pub access_token_seconds: i64,
    /// Those of the granted scopes that belong to the API.
    pub scopes: Scopes,
}

impl Catalog {
    /// The one API that an access token is for, with those of `scopes` that belong to it: the API named by `resources`,
    /// else the only one that the scopes belong to. A token accepted by several APIs could be replayed by one at
    /// another (RFC 9700 §2.3). `granted` are the audience URIs that the grant is limited to; empty means no limit.
    /// Errors name the choices (RFC 8707 §2.2).
    pub fn target(&self, scopes: &Scopes, granted: &[String], resources: &[String]) -> Result<Target, Error> {
        let is_granted = |uri: &String| granted.is_empty() || granted.contains(uri);
        let mut choices = self.of_scopes(scopes);
        choices.retain(|api| is_granted(&api.identifier));
        let names = choices.iter().map(|api| api.identifier.as_str()).collect::<Vec<_>>().join(", ");
        let refused = |message: String| Err(Error::new(ErrorCode::InvalidTarget, message));
        let api = match (resources, choices.as_slice()) {
            ([], []) => return Err(Error::invalid_scope("none of the scopes belong to an API of this server")),
            ([], [api]) => *api,
            ([], _) => {
                return refused(format!(
                    "an access token is for one API, and the scopes belong to several; set resource to one of {names}"
                ));
            }
            ([resource], _) => match choices.iter().find(|api| api.identifier == *resource) {
                Some(api) => *api,
                None if self.by_identifier(resource).is_none() => return refused(UNKNOWN_TARGET.to_owned()),
                None if !is_granted(resource) => return refused("the grant does not cover this resource".to_owned()),
                None => return refused(format!("none of the scopes belong to this resource; they belong to {names}")),
            },
            _ => {
                return refused(format!("an access token is for one API; set resource to one of {names}"));
            }
        };
        Ok(Target {
            audience: api.identifier.clone(),
            algorithm: api.algorithm,
            access_token_seconds: api.access_token_seconds,
            scopes: scopes.filter(|name| api.has_scope(name)),
        })
    }

    /// The APIs named by the `resource` parameters of an authorization request, or all (RFC 8707 §2).
    pub fn targets(&self, resources: &[String]) -> Result<Vec<&Api>, Error> {
        if resources.is_empty() {
            return Ok(self.every().collect());
        }
        let unknown = || Error::new(ErrorCode::InvalidTarget, UNKNOWN_TARGET);
        resources.iter().map(|resource| self.by_identifier(resource).ok_or_else(unknown)).collect()
    }
}

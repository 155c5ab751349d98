//! Owns the `resource` parameter (RFC 8707): the APIs that a request names.

use super::{
    error::{Error, ErrorCode},
    params::Params,
};

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

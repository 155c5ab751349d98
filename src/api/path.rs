//! Owns ids and names in paths. What cannot be an id is not looked up.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use super::json::no_query;
use crate::{http::problem::Problem, model::error::Error};

/// Longest name, in bytes.
const NAME_MAX: usize = 128;

/// The last segment of a path, for a handler that takes no query.
#[derive(Debug)]
pub struct Id(pub String);

/// The last segment of a path, for a handler that reads the query.
#[derive(Debug)]
pub struct IdAndQuery(pub String);

/// A thing and another one below it.
#[derive(Debug)]
pub struct Ids(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        no_query(&parts.uri)?;
        IdAndQuery::from_request_parts(parts, state).await.map(|IdAndQuery(id)| Self(id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdAndQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) if is_name(&id) => Ok(Self(id)),
            _ => Err(Error::not_found().into()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<(String, String)>::from_request_parts(parts, state).await {
            Ok(Path((one, two))) if is_name(&one) && is_name(&two) => Ok(Self(one, two)),
            _ => Err(Error::not_found().into()),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.@+".contains(&b))
}

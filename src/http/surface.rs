//! Owns the surface that a request belongs to: programs, people, or management. It decides the form of errors that no
//! handler has rendered.

use axum::{
    http::Method,
    response::{IntoResponse, Response},
};

use super::{
    error::{OAuthError, PageError},
    problem::Problem,
};
use crate::model::error::{Error, ErrorCode};

/// Who a group of routes is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// OAuth clients, resource servers and proxies: JSON as in RFC 6749 §5.2.
    Program,
    /// People: HTML pages.
    Person,
    /// Callers of the management API: RFC 9457.
    Management,
}

impl Surface {
    /// The response for an error, in the form of this surface.
    pub fn error(self, error: Error) -> Response {
        match self {
            Self::Program => OAuthError(error).into_response(),
            Self::Person => PageError(error).into_response(),
            Self::Management => Problem::from(error).into_response(),
        }
    }

    /// The response for an existing path requested with a method that it does not support. The router adds `Allow`.
    pub fn other_method(self, method: &Method) -> Response {
        let message = match (self, matches!(*method, Method::GET | Method::HEAD)) {
            (Self::Management, _) => "method not allowed; see the Allow header",
            (Self::Program, true) => "use POST",
            (Self::Program, false) => "method not allowed; see the Allow header",
            (Self::Person, true) => "this address only accepts a form; go back and use the button there",
            (Self::Person, false) => "this address is a page and does not accept a form",
        };
        self.error(Error::new(ErrorCode::MethodNotAllowed, message))
    }
}

//! Owns the code that page handlers share: reading a signed-in user's form, errors, redirects.

use axum::{
    extract::{FromRequestParts, Path, Request},
    http::{HeaderMap, Uri, request::Parts},
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    http::{
        error::PageError,
        extract::{BodyKind, ParamsBody, RequestInfo},
        reply,
        signed_in::SignedIn,
        write_limit,
    },
    model::{error::Error, params::Params},
};

/// The result of a page's handler.
pub(super) type PageResult = Result<Response, PageFailure>;

/// A failure to show a page.
#[derive(Debug)]
pub enum PageFailure {
    /// A notice page.
    Page(Error),
    /// Another response, such as a redirect to the sign-in page.
    Elsewhere(Box<Response>),
}

impl From<Error> for PageFailure {
    fn from(error: Error) -> Self {
        Self::Page(error)
    }
}

impl From<crate::store::Error> for PageFailure {
    fn from(error: crate::store::Error) -> Self {
        Self::Page(error.into())
    }
}

impl From<Response> for PageFailure {
    fn from(response: Response) -> Self {
        Self::Elsewhere(Box::new(response))
    }
}

impl IntoResponse for PageFailure {
    fn into_response(self) -> Response {
        match self {
            Self::Page(error) => PageError(error).into_response(),
            Self::Elsewhere(response) => *response,
        }
    }
}

/// A form with the request's headers, its token not yet checked.
pub(super) async fn read(app: &App, request: Request) -> Result<(HeaderMap, ParamsBody), PageFailure> {
    Ok(ParamsBody::read(request, BodyKind::Form, app.config.limits.body_bytes).await?)
}

/// A signed-in user's form that came from a page shown to this user; forms are counted per user.
pub(super) async fn signed_form(
    app: &App,
    info: &RequestInfo,
    request: Request,
) -> Result<(SignedIn, ParamsBody), PageFailure> {
    let (headers, body) = read(app, request).await?;
    let signed_in = SignedIn::of(app, info.now, &headers).await?;
    signed_in.viewer.check_form(app, &headers, &body.params()?)?;
    write_limit::admit(app, info.now, &signed_in.user.id, None).await?;
    Ok((signed_in, body))
}

/// The parameters of a page's query.
pub(super) fn query(uri: &Uri) -> Result<Params<'_>, Error> {
    Params::form(uri.query().unwrap_or_default().as_bytes())?.without_nul()
}

/// 303 to another page; `path` begins with a slash.
pub(super) fn redirect(app: &App, path: &str) -> Response {
    reply::see_other(&format!("{}{path}", app.config.issuer.base_path()))
}

/// An identifier from a path. One that cannot be ours is rejected without a query.
#[derive(Debug)]
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = PageFailure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageFailure> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) if id.len() <= 128 && id.bytes().all(plain) => Ok(Self(id)),
            _ => Err(Error::not_found().into()),
        }
    }
}

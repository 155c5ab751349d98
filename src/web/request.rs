//! Owns the code that page handlers share: reading a form, failures, redirects.

use std::{fmt, ops::Deref, sync::Arc};

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, Uri, request::Parts},
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    engine::attenuation::Attenuation,
    http::{
        error::PageError,
        extract::{BodyKind, ParamsBody, RequestInfo},
        reply,
        session::{self, Viewer},
        signed_in::SignedIn,
        write_limit,
    },
    model::{audit::Act, error::Error, params::Params},
    store::Store,
    ui::{Flash, Tone},
};

/// The parameters that a form may repeat.
const REPEATABLE: [&str; 1] = ["scope"];

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

impl IntoResponse for PageFailure {
    fn into_response(self) -> Response {
        match self {
            Self::Page(error) => PageError(error).into_response(),
            Self::Elsewhere(response) => *response,
        }
    }
}

/// A form from a page that was shown to its sender, read strictly. `S` says who may send it.
pub struct Form<S> {
    pub info: RequestInfo,
    pub params: Params<'static>,
    /// `User-Agent` of the browser.
    pub agent: String,
    sender: S,
}

/// A form that is not checked yet.
pub(super) type Unchecked = (HeaderMap, ParamsBody);

/// A sender of forms.
pub trait Sender: Sized {
    /// The sender, if this browser may send the form.
    fn admit(app: &App, viewer: Viewer, form: &Unchecked) -> impl Future<Output = Result<Self, PageFailure>> + Send;
}

/// Any browser that was shown the page.
impl Sender for Viewer {
    async fn admit(app: &App, viewer: Self, (headers, body): &Unchecked) -> Result<Self, PageFailure> {
        viewer.check_form(app, headers, &body.params()?)?;
        Ok(viewer)
    }
}

/// A signed-in user, whose forms are counted.
impl Sender for SignedIn {
    async fn admit(app: &App, viewer: Viewer, (headers, body): &Unchecked) -> Result<Self, PageFailure> {
        let sender = Self::of(app, viewer).map_err(PageFailure::Elsewhere)?;
        sender.viewer.check_form(app, headers, &body.params()?)?;
        write_limit::admit(app, sender.viewer.now, &sender.user.id, None).await?;
        Ok(sender)
    }
}

/// A browser that was signed in when the page was shown. If it is signed out by now, the handler decides where to go;
/// a token of the ended session could not be checked.
#[derive(Debug)]
pub struct Lapsable(Viewer);

impl Sender for Lapsable {
    async fn admit(app: &App, viewer: Viewer, (headers, body): &Unchecked) -> Result<Self, PageFailure> {
        if viewer.user().is_some() {
            viewer.check_form(app, headers, &body.params()?)?;
        }
        Ok(Self(viewer))
    }
}

impl Deref for Lapsable {
    type Target = Viewer;

    fn deref(&self) -> &Viewer {
        &self.0
    }
}

impl<S: Sender> FromRequest<Arc<App>> for Form<S> {
    type Rejection = PageFailure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageFailure> {
        let info = RequestInfo::of(request.extensions())?.clone();
        let form = ParamsBody::read(request, BodyKind::Form, app.config.limits.body_bytes).await?;
        let viewer = Viewer::of(app, info.now, &form.0).await?;
        let sender = S::admit(app, viewer, &form).await?;
        let params = form.1.params()?.into_owned();
        params.refuse_duplicates(&REPEATABLE)?;
        Ok(Self { info, params, agent: session::agent(&form.0), sender })
    }
}

impl<S> fmt::Debug for Form<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form(REDACTED)")
    }
}

impl<S> Deref for Form<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.sender
    }
}

impl<S> Form<S> {
    /// A field; absent and empty are the same.
    pub(super) fn get(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }
}

/// What it takes to change something: the store, whose writes succeed only while the session lasts, and who changes it.
pub(super) struct Change<'f> {
    pub store: Store,
    pub act: Act,
    pub by: Attenuation<'f>,
}

impl<'f> Change<'f> {
    pub(super) fn of(app: &App, info: &RequestInfo, sender: &'f SignedIn) -> Self {
        let user = &sender.user;
        Self {
            store: app.store.in_session(sender.session, user.id.clone()),
            act: info.act(&user.id),
            by: Attenuation::signed_in(user),
        }
    }
}

impl Form<SignedIn> {
    /// For a change that is not sensitive; see `reauth` for those that are.
    pub(super) fn change(&self, app: &App) -> Change<'_> {
        Change::of(app, &self.info, self)
    }
}

/// The parameters of a page's query.
pub(super) fn query(uri: &Uri) -> Result<Params<'_>, Error> {
    Params::form(uri.query().unwrap_or_default().as_bytes())?.without_nul()
}

/// What a page says after a change, by the `done` in its query.
pub(super) fn done(uri: &Uri, texts: &[(&str, &str)]) -> Result<Option<Flash>, Error> {
    let query = query(uri)?;
    let text = texts.iter().find(|(name, _)| query.get("done") == Some(*name));
    Ok(text.map(|(_, text)| Flash::of(Tone::Good, *text)))
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

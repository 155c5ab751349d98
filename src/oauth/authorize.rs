//! Owns `/oauth/authorize` (RFC 6749 §4.1). It decides the next step from stored state on each visit. Pages never
//! call one another; they lead back here. There are two kinds of errors: before client and redirect URI are known, a
//! page; afterwards, a redirect.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::Method,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    engine::{
        authn::{self, Purpose},
        consent, interactions,
        limit::Throttle,
    },
    http::{
        error::{PageError, PendingNotice},
        extract::RequestInfo,
        reply::{see_other, with_query},
        session::Viewer,
    },
    model::{
        authorize_request::{AuthorizeRequest, STATE_MAX},
        client::{Client, GrantType},
        error::{Error, ErrorCode},
        grant::{GrantId, NewGrant},
        params::Params,
        redirect_uri::display_host,
        secret::{self, Digest},
    },
    store::Interaction,
};

/// Random characters of an interaction's id: 238 bits.
const INTERACTION_CHARS: usize = 40;

/// Where to send the response, once client and redirect URI were checked.
#[derive(Clone, Debug)]
struct ReturnPath {
    client: Arc<Client>,
    redirect_uri: String,
    state: Option<String>,
}

/// A refused request: an error page, a redirect to the client, or a page with a link to the client.
enum AuthorizeError {
    Page(Error),
    Redirect(ReturnPath, Error),
    Link(ReturnPath, Error),
}

impl From<Error> for AuthorizeError {
    fn from(error: Error) -> Self {
        Self::Page(error)
    }
}

impl From<crate::store::Error> for AuthorizeError {
    fn from(error: crate::store::Error) -> Self {
        Self::Page(error.into())
    }
}

/// A request in progress: new, or stored as an interaction while pages are shown.
struct Waiting {
    request: AuthorizeRequest,
    client: Arc<Client>,
    kept: Option<(Digest, Interaction)>,
}

/// The next step.
enum Step {
    SignIn,
    Consent,
    Refuse(ErrorCode, &'static str),
    Code,
}

/// `GET,POST /oauth/authorize`
pub async fn authorize(State(app): State<Arc<App>>, info: RequestInfo, request: Request) -> Response {
    match decide(&app, &info, request).await {
        Ok(response) => response,
        Err(AuthorizeError::Page(error)) => PageError(error).into_response(),
        Err(AuthorizeError::Redirect(path, error)) => see_other(&path.error_url(&app, &error)),
        Err(AuthorizeError::Link(path, error)) => path.page(&app, error),
    }
}

impl ReturnPath {
    /// The redirect URI with these parameters, `state`, and `iss` (RFC 9207 §2).
    fn url(&self, app: &App, params: &[(&str, &str)]) -> String {
        let mut params = params.to_vec();
        params.extend(self.state.as_deref().map(|state| ("state", state)));
        params.push(("iss", &app.config.issuer));
        with_query(&self.redirect_uri, &params)
    }

    fn error_url(&self, app: &App, error: &Error) -> String {
        self.url(app, &[("error", error.code.as_str()), ("error_description", &error.description)])
    }

    /// Whether an error may redirect the browser at once. Anybody can register an app, and a link to this server that
    /// leads on to it would abuse this server's reputation. So errors are redirected for the operator's clients and for
    /// signed-in users; without a page (`prompt=none`) also for apps that somebody other than their owner has allowed, under
    /// the same name and with the same host (RFC 9700 §4.11.2).
    async fn is_trusted(&self, app: &App, viewer: &Viewer, is_silent: bool) -> Result<bool, AuthorizeError> {
        let Some(owner) = &self.client.owner_id else { return Ok(true) };
        if viewer.user().is_some() || self.client.first_party {
            return Ok(true);
        }
        let (client, host) = (&self.client, display_host(&self.redirect_uri));
        Ok(is_silent && app.store.is_allowed_by_others(&client.id, owner, &client.name, &host).await?)
    }

    /// A page that describes the app's error and lets the user choose whether to go there.
    fn page(&self, app: &App, error: Error) -> Response {
        let (name, host) = (&self.client.name, display_host(&self.redirect_uri));
        let notice = PendingNotice {
            status: error.code.status(),
            heading: "This app's request cannot be completed",
            message: format!("The app “{name}” sent a request that cannot be completed: {}", error.description),
            link: Some((format!("Go back to {host}"), self.error_url(app, &error))),
            retry_after: None,
        };
        let mut response = PageError(error).into_response();
        response.extensions_mut().insert(notice);
        response
    }
}

async fn decide(app: &App, info: &RequestInfo, request: Request) -> Result<Response, AuthorizeError> {
    let (parts, body) = request.into_parts();
    let body = match parts.method {
        Method::POST => to_bytes(body, app.config.limits.body_bytes)
            .await
            .map_err(|error| Error::new(ErrorCode::ContentTooLarge, "the form is too large").because(error))?,
        _ => axum::body::Bytes::new(),
    };
    let mut params = Params::form(parts.uri.query().unwrap_or_default().as_bytes())?;
    params.append(Params::form(&body)?);
    let mut viewer = Viewer::of(app, info.now, &parts.headers).await?;
    match proceed(app, info, &mut viewer, &params).await {
        Err(AuthorizeError::Redirect(path, error)) => {
            let is_silent = params.get("prompt") == Some("none");
            let is_trusted = path.is_trusted(app, &viewer, is_silent).await?;
            Err(if is_trusted { AuthorizeError::Redirect(path, error) } else { AuthorizeError::Link(path, error) })
        }
        outcome => outcome,
    }
}

async fn proceed(
    app: &App,
    info: &RequestInfo,
    viewer: &mut Viewer,
    params: &Params<'_>,
) -> Result<Response, AuthorizeError> {
    let waiting = match params.get("interaction") {
        Some(id) => resume(app, info, viewer, id).await?,
        None => begin(app, params).await?,
    };
    match next_step(app, viewer, &waiting).await? {
        Step::Code => issue_code(app, info, viewer, waiting).await,
        Step::Refuse(code, why) => refuse(app, info, waiting, Error::new(code, why)).await,
        Step::SignIn => show(app, info, viewer, waiting, params, "login").await,
        Step::Consent => show(app, info, viewer, waiting, params, "consent").await,
    }
}

/// A new request. Client and redirect URI are checked first, so that no error is sent to an unknown address.
async fn begin(app: &App, params: &Params<'_>) -> Result<Waiting, AuthorizeError> {
    let repeated = |name: &str| params.pairs().filter(|(n, _)| *n == name).count() > 1;
    if repeated("client_id") || repeated("redirect_uri") {
        return Err(Error::invalid_request("client_id or redirect_uri is given more than once").into());
    }
    let unknown = || Error::invalid_request("this app is not registered with this server");
    let client = app.clients.find(params.get("client_id").unwrap_or_default()).await?.ok_or_else(unknown)?;
    let redirect_uri = params.get("redirect_uri").unwrap_or_default();
    if !client.allows_redirect(redirect_uri) {
        return Err(Error::invalid_request("the app's redirect URI is not registered").into());
    }
    let state = params.get("state").map(ToOwned::to_owned);
    if state.as_ref().is_some_and(|state| state.len() > STATE_MAX) {
        return Err(Error::invalid_request("state is longer than 4096 bytes").into());
    }
    let path = ReturnPath { client: Arc::clone(&client), redirect_uri: redirect_uri.to_owned(), state };
    let back = |error| AuthorizeError::Redirect(path.clone(), error);
    if !client.may_use(GrantType::AuthorizationCode) {
        return Err(back(Error::new(
            ErrorCode::UnauthorizedClient,
            "this client may not use the authorization code grant",
        )));
    }
    let mut request = AuthorizeRequest::parse(params, &client, redirect_uri).map_err(back)?;
    let catalog = app.catalog.current();
    let targets = catalog.targets(&request.resources).map_err(back)?;
    let may_ask = request.scopes.filter(|name| client.scopes.contains(name) && catalog.scope(name).is_some());
    if may_ask.is_empty() {
        return Err(back(Error::invalid_scope("this client may not request any of these scopes")));
    }
    request.scopes = may_ask.filter(|name| targets.iter().any(|api| api.has_scope(name)));
    if request.scopes.is_empty() {
        return Err(back(Error::new(ErrorCode::InvalidTarget, "none of the scopes belong to this resource")));
    }
    Ok(Waiting { request, client, kept: None })
}

/// A request that was stored while pages were shown. Only the stored values count, whatever else the URL says.
async fn resume(app: &App, info: &RequestInfo, viewer: &Viewer, id: &str) -> Result<Waiting, AuthorizeError> {
    let interaction = interactions::find(&app.store, info.now, viewer.browser(), id).await?;
    let gone = || Error::invalid_request("this app is not registered with this server");
    let client = app.clients.find(&interaction.request.client_id).await?.ok_or_else(gone)?;
    let request = interaction.request.clone();
    if !client.allows_redirect(&request.redirect_uri) {
        return Err(Error::invalid_request("the app's redirect URI is not registered").into());
    }
    Ok(Waiting { request, client, kept: Some((Digest::of(id), interaction)) })
}

async fn next_step(app: &App, viewer: &Viewer, waiting: &Waiting) -> Result<Step, AuthorizeError> {
    let request = &waiting.request;
    let kept = waiting.kept.as_ref().map(|(_, interaction)| interaction);
    let session = viewer.authenticated();
    let authn::Step::Done(who) = authn::next_step(viewer.now, Purpose::Authorize(request, kept), session) else {
        let why = if session.is_some() { "the sign-in is too old" } else { "the user is not signed in" };
        return Ok(if request.prompt.none { Step::Refuse(ErrorCode::LoginRequired, why) } else { Step::SignIn });
    };
    let user = &who.user;
    match kept.and_then(|kept| kept.decision.as_ref()) {
        Some((by, true)) if *by == user.id => return Ok(Step::Code),
        Some((by, false)) if *by == user.id => {
            return Ok(Step::Refuse(ErrorCode::AccessDenied, "the user denied access"));
        }
        _ => {}
    }
    if !request.prompt.consent && !consent::is_needed(&app.store, &user.id, &waiting.client, request).await? {
        return Ok(Step::Code);
    }
    Ok(if request.prompt.none {
        Step::Refuse(ErrorCode::ConsentRequired, "the user has not given consent")
    } else {
        Step::Consent
    })
}

/// Redirects to a page. The request is stored under an id that only this browser can use.
async fn show(
    app: &App,
    info: &RequestInfo,
    viewer: &mut Viewer,
    waiting: Waiting,
    params: &Params<'_>,
    page: &str,
) -> Result<Response, AuthorizeError> {
    let id = match (&waiting.kept, params.get("interaction")) {
        (Some(_), Some(id)) => id.to_owned(),
        _ => {
            let guard = Throttle::interactions(app.config.limits.interactions_per_address);
            if let Some(wait) = app.limiter.hit(info.now, guard, &info.network()).await {
                let many = "too many sign-ins were started from this address; try again in a few minutes";
                return Err(Error::too_many(wait, many).into());
            }
            let id = secret::random_base62(INTERACTION_CHARS);
            let interaction = Interaction {
                browser: viewer.ensure_browser(),
                request: waiting.request,
                created_at: info.now,
                expires_at: info.now + app.config.lifetimes.interaction,
                signed_in_at: None,
                decision: None,
            };
            app.store.insert_interaction(Digest::of(&id), interaction).await?;
            id
        }
    };
    Ok(viewer.set_browser(app, see_other(&format!("{}/{page}?interaction={id}", app.config.issuer.base_path()))))
}

async fn refuse(app: &App, info: &RequestInfo, waiting: Waiting, error: Error) -> Result<Response, AuthorizeError> {
    if let Some((id, _)) = waiting.kept {
        app.store.delete_interaction(info.now, id).await?;
    }
    let AuthorizeRequest { redirect_uri, state, .. } = waiting.request;
    Err(AuthorizeError::Redirect(ReturnPath { client: waiting.client, redirect_uri, state }, error))
}

async fn issue_code(
    app: &App,
    info: &RequestInfo,
    viewer: &Viewer,
    waiting: Waiting,
) -> Result<Response, AuthorizeError> {
    let (Some(who), Some(session)) = (viewer.authenticated(), viewer.session()) else {
        return Err(Error::server("an authorization code without a user").into());
    };
    let user = &who.user;
    // Unredeemed codes are limited; redeeming one takes it off the count.
    let guard = Throttle::codes(app.config.limits.unredeemed_codes_per_user);
    if let Some(wait) = app.limiter.hit(info.now, guard, &user.id).await {
        let many = "too many sign-ins to apps were started and not completed; try again in a few minutes";
        return Err(Error::too_many(wait, many).into());
    }
    if let Some((id, _)) = waiting.kept
        && !app.store.delete_interaction(info.now, id).await?
    {
        return Err(Error::invalid_request("this sign-in was already completed; start again from the app").into());
    }
    let request = waiting.request;
    let id = GrantId::new(info.now);
    let grant = NewGrant {
        id,
        user_id: user.id.clone(),
        session,
        client_id: request.client_id,
        scopes: request.scopes,
        resources: request.resources,
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: request.code_challenge,
        auth_time: who.at,
        code_expires_at: info.now + app.config.lifetimes.code,
        expires_at: info.now + app.config.lifetimes.grant,
    };
    if !app.store.insert_grant(info.now, info.origin(&user.id), grant).await? {
        return Err(
            Error::invalid_request("your session or the app's access has ended; start again from the app").into()
        );
    }
    app.background.grant_limit.count(&user.id, &waiting.client.id);
    let path = ReturnPath { client: waiting.client, redirect_uri: request.redirect_uri, state: request.state };
    Ok(see_other(&path.url(app, &[("code", app.grant_tokens.code(&id).expose())])))
}

//! Owns EVERY route in one file, grouped by surface, and the order of the layers around them.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::from_fn_with_state,
    response::Response,
    routing::{any, delete, get, post, put},
};
use serde_json::Value;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};

use crate::{
    api::{self, needs},
    app::App,
    config::Config,
    gateway,
    http::{gzip::Compressed, layers, login_redirect, reply, surface::Surface},
    model::{
        error::Error,
        management_api::{self, Scope},
    },
    oauth::{self, authorize::authorize, metadata},
    openapi::{self, Described},
    ops, public,
    web::{
        activity, apps, assets, callback, connected, consent, denied, keys, leaked, login, projects, reference,
        security,
    },
};

/// Routes, and the OpenAPI descriptions of their handlers. `$scope` returns the scope that a handler needs, `$other`
/// answers methods that no handler accepts.
macro_rules! routes {
    ($scope:path; $(.route($path:literal, $($method:ident($($handler:ident)::+)).+ $(, otherwise $other:path)?))*) => {{
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($($($handler)::+),+),*))]
        struct Handlers;
        let scopes = vec![$($(($path, stringify!($method), $scope(&$($handler)::+))),+),*];
        let routes = Router::new()$(.route($path, $($method($($handler)::+)).+ $(.fallback($other))?))*;
        (routes, Described { document: <Handlers as utoipa::OpenApi>::openapi, scopes })
    }};
}

/// Every route.
pub fn router(app: Arc<App>) -> Router {
    let base = app.config.issuer.base_path();
    let management = group_below(&app, Surface::Management, &[management_api::PATH], management().0);
    let routes = machines(&app).merge(management).merge(described(&app)).merge(people(&app));
    let routes = if base.is_empty() { routes } else { issuer_with_path(&app, base).nest(base, routes) };
    routes.with_state(app)
}

/// A group of routes with its layers: every error has the form of its surface, wherever it was created. Panics are
/// caught inside the edge layer, so that their responses look like any other.
pub fn group(app: &Arc<App>, surface: Surface, routes: Router<Arc<App>>) -> Router<Arc<App>> {
    let panicked = move |_: Box<dyn Any + Send>| surface.error(Error::server("a handler panicked"));
    routes
        .method_not_allowed_fallback(move |method: Method| async move { surface.other_method(&method) })
        // One `ServiceBuilder` stack: each separate layer would add one boxed future per request.
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state((Arc::clone(app), surface), layers::edge))
                .layer(CatchPanicLayer::custom(panicked)),
        )
}

/// A group that owns `paths`: any unmatched path below them returns 404, in the error format of the group.
fn group_below(app: &Arc<App>, surface: Surface, paths: &[&str], mut routes: Router<Arc<App>>) -> Router<Arc<App>> {
    let nowhere = move || async move { surface.error(Error::not_found()) };
    for path in paths {
        routes = routes
            .route(&format!("{path}/"), any(nowhere))
            .route(&format!("{path}/{}", layers::UNMATCHED), any(nowhere));
    }
    group(app, surface, routes)
}

/// For programs: JSON errors, no cookies.
fn machines(app: &Arc<App>) -> Router<Arc<App>> {
    let from_scripts = from_scripts()
        .0
        // Added before CORS, so that CORS answers preflight requests instead of this fallback.
        .method_not_allowed_fallback(|method: Method| async move { Surface::Program.other_method(&method) })
        .layer(cors(app));
    let routes = Router::new()
        .merge(from_scripts)
        .merge(protocol().0)
        .route("/.well-known/openid-configuration", get(metadata::metadata))
        .route("/gateway/verify/{api}/", any(gateway::named))
        .route("/gateway/verify/{api}/{*rest}", any(gateway::appended))
        .route("/gateway/self/{api}/{*rest}", get(gateway::own::answer))
        .route("/livez", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics));
    let paths = ["/oauth", "/v1", "/api", "/.well-known", "/leaks", "/gateway"];
    group_below(app, Surface::Program, &paths, routes)
}

/// Also for browser scripts, from the configured origins.
fn from_scripts() -> (Router<Arc<App>>, Described) {
    routes! { nothing;
        .route("/oauth/token", post(oauth::token::token))
        .route("/oauth/revoke", post(oauth::revoke::revoke))
    }
}

/// OAuth, endpoints about the presented credential, and endpoints for proxies and leak reporters.
fn protocol() -> (Router<Arc<App>>, Described) {
    routes! { nothing;
        .route("/oauth/introspect", post(oauth::introspect::introspect))
        .route("/.well-known/oauth-authorization-server", get(oauth::metadata::metadata))
        .route("/.well-known/jwks.json", get(oauth::metadata::jwks))
        .route("/v1/users/me", get(public::me::me), otherwise public::me::other_method)
        .route("/health", get(public::me::health))
        .route("/gateway/verify", any(gateway::only))
        .route("/gateway/verify/{api}", any(gateway::named))
        .route("/leaks/secret-scanning", post(public::leaks::secret_scanning))
    }
}

/// No scope: the operation's own description names what it needs.
fn nothing<H>(_: &H) -> Option<Scope> {
    None
}

/// The OpenAPI document of a server with this configuration.
pub fn document(config: &Config) -> Value {
    openapi::document(config, [management().1, from_scripts().1, protocol().1])
}

/// The description of the management API for programs and people, created once.
fn described(app: &Arc<App>) -> Router<Arc<App>> {
    let document = Arc::new(document(&app.config));
    let shown = Arc::clone(&document);
    // Compressed on the first request: most servers never get one.
    let (text, page) = (Arc::new(OnceLock::<Compressed>::new()), Arc::new(OnceLock::new()));
    let described = async move |headers: HeaderMap| {
        text.get_or_init(|| Compressed::new(document.to_string())).fill(&headers, reply::public_json(Body::empty()))
    };
    let shown =
        async move |State(app): State<Arc<App>>, headers: HeaderMap| reference::page(&app, &shown, &page, &headers);
    group(app, Surface::Program, Router::new().route("/openapi.json", get(described))).merge(group(
        app,
        Surface::Person,
        Router::new().route("/api/docs", get(shown)),
    ))
}

/// The management API: JSON, a Bearer credential with the scope of each handler, RFC 9457 errors.
fn management() -> (Router<Arc<App>>, Described) {
    routes! { needs::scope;
        .route("/api/v1/keys", get(api::keys::list).post(api::keys::create))
        .route("/api/v1/keys/{id}", get(api::keys::get).patch(api::keys::update))
        .route("/api/v1/keys/{id}/revoke", post(api::keys::revoke))
        .route("/api/v1/keys/{id}/rotate", post(api::keys::rotate))
        .route("/api/v1/keys/{id}/regenerate", post(api::keys::regenerate))
        .route("/api/v1/keys/{id}/usage", get(api::usage::of_key))
        .route("/api/v1/usage", get(api::usage::of_user))
        .route("/api/v1/denials", get(api::usage::denials))
        .route("/api/v1/denials/{request_id}", get(api::usage::denial))
        .route("/api/v1/projects", get(api::projects::list).post(api::projects::create))
        .route("/api/v1/projects/{id}", get(api::projects::get).patch(api::projects::update))
        .route("/api/v1/clients", get(api::clients::list).post(api::clients::create))
        .route("/api/v1/clients/{id}", get(api::clients::get).patch(api::clients::update).delete(api::clients::delete))
        .route("/api/v1/clients/{id}/secret", post(api::clients::rotate_secret))
        .route("/api/v1/users", get(api::users::list).post(api::users::create))
        .route("/api/v1/users/{id}", get(api::users::get).patch(api::users::update))
        .route("/api/v1/apis", get(api::apis::list).post(api::apis::create))
        .route("/api/v1/apis/{id}", get(api::apis::get))
        .route("/api/v1/apis/{id}/routes", get(api::apis::rules::list).post(api::apis::rules::add).put(api::apis::rules::replace))
        .route("/api/v1/apis/{id}/routes/test", get(api::apis::rules::test))
        .route("/api/v1/apis/{id}/routes/{route}", delete(api::apis::rules::remove))
        .route("/api/v1/apis/{id}/profile", put(api::profiles::assign))
        .route("/api/v1/apis/{id}/test", post(api::profiles::trial::try_request))
        .route("/api/v1/profiles", get(api::profiles::list).post(api::profiles::create))
        .route("/api/v1/profiles/{id}", get(api::profiles::get).put(api::profiles::set).delete(api::profiles::delete))
        .route("/api/v1/scopes", get(api::apis::scopes))
        .route("/api/v1/plans", get(api::plans::list))
        .route("/api/v1/plans/{name}", put(api::plans::set))
        .route("/api/v1/audit", get(api::audit::list))
    }
}

/// For people: pages, cookies, forms.
fn people(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/oauth/authorize", get(authorize).post(authorize))
        .route("/", get(assets::root))
        .route("/login", get(login::show).post(login::sign_in))
        .route("/logout", post(login::sign_out))
        .route("/consent", get(consent::show).post(consent::decide))
        .route("/settings/keys", get(keys::list::list).post(keys::list::create))
        .route("/settings/keys/{id}", get(keys::detail::show))
        .route("/settings/keys/{id}/networks", post(keys::change::networks))
        .route("/settings/keys/{id}/regenerate", post(keys::change::regenerate))
        .route("/settings/keys/{id}/rotate", post(keys::change::rotate))
        .route("/settings/keys/{id}/revoke", post(keys::change::revoke))
        .route("/settings/projects", get(projects::list::list).post(projects::list::create))
        .route("/settings/projects/{id}", get(projects::detail::show).post(projects::detail::update))
        .route("/settings/projects/{id}/keys", post(projects::detail::create_key))
        .route("/settings/projects/{id}/disable", post(projects::detail::disable))
        .route("/settings/projects/{id}/enable", post(projects::detail::enable))
        .route("/settings", get(assets::root))
        .route("/settings/security", get(security::show))
        .route("/settings/security/password", post(security::change_password))
        .route("/settings/security/sessions/{id}/end", post(security::end_session))
        .route("/settings/security/sessions/end-others", post(security::end_others))
        .route("/settings/denied", get(denied::show))
        .route("/settings/activity", get(activity::show))
        .route("/leaked", get(leaked::show).post(leaked::end))
        .route("/settings/apps", get(connected::list))
        .route("/settings/apps/{client_id}/revoke", post(connected::remove))
        .route("/apps", get(apps::list::list).post(apps::form::create))
        .route("/apps/new", get(apps::form::blank))
        .route("/apps/callback", get(callback::callback))
        .route("/apps/{id}", get(apps::detail::show).post(apps::detail::update))
        .route("/apps/{id}/secret", post(apps::detail::rotate))
        .route("/apps/{id}/delete", post(apps::detail::delete))
        .method_not_allowed_fallback(|method: Method| async move { Surface::Person.other_method(&method) })
        .layer(from_fn_with_state(Arc::clone(app), login_redirect::remember))
        .layer(from_fn_with_state(Arc::clone(app), layers::our_host))
        // On any host name: assets are the same for everyone, and the page that names the right host needs them.
        .route("/assets/{name}", get(assets::asset))
        .fallback(nowhere);
    group(app, Surface::Person, routes)
}

/// A path outside all groups, such as a mistyped address.
async fn nowhere() -> Response {
    Surface::Person.error(Error::not_found())
}

/// An issuer with a path also has its metadata at the root, with the path after the well-known part (RFC 8414 §3.1).
fn issuer_with_path(app: &Arc<App>, base: &str) -> Router<Arc<App>> {
    let routes = Router::new()
        .route(&format!("/.well-known/oauth-authorization-server{base}"), get(metadata::metadata))
        .route(&format!("/.well-known/openid-configuration{base}"), get(metadata::metadata));
    group_below(app, Surface::Program, &["/.well-known"], routes).merge(group(
        app,
        Surface::Person,
        Router::new().fallback(nowhere),
    ))
}

fn cors(app: &App) -> CorsLayer {
    let origins = app.config.cors_origins.iter().filter_map(|origin| HeaderValue::try_from(origin.as_str()).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
}

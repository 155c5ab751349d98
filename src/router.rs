//! Owns EVERY route on one page, and the order of what stands around them.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
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
    http::{
        error::{OAuthError, nowhere},
        gzip::Compressed,
        layers, login_redirect, problem, reply,
    },
    model::{error::Error, management_api::Scope},
    oauth::{self, authorize::authorize, metadata},
    openapi::{self, Described},
    ops, public,
    web::{
        activity, apps, assets, callback, connected, consent, denied, keys, leaked, login, login_meter, projects,
        reference, security,
    },
};

/// Routes, and what their handlers say of themselves for the OpenAPI document. `$scope` finds the scope a handler needs.
macro_rules! routes {
    ($scope:path; $(.route($path:literal, $($method:ident($($handler:ident)::+)).+))*) => {{
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($($($handler)::+),+),*))]
        struct Handlers;
        let scopes = vec![$($(($path, stringify!($method), $scope(&$($handler)::+))),+),*];
        let routes = Router::new()$(.route($path, $($method($($handler)::+)).+))*;
        (routes, Described { document: <Handlers as utoipa::OpenApi>::openapi, scopes })
    }};
}

/// Every route, with what stands around it: panics are caught inside the edge, so that their answers look like others.
pub fn router(app: Arc<App>) -> Router {
    let base = app.config.issuer.base_path();
    let management = management().0.method_not_allowed_fallback(problem::other_method);
    let routes = machines(&app).merge(management).merge(described(&app)).merge(people(&app));
    let routes =
        if base.is_empty() { routes } else { Router::new().merge(issuer_with_path(&base)).nest(&base, routes) };
    routes
        .fallback(|uri: Uri| async move { nowhere(uri.path()) })
        // One stack and not two layers: each layer of its own is boxed once more for every request.
        .layer(
            ServiceBuilder::new()
                .layer(from_fn_with_state(Arc::clone(&app), layers::edge))
                .layer(CatchPanicLayer::custom(panicked)),
        )
        .with_state(app)
}

/// For programs: JSON errors, no cookies.
fn machines(app: &App) -> Router<Arc<App>> {
    Router::new()
        .merge(from_scripts().0.layer(cors(app)))
        .merge(protocol().0)
        .route("/.well-known/openid-configuration", get(metadata::metadata))
        .route("/gateway/verify/{api}/", any(gateway::named))
        .route("/gateway/verify/{api}/{*rest}", any(gateway::appended))
        .route("/livez", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
}

/// For scripts in browsers too, from the origins that are configured.
fn from_scripts() -> (Router<Arc<App>>, Described) {
    routes! { nothing;
        .route("/oauth/token", post(oauth::token::token))
        .route("/oauth/revoke", post(oauth::revoke::revoke))
    }
}

/// OAuth, the questions of a credential about itself, and what proxies and reporters ask.
fn protocol() -> (Router<Arc<App>>, Described) {
    routes! { nothing;
        .route("/oauth/introspect", post(oauth::introspect::introspect))
        .route("/.well-known/oauth-authorization-server", get(oauth::metadata::metadata))
        .route("/.well-known/jwks.json", get(oauth::metadata::jwks))
        .route("/v1/users/me", get(public::me::me))
        .route("/health", get(public::me::health))
        .route("/gateway/verify", any(gateway::only))
        .route("/gateway/verify/{api}", any(gateway::named))
        .route("/leaks/secret-scanning", post(public::leaks::secret_scanning))
    }
}

/// No scope: the operation says itself what it needs.
fn nothing<H>(_: &H) -> Option<Scope> {
    None
}

/// The OpenAPI document of the server with this configuration.
#[must_use]
pub fn document(config: &Config) -> Value {
    openapi::document(config, [management().1, from_scripts().1, protocol().1])
}

/// What programs and people read about the management API, made once.
fn described(app: &App) -> Router<Arc<App>> {
    let document = Arc::new(document(&app.config));
    let shown = Arc::clone(&document);
    // Compressed when it is first asked for: most servers never are.
    let (text, page) = (Arc::new(OnceLock::<Compressed>::new()), Arc::new(OnceLock::new()));
    let described = async move |headers: HeaderMap| {
        text.get_or_init(|| Compressed::new(document.to_string())).fill(&headers, reply::public_json(Body::empty()))
    };
    let shown =
        async move |State(app): State<Arc<App>>, headers: HeaderMap| reference::page(&app, &shown, &page, &headers);
    Router::new().route("/openapi.json", get(described)).route("/api/docs", get(shown))
}

/// The management API: JSON, a Bearer credential with the scope that each handler names, errors as RFC 9457 has them.
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
        .route("/api/v1/apis/{id}/routes", get(api::apis::routes).post(api::apis::add_route))
        .route("/api/v1/apis/{id}/routes/{route}", delete(api::apis::remove_route))
        .route("/api/v1/scopes", get(api::apis::scopes))
        .route("/api/v1/plans", get(api::plans::list))
        .route("/api/v1/plans/{name}", put(api::plans::set))
        .route("/api/v1/audit", get(api::audit::list))
    }
}

/// For people: pages, cookies, forms.
fn people(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/oauth/authorize", get(authorize).post(authorize))
        .route("/", get(assets::root))
        .route("/login", get(login::show).post(login_meter::sign_in))
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
        .layer(from_fn_with_state(Arc::clone(app), login_redirect::remember))
        .layer(from_fn_with_state(Arc::clone(app), layers::our_host))
        // By any name: they are the same for everybody, and the page that says where we are needs them.
        .route("/assets/{name}", get(assets::asset))
}

/// An issuer with a path has its metadata at the root too, the path after the well-known part (RFC 8414 §3.1).
fn issuer_with_path(base: &str) -> Router<Arc<App>> {
    Router::new()
        .route(&format!("/.well-known/oauth-authorization-server{base}"), get(metadata::metadata))
        .route(&format!("/.well-known/openid-configuration{base}"), get(metadata::metadata))
}

fn cors(app: &App) -> CorsLayer {
    let origins = app.config.cors_origins.iter().filter_map(|origin| HeaderValue::try_from(origin.as_str()).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
}

/// The process lives on; the caller learns nothing of what happened.
fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    OAuthError(Error::server("a handler panicked")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_without_detail() {
        // THREATS: HX5
        async fn panics() -> &'static str {
            panic!("what nobody should read")
        }
        let routes: Router = Router::new().route("/panics", get(panics)).layer(CatchPanicLayer::custom(panicked));
        for _ in 0..2 {
            let request = Request::get("/panics").body(Body::empty()).expect("a request");
            let response = routes.clone().oneshot(request).await.expect("infallible");
            assert_eq!(response.status(), 500);
            let body = axum::body::to_bytes(response.into_body(), 1000).await.expect("a body");
            let words = r#"{"error":"server_error","error_description":"something went wrong on our side"}"#;
            assert_eq!(body, words);
        }
    }
}

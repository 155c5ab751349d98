//! Owns EVERY route on one page, and the order of what stands around them. Does not answer anything itself.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, Method, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};

use crate::{
    api::me,
    app::App,
    http::{
        error::{OAuthError, PageError},
        layers,
    },
    model::error::Error,
    oauth::{authorize::authorize, introspect::introspect, metadata, revoke::revoke, token::token},
    ops,
    web::{apps, assets, callback, connected, consent, keys, login, own_app},
};

/// Every route, with what stands around it: panics are caught inside the edge, so that their answers look like others.
pub fn router(app: Arc<App>) -> Router {
    let base = app.config.base_path();
    let routes = machines(&app).merge(people());
    let routes =
        if base.is_empty() { routes } else { Router::new().merge(issuer_with_path(&base)).nest(&base, routes) };
    routes
        .fallback(nowhere)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&app), layers::edge))
        .with_state(app)
}

/// For programs: JSON errors, no cookies.
fn machines(app: &App) -> Router<Arc<App>> {
    let from_scripts =
        Router::new().route("/oauth/token", post(token)).route("/oauth/revoke", post(revoke)).layer(cors(app));
    Router::new()
        .merge(from_scripts)
        .route("/oauth/introspect", post(introspect))
        .route("/.well-known/oauth-authorization-server", get(metadata::metadata))
        .route("/.well-known/openid-configuration", get(metadata::metadata))
        .route("/.well-known/jwks.json", get(metadata::jwks))
        .route("/v1/users/me", get(me::me))
        .route("/health", get(me::health))
        .route("/livez", get(ops::livez))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
}

/// For people: pages, cookies, forms.
fn people() -> Router<Arc<App>> {
    Router::new()
        .route("/oauth/authorize", get(authorize).post(authorize))
        .route("/", get(assets::root))
        .route("/assets/{name}", get(assets::asset))
        .route("/login", get(login::show).post(login::sign_in))
        .route("/logout", post(login::sign_out))
        .route("/consent", get(consent::show).post(consent::decide))
        .route("/settings/keys", get(keys::list).post(keys::create))
        .route("/settings/keys/{id}/revoke", post(keys::revoke))
        .route("/settings/apps", get(connected::list))
        .route("/settings/apps/{client_id}/revoke", post(connected::remove))
        .route("/apps", get(apps::list).post(apps::create))
        .route("/apps/new", get(apps::blank))
        .route("/apps/callback", get(callback::callback))
        .route("/apps/{id}", get(own_app::show).post(own_app::update))
        .route("/apps/{id}/secret", post(own_app::rotate))
        .route("/apps/{id}/delete", post(own_app::delete))
}

/// An issuer with a path has its metadata at the root too, the path behind the well-known part (RFC 8414 §3.1).
fn issuer_with_path(base: &str) -> Router<Arc<App>> {
    Router::new().route(&format!("/.well-known/oauth-authorization-server{base}"), get(metadata::metadata))
}

fn cors(app: &App) -> CorsLayer {
    let origins = app.config.cors_origins.iter().filter_map(|origin| HeaderValue::try_from(origin.as_str()).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
}

/// Nothing here: JSON below the paths that programs use, else a page.
async fn nowhere(uri: Uri) -> Response {
    let for_programs =
        ["/oauth/", "/v1/", "/api/", "/.well-known/"].iter().any(|prefix| uri.path().starts_with(prefix));
    if for_programs {
        OAuthError(Error::not_found()).into_response()
    } else {
        PageError(Error::not_found()).into_response()
    }
}

/// The process lives on; the caller learns nothing of what happened.
fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    OAuthError(Error::server("a handler panicked")).into_response()
}

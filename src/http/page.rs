//! Owns how a page is sent: its shell for a viewer, its headers, and the notice page for every error.
//! Does not own the pages; see `web` for their handlers and `ui` for the shared parts.

use std::sync::{LazyLock, OnceLock};

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::{
    error::{PageError, PendingNotice},
    gzip::Compressed,
    session::Viewer,
};
use crate::{
    app::App,
    model::{error::Error, secret::Digest},
    ui::{Badge, Nav, NoticePage, Shell, sentence},
};

/// The style sheet, the script and the icon, as served below `/assets`.
pub const ASSETS: [(&str, &str, &str); 3] = [
    ("grantd.css", "text/css; charset=utf-8", include_str!("../../templates/assets/grantd.css")),
    ("grantd.js", "text/javascript; charset=utf-8", include_str!("../../templates/assets/grantd.js")),
    ("favicon.svg", "image/svg+xml", include_str!("../../templates/assets/favicon.svg")),
];

/// Changes with the assets, so that their URLs can be cached forever.
pub static ASSET_VERSION: LazyLock<String> = LazyLock::new(|| {
    let all: String = ASSETS.iter().map(|(_, _, text)| *text).collect();
    Digest::of(&all).text()[..12].to_owned()
});

/// The shell around a page for `viewer`.
pub fn shell(app: &App, viewer: &Viewer, title: &str, active_nav: Nav) -> Shell {
    Shell {
        base: app.config.issuer.base_path().to_owned(),
        title: title.to_owned(),
        user: viewer.user().map(Badge::of),
        csrf: viewer.csrf(app),
        active_nav,
        asset_version: ASSET_VERSION.clone(),
    }
}

/// A page, with the headers that every page has.
pub fn render(page: &impl Template) -> Response {
    with_policy(page, "; form-action 'self'")
}

/// A page with this status.
pub fn render_as(status: StatusCode, page: &impl Template) -> Response {
    let mut response = render(page);
    *response.status_mut() = status;
    response
}

/// A page whose form may lead to an app. Chromium applies `form-action` to every redirect after a form, including the
/// app's own: from its callback to another of its addresses, or to a native app. We cannot list them all.
pub fn render_toward_app(page: &impl Template) -> Response {
    with_policy(page, "")
}

/// A page that is the same for every viewer, rendered once.
pub fn render_once<T: Template>(
    kept: &OnceLock<Compressed>,
    headers: &HeaderMap,
    page: impl FnOnce() -> T,
) -> Response {
    let packed = match kept.get().map_or_else(|| page().render().map(Compressed::new), |packed| Ok(packed.clone())) {
        Ok(packed) => kept.get_or_init(|| packed),
        Err(error) => return PageError(Error::server(error)).into_response(),
    };
    packed.fill(headers, policed(Html(Body::empty()).into_response(), "; form-action 'self'"))
}

fn with_policy(page: &impl Template, form_action: &str) -> Response {
    match page.render() {
        Ok(html) => policed(Html(html).into_response(), form_action),
        Err(error) => PageError(Error::server(error)).into_response(),
    }
}

fn policed(mut response: Response, form_action: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; frame-ancestors 'none'; \
         base-uri 'none'{form_action}"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Renders a notice. Called at the edge, where the request's id is available. Signed-in users keep the navigation.
pub fn notice(app: &App, pending: &PendingNotice, request_id: &str, viewer: Option<&Viewer>) -> Response {
    let viewer = viewer.filter(|viewer| viewer.user().is_some());
    let shell = match viewer {
        Some(viewer) => shell(app, viewer, pending.heading, Nav::None),
        None => Shell {
            base: app.config.issuer.base_path().to_owned(),
            title: pending.heading.to_owned(),
            asset_version: ASSET_VERSION.clone(),
            ..Shell::default()
        },
    };
    let label = if viewer.is_some() { "Go to your API keys" } else { "Sign in" };
    let link = Some((label.to_owned(), format!("{}/settings/keys", shell.base)));
    let page = NoticePage {
        shell,
        status: pending.status,
        heading: pending.heading.to_owned(),
        message: sentence(&pending.message),
        request_id: request_id.to_owned(),
        link: pending.link.clone().or(link),
    };
    render_as(StatusCode::from_u16(pending.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &page)
}

//! Owns the return to a page that requires signing in: the requested page is stored on the server, for this browser,
//! and never put into a URL. Does not sign users in; see `web::login`.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{Method, Uri},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{error::PageError, extract::RequestInfo, signed_in::LoginRequired};
use crate::{app::App, engine::limit::Throttle, store::LoginReason};

/// Longest path kept with its query, in bytes; if it is longer, the query is dropped.
const PATH_MAX: usize = 512;
/// How long it is kept, in seconds.
const KEPT: Duration = Duration::from_hours(1);

/// Wraps the pages: stores the requested page if its handler requires signing in first.
pub async fn remember(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_form = request.method() == Method::POST;
    let path = kept_path(request.uri(), is_form);
    let sender = RequestInfo::of(request.extensions()).map(RequestInfo::network).ok();
    let is_ours = !is_form || super::csrf::is_same_origin(&app, request.headers());
    let mut response = next.run(request).await;
    let first = response.extensions_mut().remove::<LoginRequired>();
    // A form sent from another site is not kept.
    let (Some(LoginRequired(mut viewer)), Some(sender), Some(path), true) = (first, sender, path, is_ours) else {
        return response;
    };
    let now = viewer.now;
    if app.limiter.hit(now, Throttle::RETURNS, &sender).await.is_some() {
        return response;
    }
    let why = match (is_form, viewer.had_session(&app)) {
        (true, _) => LoginReason::Form,
        (false, true) => LoginReason::Ended,
        (false, false) => LoginReason::NoSession,
    };
    let browser = viewer.ensure_browser();
    let kept = app.store.set_return_path(now, browser, path, why, now + KEPT).await;
    match kept {
        Ok(()) => viewer.set_browser(&app, response),
        Err(error) => PageError(error.into()).into_response(),
    }
}

/// The page to return to, without the issuer's path. For a form, it is the page with the form.
fn kept_path(uri: &Uri, is_form: bool) -> Option<String> {
    let path = uri.path();
    let kept = if is_form {
        page_of(path)
    } else {
        uri.path_and_query().map(|whole| whole.as_str()).filter(|whole| whole.len() <= PATH_MAX).unwrap_or(path)
    };
    // A path that begins with two slashes would name another host.
    (kept.len() <= PATH_MAX && kept.starts_with('/') && !kept.starts_with("//")).then(|| kept.to_owned())
}

/// The page with the form that is sent to this path.
fn page_of(path: &str) -> &str {
    let mut parts = path.split('/').skip(1);
    let parts = [parts.next(), parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    match parts {
        ["apps", "", ..] => "/apps/new",
        ["settings", "apps", ..] => "/settings/apps",
        ["settings", "security", ..] => "/settings/security",
        ["settings", _, _, action] | ["apps", _, action, _] if !action.is_empty() => {
            path.rsplit_once('/').map_or(path, |(page, _)| page)
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_lead_back_to_their_page() {
        for (action, page) in [
            ("/settings/keys", "/settings/keys"),
            ("/settings/keys/key_1/rotate", "/settings/keys/key_1"),
            ("/settings/projects/project_1", "/settings/projects/project_1"),
            ("/settings/projects/project_1/keys", "/settings/projects/project_1"),
            ("/settings/apps/client_1/revoke", "/settings/apps"),
            ("/settings/security/password", "/settings/security"),
            ("/settings/security/sessions/x/end", "/settings/security"),
            ("/apps", "/apps/new"),
            ("/apps/client_1", "/apps/client_1"),
            ("/apps/client_1/secret", "/apps/client_1"),
        ] {
            let uri: Uri = action.parse().expect("a URI");
            assert_eq!(kept_path(&uri, true).as_deref(), Some(page), "{action}");
        }
    }

    #[test]
    fn only_local_paths_are_kept() {
        // THREATS: SE5
        let kept = |target: &str| kept_path(&target.parse().expect("a URI"), false);
        assert_eq!(kept("/settings/denied?request_id=req_1").as_deref(), Some("/settings/denied?request_id=req_1"));
        assert_eq!(kept(&format!("/settings/denied?x={}", "a".repeat(600))).as_deref(), Some("/settings/denied"));
        assert_eq!(kept("//evil.example/settings/keys"), None);
        assert_eq!(kept("https://evil.example/settings/keys").as_deref(), Some("/settings/keys"));
        assert_eq!(kept(&format!("/{}", "a".repeat(600))), None);
    }
}

//! Owns the processing around every route, in one function: id, sender, time limit, headers, log, metrics. Panics are
//! caught inside it. It is one layer rather than eight because the introspection route takes only microseconds.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;

use super::{
    error::{PageError, PendingNotice},
    extract::{RequestInfo, Sender, sender},
    page, problem,
    reply::{self, LoggedError},
    session::Viewer,
    surface::Surface,
};
use crate::{
    app::App,
    model::{
        error::{Error, ErrorCode},
        secret,
    },
};

/// Set on a browser that is redirected to the issuer, for as long as the redirect may take.
const SENT_ON: &str = "sent_on=1; Path=/; Max-Age=5; HttpOnly; SameSite=Lax";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id accepted from a caller, in bytes.
const REQUEST_ID_MAX: usize = 64;
/// Longest URI accepted, in bytes: a percent-encoded state of 4 KB, and the rest.
const URI_MAX: usize = 24 * 1024;

/// Ends the path of a catch-all route: requests that match no other route are counted together.
pub const UNMATCHED: &str = "{*unmatched}";

/// Wraps every request of a group of routes.
pub async fn edge(State((app, surface)): State<(Arc<App>, Surface)>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let Sender { address, is_known, is_unheard, share } = sender(&request, &app.config.trusted_proxies);
    if is_unheard {
        unheard(&app, address, share.is_some());
    }
    let info = RequestInfo { now: app.clock.now(), id: id.clone(), address, is_sender: is_known, share };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let too_long = request.uri().path_and_query().is_some_and(|target| target.as_str().len() > URI_MAX);
    let is_text = is_text(request.uri().path());
    let (now, cookies) = (info.now, request.headers().get(header::COOKIE).cloned());
    request.extensions_mut().insert(info);
    let mut response = if too_long {
        StatusCode::URI_TOO_LONG.into_response()
    } else if !is_text {
        surface.error(Error::not_found())
    } else {
        match tokio::time::timeout(app.config.limits.request, next.run(request)).await {
            Ok(response) => response,
            Err(late) => surface.error(Error::unavailable(late)),
        }
    };
    if let Some(mut pending) = response.extensions_mut().remove::<PendingNotice>() {
        let viewer = match cookies {
            // An error page must not fail because the store is unavailable.
            Some(cookies) => Viewer::of(&app, now, &HeaderMap::from_iter([(header::COOKIE, cookies)])).await.ok(),
            None => None,
        };
        if viewer.as_ref().and_then(Viewer::user).is_none() && matches!(pending.status, 429 | 503) {
            pending.link = pending.link.or(try_again(&app, &method, &uri, pending.retry_after));
        }
        let bare = std::mem::replace(&mut response, page::notice(&app, &pending, &id, viewer.as_ref()));
        response.extensions_mut().extend(bare.extensions().clone());
        response.headers_mut().extend(bare.headers().clone());
    }
    if surface == Surface::Management && response.status().as_u16() >= 400 {
        response = problem::rendered(&app, &id, response);
    }
    let took = started.elapsed();
    let route = route.as_ref().map(MatchedPath::as_str).filter(|route| !route.ends_with(UNMATCHED));
    let route = route.unwrap_or("unmatched");
    app.telemetry.request(route, response.status().as_u16(), took);
    log(&id, &method, route, &response, took);
    headers(&app, response.headers_mut(), &id);
    response
}

/// Warns once of forwarding headers from an untrusted peer, and once more for peers outside our networks.
fn unheard(app: &App, peer: IpAddr, may_be_ours: bool) {
    app.unheard_proxies[usize::from(may_be_ours)].call_once(|| {
        tracing::warn!(
            %peer,
            "{peer} sends X-Forwarded-For or similar but is not in trusted_proxies. If it is your proxy, add it; until \
             then, senders are unknown and share limits, and keys limited to networks are refused"
        );
    });
}

/// The link offered to a signed-out viewer after a 429 or 503: the same page, or the start page after a form, which a
/// link cannot send again.
fn try_again(app: &App, method: &Method, uri: &Uri, retry_after: Option<i64>) -> Option<(String, String)> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Some(("Go to the start page".to_owned(), format!("{}/", app.config.issuer)));
    }
    let label = match retry_after {
        None => "Try again".to_owned(),
        Some(..=1) => "Try again in a second".to_owned(),
        Some(seconds @ ..=90) => format!("Try again in {seconds} seconds"),
        Some(seconds) => format!("Try again in {} minutes", (seconds + 59) / 60),
    };
    // Always below the issuer, whatever the path contains.
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Some((label, format!("{}{path}", app.config.issuer)))
}

/// Wraps the pages: a browser that was led here by another host name (DNS rebinding) gets no page, and is redirected to
/// the same page at the issuer.
pub async fn our_host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut named = request.headers().get_all(header::HOST).iter();
    let is_ours = |value: &HeaderValue| {
        let authority = Authority::try_from(value.as_bytes());
        authority.is_ok_and(|authority| app.config.is_our_host(authority.host()))
    };
    // HTTP/1.0 requires no Host header; no browser uses it.
    let (is_other, is_twice) = (named.next().is_some_and(|value| !is_ours(value)), named.next().is_some());
    if !is_other && !is_twice {
        return next.run(request).await;
    }
    // Always below the issuer, whatever the path and query contain.
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let there = format!("{}{path}", app.config.issuer);
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && !is_twice && !was_sent_on(request.headers()) {
        let mut response = reply::see_other(&there);
        response.headers_mut().insert(header::SET_COOKIE, HeaderValue::from_static(SENT_ON));
        return response;
    }
    let message = format!(
        "this server's pages are at {}; if you opened that address, its proxy does not forward the Host header",
        app.config.issuer
    );
    let mut response = PageError(Error::new(ErrorCode::MisdirectedRequest, message)).into_response();
    if let Some(notice) = response.extensions_mut().get_mut::<PendingNotice>() {
        notice.link = Some(("Go there".to_owned(), if is_read { there } else { app.config.issuer.to_string() }));
    }
    response
}

/// Whether a browser that was just redirected to the issuer comes back with the same host name. Then a proxy in front
/// of us replaces the name, and redirecting again would never end.
fn was_sent_on(headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).any(|cookie| cookie.trim() == "sent_on=1")
}

/// Whether a path is valid text: one with a NUL in it names no resource, and PostgreSQL would reject it in a query.
fn is_text(path: &str) -> bool {
    !path.contains('%') || percent_decode_str(path).decode_utf8().is_ok_and(|path| !path.contains('\0'))
}

fn headers(app: &App, headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if app.config.issuer.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
    // Handlers set this header on answers that may be stored; 404, 405 and 414 would be stored without `no-store`.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"));
}

/// Logs failures always, and other requests at `debug`. Never a query, header or body: those hold secrets.
fn log(id: &str, method: &Method, route: &str, response: &Response, took: Duration) {
    let status = response.status().as_u16();
    let error = response.extensions().get::<LoggedError>();
    let cause = error.and_then(|logged| logged.0.cause.as_ref()).map(tracing::field::display);
    let code = error.map(|logged| logged.0.code.as_str());
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    match status {
        500.. => tracing::error!(request_id = id, %method, route, status, took_us, code, cause, "request failed"),
        400.. => tracing::info!(request_id = id, %method, route, status, took_us, code, cause, "request refused"),
        _ => tracing::debug!(request_id = id, %method, route, status, took_us, "request"),
    }
}

/// The caller's id if it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.bytes().all(plain))
        .map_or_else(new_id, ToOwned::to_owned)
}

fn new_id() -> String {
    let mut id = String::with_capacity(20);
    id.push_str("req_");
    data_encoding::BASE64URL_NOPAD.encode_append(&secret::random_bytes::<12>(), &mut id);
    id
}

//! Owns tests of the decoders with arbitrary input: HX5. There is no panic and no server error, and the process lives.

use axum::{
    body::Body,
    http::{HeaderValue, Request, header},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use grantd::{
    http::extract::{bearer, sender},
    model::{
        email, params,
        params::Params,
        pkce::CodeChallenge,
        redirect_uri::{self, RedirectUri},
        scope::Scopes,
        secret, text,
    },
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::{Builder, Runtime};

use crate::harness::{Reply, TestApp};

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

fn server() -> (Runtime, TestApp) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let app = runtime.block_on(TestApp::new());
    (runtime, app)
}

/// Bytes that are nearly valid more often than noise.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"token=",
        b"grant_type=",
        b"&",
        b"=",
        b"%",
        b"%00",
        b"%ff",
        b"+",
        b";",
        b"tokens[]=",
        b"client_id=",
        b"scope=",
        b"client_credentials",
        b"authorization_code",
        b"refresh_token",
        b"code=",
        b"gd_live_",
        b"gd_rt_",
        b"gd_code_",
        b"eyJ",
        b".",
        b"{",
        b"}",
        b"[",
        b"\"",
        b":",
        b",",
        b"null",
        b"\\u0000",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\0",
        b"csrf=",
        b"interaction=",
        b"email=",
        b"resource=",
        b"https://",
        b" ",
    ];
    let word = prop_oneof![
        prop::sample::select(words).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..8),
        "[ -~]{0,12}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(word, 0..16).prop_map(|words| words.concat())
}

fn answered(reply: &Reply) -> Result<(), TestCaseError> {
    prop_assert!(reply.status.as_u16() < 500, "{} {}", reply.status, reply.body);
    prop_assert!(!reply.body.contains("panicked"));
    Ok(())
}

#[test]
fn endpoints_handle_arbitrary_bodies() {
    // THREATS: HX5
    let (runtime, app) = server();
    let paths =
        ["/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/authorize", "/login", "/consent", "/apps"];
    let kinds =
        ["application/x-www-form-urlencoded", "application/json", "text/plain", "multipart/form-data; boundary=x", ""];
    let input = (prop::sample::select(paths.to_vec()), prop::sample::select(kinds.to_vec()), bytes(), any::<bool>());
    let run = runner(4000).run(&input, |(path, kind, body, proven)| {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, kind);
        if proven {
            request = request.header(header::AUTHORIZATION, app.api.basic());
        }
        let request = request.body(Body::from(body)).expect("a request");
        answered(&runtime.block_on(app.send(request)))
    });
    run.expect("every body is answered");
    runtime.block_on(async { app.get("/readyz").await.status(200).status });
}

#[test]
fn endpoints_handle_arbitrary_headers_and_queries() {
    // THREATS: HX5
    let (runtime, app) = server();
    let targets = [
        "/v1/users/me",
        "/health",
        "/metrics",
        "/login",
        "/consent",
        "/settings/keys",
        "/apps/callback",
        "/oauth/authorize",
        "/.well-known/jwks.json",
        "/assets/x",
    ];
    let names = [
        "authorization",
        "cookie",
        "x-forwarded-for",
        "x-request-id",
        "content-type",
        "if-none-match",
        "origin",
        "host",
        "sec-fetch-site",
        "user-agent",
        "accept",
        "content-length",
    ];
    let header_value = prop_oneof![
        bytes(),
        bytes().prop_map(|bytes| format!("Basic {}", BASE64.encode(&bytes)).into_bytes()),
        bytes().prop_map(|bytes| [b"Bearer ".as_slice(), &bytes].concat()),
        bytes().prop_map(|bytes| format!("Bearer eyJ{}.{}.x", BASE64URL_NOPAD.encode(&bytes), "e30").into_bytes()),
        bytes().prop_map(|bytes| [b"__Host-grantd_session=".as_slice(), &bytes, b"; x=", &bytes].concat()),
    ];
    let input = (
        prop::sample::select(targets.to_vec()),
        prop::sample::select(names.to_vec()),
        header_value,
        bytes(),
        any::<bool>(),
    );
    let run = runner(4000).run(&input, |(target, name, value, query, post)| {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let query: String = form_urlencoded::byte_serialize(&query).collect();
        let query = query.replace("%3D", "=").replace("%26", "&").replace("%25", "%");
        let method = if post && target.starts_with("/oauth") { "POST" } else { "GET" };
        let request = Request::builder().method(method).uri(format!("{target}?{query}")).header(name, value);
        let request = request.body(Body::empty()).expect("a request");
        answered(&runtime.block_on(app.send(request)))
    });
    run.expect("every header is answered");
    runtime.block_on(async { app.get("/readyz").await.status(200).status });
}

#[test]
fn paths_handle_arbitrary_segments() {
    // THREATS: HX5 HX11
    let (runtime, app) = server();
    let browser = app.browser();
    let csrf = runtime.block_on(async {
        app.user("alice@example.com").await;
        browser.log_in("alice@example.com").await;
        browser.get("/settings/keys").await.input("csrf")
    });
    let run = runner(1000).run(&(0usize..5, bytes()), |(at, bytes)| {
        let id: String = form_urlencoded::byte_serialize(&bytes).collect::<String>().replace('+', "%20");
        let target = match at {
            0 => format!("/settings/keys/{id}/revoke"),
            1 => format!("/settings/apps/{id}/revoke"),
            2 => format!("/apps/{id}/delete"),
            3 => format!("/apps/{id}/secret"),
            _ => format!("/apps/{id}"),
        };
        let posted = runtime.block_on(browser.post(&target, &[("csrf", &csrf)]));
        answered(&posted)?;
        prop_assert!(posted.status != 200 && posted.status != 303, "{} {}", posted.status, target);
        answered(&runtime.block_on(browser.get(&target)))
    });
    run.expect("every path is answered");
}

#[test]
fn decoders_handle_arbitrary_text() {
    // THREATS: HX5
    let (_runtime, app) = server();
    let run = runner(20_000).run(&bytes(), |bytes| {
        let _ = (Params::form(&bytes), Params::json(&bytes), params::decode(&bytes));
        let text_of = String::from_utf8_lossy(&bytes);
        let text = text_of.as_ref();
        let _ = (
            Scopes::parse(text),
            email::normalize(text),
            text::name("name", text),
            secret::strip_checksum("gd_live_", text),
        );
        let _ = (CodeChallenge::parse(text, Some("S256")), redirect_uri::display_host(text));
        let _ = RedirectUri::register(text).map(|uri| uri.matches(text));
        let jws = format!("eyJ{}.{}", BASE64URL_NOPAD.encode(&bytes), text);
        for token in [text, &jws] {
            prop_assert!(app.app.verifier.signed_token(token).is_none());
            prop_assert!(app.app.grant_tokens.read_code(token).is_none());
            prop_assert!(app.app.grant_tokens.read_refresh_token(token).is_none());
            let _ = app.app.verifier.may_be_api_key(token);
        }
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let request = Request::get("/").header("x-forwarded-for", &value).header("authorization", &value);
            let request = request.body(Body::empty()).expect("a request");
            let _ = (sender(&request, &["0.0.0.0/0".parse().expect("a network")]), bearer(request.headers()).is_ok());
        }
        Ok(())
    });
    run.expect("every text is answered");
}

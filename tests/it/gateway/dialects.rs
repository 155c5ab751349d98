//! Owns tests that the gateway follows the profile of an API: places of credentials, refusals, headers for the upstream.

use data_encoding::BASE64;
use grantd::{
    engine::profiles,
    model::audit::{Act, Origin},
};
use serde_json::json;

use super::{app, ask};
use crate::harness::TestApp;

const ACME: &str = r#"
places = [{ header = "X-Acme-Token" }, { basic = "username" }, { cookie = "acme" }, { query = "key" }]
content_type = "application/xml"
body = "<error code='{code}' status='{status}'>{message} {scope}</error>"
docs_url = "https://docs.acme.example/errors"

[challenge]
scheme = "Acme"
realm = "Acme API"

[refusals.missing]
status = 403
headers = { X-Acme-Docs = "{docs_url}" }

[refusals.revoked]
status = 410
code = "gone"

[refusals.unknown_path]
status = 404
code = "no-such-path"

[refusals.limited]
status = 420
headers = { X-Acme-Wait = "{retry_after}" }

[rate_limits]
limit = "X-Quota-Limit"
remaining = "X-Quota-Left"
used = "X-Quota-Used"
period = "X-Quota-Period"
reset = "X-Quota-Reset"
reset_form = "seconds"

[upstream]
subject = "X-Acme-Account"
plan = "X-Acme-Tier"
"#;

/// Gives the example API this profile.
async fn speak(app: &TestApp, text: &str) {
    let act = || Act { now: app.now(), origin: Origin::default() };
    let engine = app.app.engine();
    profiles::create(engine, act(), "acme", text.to_owned(), grantd::engine::alone).await.expect("a profile");
    let id = app.app.catalog.current().by_slug("example-api").expect("an API").id.clone();
    profiles::assign(engine, act(), &id, "acme").await.expect("assigned");
}

#[tokio::test]
async fn credentials_are_accepted_only_in_the_profiles_places() {
    // THREATS: FA4
    let app = app().await;
    speak(&app, ACME).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let basic = format!("Basic {}", BASE64.encode(format!("{key}:").as_bytes()));
    let (cookie, uri) = (format!("a=b; acme={key}"), format!("/v1/x?key={key}"));
    let get = ("x-forwarded-method", "GET");
    for headers in [
        vec![("x-acme-token", key.as_str())],
        vec![("authorization", basic.as_str())],
        vec![("cookie", cookie.as_str())],
        vec![("x-forwarded-uri", uri.as_str()), get],
        vec![("x-forwarded-uri", uri.as_str()), get, ("x-acme-token", key.as_str())],
    ] {
        let reply = ask(&app, &headers).await;
        assert_eq!(reply.status(200).header("x-acme-account"), user, "{headers:?}");
        assert_eq!((reply.header("x-acme-tier"), reply.headers.get("x-auth-subject")), ("pro", None));
    }
    // Two that differ, and one in a parameter that the profile does not name.
    let bearer = format!("Bearer {key}");
    for (headers, status) in [
        (vec![("x-acme-token", key.as_str()), ("cookie", "acme=other")], 400),
        (vec![("x-forwarded-uri", "/v1/x?key=other"), get, ("x-acme-token", &key)], 400),
        (vec![("x-forwarded-uri", "/v1/x?api_key=other"), get, ("x-acme-token", &key)], 400),
        (vec![("authorization", bearer.as_str())], 401),
        (vec![("x-api-key", key.as_str())], 403),
    ] {
        let reply = ask(&app, &headers).await;
        assert_eq!(reply.status(status).headers.get("x-acme-account").map(|value| value.len()), Some(0), "{headers:?}");
    }
}

#[tokio::test]
async fn refusals_and_rate_limits_follow_the_profile() {
    let app = app().await;
    speak(&app, ACME).await;
    app.route("example-api", "GET", "/v1/x", "read", false).await;
    app.route("example-api", "GET", "/v1/y", "write", false).await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let asked = async |uri: &str, key: &str| {
        let request = [("x-forwarded-uri", uri), ("x-forwarded-method", "GET"), ("x-acme-token", key)];
        ask(&app, &request).await
    };
    let reply = asked("/v1/x", &key).await;
    let limits = ["limit", "left", "used", "period"].map(|name| reply.header(&format!("x-quota-{name}")).to_owned());
    assert_eq!(limits, ["10000", "9999", "1", "3600"], "{reply:?}");
    assert!((1..=3600).contains(&reply.header("x-quota-reset").parse::<i64>().expect("seconds")));
    assert!(reply.headers.get("x-ratelimit-limit").is_none() && reply.headers.get("ratelimit").is_none());

    let told = |reply: &crate::harness::Reply, status: u16, body: &str| {
        reply.status(status);
        assert_eq!((reply.body.as_str(), reply.header("content-type")), (body, "application/xml"));
    };
    let scope = asked("/v1/y", &key).await;
    told(&scope, 403, "<error code='forbidden' status='403'>No rule of this API allows the request. write</error>");
    assert_eq!(scope.header("x-quota-left"), "9999");
    told(&asked("/v1/z", &key).await, 404, "<error code='no-such-path' status='404'>There is nothing here. </error>");
    let missing = ask(&app, &[("x-forwarded-uri", "/v1/x"), ("x-forwarded-method", "GET")]).await;
    let words = "No API key provided in the X-Acme-Token header.";
    told(&missing, 403, &format!("<error code='missing_api_key' status='403'>{words} </error>"));
    assert_eq!(missing.header("x-acme-docs"), "https://docs.acme.example/errors");
    assert!(missing.headers.get("www-authenticate").is_none());
    // A caller without a credential learns nothing about paths.
    told(&asked("/v1/z", "").await, 403, &format!("<error code='missing_api_key' status='403'>{words} </error>"));
    let wrong = asked("/v1/x", "wrong").await;
    told(&wrong, 401, "<error code='invalid_api_key' status='401'>The API key provided is invalid. </error>");
    assert_eq!(wrong.header("www-authenticate"), "Acme realm=\"Acme API\"");
    app.app.store.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked");
    told(&asked("/v1/x", &key).await, 410, "<error code='gone' status='410'>The credential was revoked. </error>");
}

#[tokio::test]
async fn nginx_gets_status_media_type_and_body_in_headers() {
    let app = app().await;
    speak(&app, ACME).await;
    let reply = ask(&app, &[("x-grantd-proxy", "nginx"), ("x-acme-token", "wrong")]).await;
    let told = (reply.status(403).header("x-auth-status"), reply.header("x-auth-content-type"));
    assert_eq!(told, ("401", "application/xml"));
    let body = "<error code='invalid_api_key' status='401'>The API key provided is invalid. </error>";
    assert_eq!((reply.header("x-auth-body"), reply.body.as_str()), (body, ""));
}

#[tokio::test]
async fn owners_see_the_status_that_the_caller_got() {
    let app = app().await;
    speak(&app, ACME).await;
    app.route("example-api", "GET", "/v1/x", "read", false).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let request = [("x-forwarded-uri", "/v1/z?key=secret"), ("x-forwarded-method", "GET"), ("x-acme-token", "secret")];
    assert_eq!(ask(&app, &request).await.status, 401);
    let request = [("x-forwarded-uri", "/v1/z"), ("x-forwarded-method", "GET"), ("x-acme-token", key.as_str())];
    let reply = ask(&app, &request).await;
    let id = reply.status(404).header("x-request-id").to_owned();
    app.app.background.flush().await.expect("flushed");
    let (_, management) = app.key(&user, "grantd:usage:read").await;
    let shown = app.get_as(&format!("/api/v1/denials/{id}"), &management).await;
    assert_eq!(
        (&shown.status(200).json()["items"][0]["status"], &shown.json()["items"][0]["path"]),
        (&json!(404), &json!("/v1/z"))
    );
}

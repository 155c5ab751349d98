//! Owns tests that a NUL never causes a server error, however it is sent: PostgreSQL cannot store it.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use data_encoding::BASE64;

use crate::harness::{TestApp, captured::Captured};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn nul_is_refused_and_never_a_server_error() {
    // THREATS: HX5
    let log = Captured::start();
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let csrf = browser.get("/settings/keys").await.input("csrf");
    let user = app.user("root@example.com").await;
    let (_, key) = app.key(&user, "grantd:keys:read grantd:keys:write grantd:clients:write read").await;
    let bearer = format!("Bearer {key}");
    let basic = format!("Basic {}", BASE64.encode(b"client%00:secret"));
    let raw = format!("Basic {}", BASE64.encode(b"client\0:secret"));
    for (method, target, kind, credential, body) in [
        (Method::GET, "/settings/denied?request_id=%00", "", "", ""),
        (Method::GET, "/settings/denied?request_id=req_x%00y", "", "", ""),
        (Method::GET, "/login?interaction=%00", "", "", ""),
        (Method::GET, "/oauth/authorize?client_id=%00", "", "", ""),
        (Method::GET, "/apps/callback?state=%00", "", "", ""),
        (Method::GET, "/settings/keys/%00", "", "", ""),
        (Method::POST, "/settings/keys", FORM, "", "name=a%00b&scope=read"),
        (Method::POST, "/settings/projects", FORM, "", "name=a%00b"),
        (Method::POST, "/leaked", FORM, "", "key=%00"),
        (Method::POST, "/oauth/token", FORM, "", "grant_type=refresh_token&refresh_token=%00&client_id=x"),
        (Method::POST, "/oauth/token", FORM, "", "grant_type=client_credentials&client_id=%00&client_secret=x"),
        (Method::POST, "/oauth/token", FORM, &basic, "grant_type=client_credentials"),
        (Method::POST, "/oauth/token", FORM, &raw, "grant_type=client_credentials"),
        (Method::POST, "/oauth/token", "application/json", "", r#"{"grant_type":"x","client_id":"\u0000"}"#),
        (Method::POST, "/oauth/introspect", FORM, &basic, "token=x"),
        (Method::POST, "/oauth/revoke", FORM, "", "token=%00&client_id=%00"),
        (Method::GET, "/api/v1/keys?user=%00", "", &bearer, ""),
        (Method::GET, "/api/v1/keys?status=%00", "", &bearer, ""),
        (Method::GET, "/api/v1/keys/%00", "", &bearer, ""),
        (Method::POST, "/api/v1/keys", "application/json", &bearer, r#"{"name":"a\u0000","scopes":["read"]}"#),
    ] {
        let body = if target.starts_with("/settings") && !body.is_empty() {
            format!("csrf={csrf}&{body}")
        } else {
            body.to_owned()
        };
        let mut request = browser.with_cookies(Request::builder().method(method.clone()).uri(target));
        request = request.header("sec-fetch-site", "same-origin");
        for (name, value) in [(header::CONTENT_TYPE, kind), (header::AUTHORIZATION, credential)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let reply = app.send(request.body(Body::from(body)).expect("a request")).await;
        let is_told = !target.contains("%00") || (400..405).contains(&reply.status.as_u16());
        assert!(is_told && reply.status.as_u16() < 500, "{method} {target}: {} {}", reply.status, reply.body);
    }
    assert!(!log.text().contains("ERROR"), "{}", log.text());
}

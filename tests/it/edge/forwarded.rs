//! Owns tests of who sent a request, and which scripts may send it: HX1, HX10.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use grantd::{config::Config, model::network::Networks};

use crate::harness::{
    Reply, TestApp,
    app::{ISSUER, encode},
    flow,
};

/// A request that records its address in the audit log; returns the address.
async fn logged_address(app: &TestApp, peer: &str, headers: &[(&str, &str)]) -> String {
    let mut request = Request::post("/oauth/revoke")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, app.api.basic());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let user = app.user(&format!("{}@example.com", grantd::model::secret::random_base62(8))).await;
    let (id, key) = app.key(&user, "read").await;
    let request = request.body(encode(&[("token", &key)])).expect("a request");
    app.send_from(peer, request).await.status(200);
    let entries = app.entries(1000).await;
    let revoke = entries.iter().find(|entry| entry.event == "key.revoke" && entry.object.as_deref() == Some(&id));
    revoke.expect("an entry").address.clone()
}

const SPOOFED: [(&str, &str); 9] = [
    ("x-forwarded-for", "203.0.113.9"),
    ("forwarded", "for=203.0.113.9"),
    ("x-real-ip", "203.0.113.9"),
    ("x-client-ip", "203.0.113.9"),
    ("true-client-ip", "203.0.113.9"),
    ("cf-connecting-ip", "203.0.113.9"),
    ("x-cluster-client-ip", "203.0.113.9"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "http"),
];

#[tokio::test]
async fn forwarded_headers_of_untrusted_peers_are_ignored() {
    // THREATS: HX1
    let app = TestApp::new().await;
    assert_eq!(logged_address(&app, "198.51.100.7", &SPOOFED).await, "198.51.100.7");
    assert_eq!(logged_address(&app, "::ffff:198.51.100.7", &SPOOFED).await, "198.51.100.7");
    assert_eq!(logged_address(&app, "2001:db8::7", &SPOOFED).await, "2001:db8::7");
    // With proxies configured, other peers still are not trusted.
    let app = behind_proxies().await;
    assert_eq!(logged_address(&app, "198.51.100.7", &SPOOFED).await, "198.51.100.7");
    assert_eq!(logged_address(&app, "11.0.0.1", &SPOOFED).await, "11.0.0.1");
}

async fn behind_proxies() -> TestApp {
    TestApp::configured(&[], |config| {
        config.trusted_proxies =
            ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|network| network.parse().expect("a network")).to_vec();
    })
    .await
}

#[tokio::test]
async fn sender_is_the_rightmost_untrusted_address() {
    // THREATS: HX1
    let app = behind_proxies().await;
    for (sent, address) in [
        (vec!["203.0.113.9"], "203.0.113.9"),
        (vec!["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (vec!["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (vec!["1.1.1.1", "203.0.113.9", "10.9.9.9,10.0.0.2"], "203.0.113.9"),
        (vec!["203.0.113.9,1.1.1.1"], "1.1.1.1"),
        (vec!["2001:db8::1, 2001:db8:ffff::3"], "2001:db8::1"),
        (vec!["::ffff:203.0.113.9"], "203.0.113.9"),
        (vec!["x, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        // Only proxies: the furthest one that is named.
        (vec!["::ffff:10.0.0.2"], "10.0.0.2"),
        (vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (vec!["203.0.113.9, x, 10.0.0.2"], "10.0.0.2"),
        (vec!["203.0.113.9", "x", "10.0.0.2"], "10.0.0.2"),
        (vec![], "10.0.0.1"),
        // An unreadable entry ends the search: nothing left of it is trusted.
        (vec!["unknown"], "10.0.0.1"),
        (vec!["203.0.113.9, "], "10.0.0.1"),
        (vec![""], "10.0.0.1"),
        (vec!["203.0.113.9, _hidden"], "10.0.0.1"),
        // Some proxies add the port.
        (vec!["203.0.113.9:4711"], "203.0.113.9"),
        (vec!["1.1.1.1, [2001:db8::1]:4711, 10.0.0.2:80"], "2001:db8::1"),
        (vec!["203.0.113.9:"], "10.0.0.1"),
        (vec!["203.0.113.9:99999"], "10.0.0.1"),
        (vec!["2001:db8::1]:80"], "10.0.0.1"),
        (vec!["[2001:db8::1]"], "10.0.0.1"),
        (vec!["203.0.113.009"], "10.0.0.1"),
        (vec!["0x7f000001"], "10.0.0.1"),
        (vec!["203.0.113.9\t;"], "10.0.0.1"),
    ] {
        let headers: Vec<(&str, &str)> = sent.iter().map(|value| ("x-forwarded-for", *value)).collect();
        assert_eq!(logged_address(&app, "10.0.0.1", &headers).await, address, "{sent:?}");
    }
    // Other headers of this kind are not read, whoever sends them.
    assert_eq!(logged_address(&app, "10.0.0.1", &SPOOFED[1..]).await, "10.0.0.1");
    assert_eq!(logged_address(&app, "::ffff:10.0.0.1", &SPOOFED).await, "203.0.113.9");
}

#[tokio::test]
async fn key_limited_to_the_proxys_network_does_not_work_elsewhere() {
    // THREATS: AK12 HX1
    let app = behind_proxies().await;
    let user = app.user("alice@example.com").await;
    let networks = |text: &str| Networks::parse(text).expect("networks");
    let (_, inside) = app.key_with(&user, "read", |key| key.networks = networks("10.0.0.0/8")).await;
    let (_, outside) = app.key_with(&user, "read", |key| key.networks = networks("203.0.113.0/24")).await;
    for (sent, by_inside, by_outside) in [
        (None, 401, 401),
        (Some("unknown"), 401, 401),
        (Some("10.1.2.3, unknown"), 401, 401),
        (Some("203.0.113.9, x, 10.0.0.2"), 401, 401),
        (Some("203.0.113.9"), 401, 200),
        (Some("203.0.113.9:4711"), 401, 200),
        (Some("10.1.2.3"), 200, 401),
        (Some("198.51.100.7"), 401, 401),
    ] {
        for path in ["/gateway/verify/example-api", "/v1/users/me"] {
            for (key, status) in [(&inside, by_inside), (&outside, by_outside)] {
                let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
                let request = sent.iter().fold(request, |request, sent| request.header("x-forwarded-for", *sent));
                let reply = app.send_from("10.0.0.5", request.body(Body::empty()).expect("a request")).await;
                assert_eq!(reply.status, status, "{sent:?} {path}");
            }
        }
    }
    // A key without networks works from any address.
    let (_, any) = app.key(&user, "read").await;
    let request = Request::get("/v1/users/me").header(header::AUTHORIZATION, format!("Bearer {any}"));
    app.send_from("10.0.0.5", request.body(Body::empty()).expect("a request")).await.status(200);
}

#[tokio::test]
async fn unreadable_addresses_skip_no_rule() {
    // THREATS: HX1
    let app = TestApp::configured(&[("limits.login_failures_per_address", "3")], |config| {
        config.trusted_proxies = vec!["10.0.0.0/8".parse().expect("a network")];
    })
    .await;
    let mut browser = app.browser();
    browser.address = "10.0.0.1".to_owned();
    for (attempt, forwarded) in ["unknown", "", "203.0.113.9, ?", "\u{e9}", "127.0.0.1x"].into_iter().enumerate() {
        let page = browser.get("/login").await;
        let csrf = page.input("csrf");
        let email = format!("nobody{attempt}@example.com");
        let form = [("csrf", csrf.as_str()), ("email", email.as_str()), ("password", "guess")];
        let request = browser
            .with_cookies(Request::post("/login"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header("x-forwarded-for", forwarded);
        let reply = browser.send(request.body(encode(&form)).expect("a request")).await;
        reply.status(if attempt < 3 { 401 } else { 429 });
    }
}

async fn from_origin(app: &TestApp, method: Method, path: &str, origin: &str, body: Body) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::ORIGIN, origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, app.api.basic());
    app.send(request.body(body).expect("a request")).await
}

#[tokio::test]
async fn cors_allows_only_listed_origins() {
    // THREATS: HX10
    let spa = "https://spa.example.test";
    let app = TestApp::configured(&[], |config| config.cors_origins = vec![spa.to_owned()]).await;
    for path in ["/oauth/token", "/oauth/revoke"] {
        let body = || encode(&[("token", "x"), ("grant_type", "client_credentials")]);
        for method in [Method::OPTIONS, Method::POST] {
            let reply = from_origin(&app, method, path, spa, body()).await;
            assert_eq!(reply.header("access-control-allow-origin"), spa, "{path}");
            assert!(reply.header("vary").to_lowercase().contains("origin"));
            assert!(!reply.headers.contains_key("access-control-allow-credentials"));
        }
        for stranger in [
            "https://evil.example",
            "null",
            "https://spa.example.test.evil.example",
            "https://spa.example.test:8443",
            "http://spa.example.test",
            "https://SPA.example.test",
            "https://spa.example.test/",
            "*",
        ] {
            for method in [Method::OPTIONS, Method::POST] {
                let reply = from_origin(&app, method, path, stranger, body()).await;
                assert!(!reply.headers.contains_key("access-control-allow-origin"), "{path} {stranger}");
                assert!(!reply.headers.contains_key("access-control-allow-credentials"));
            }
        }
    }
    // Public documents are public without credentials; endpoints for users or servers have no CORS headers.
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/jwks.json"] {
        for origin in [spa, "https://any.example", "null"] {
            let reply = from_origin(&app, Method::GET, path, origin, Body::empty()).await;
            assert_eq!(reply.header("access-control-allow-origin"), "*");
            assert!(!reply.headers.contains_key("access-control-allow-credentials"));
        }
    }
    let client = app.public().await;
    let authorize = flow::authorize_url(&client, &[]);
    for path in [
        authorize.as_str(),
        "/login",
        "/consent",
        "/settings/keys",
        "/oauth/introspect",
        "/v1/users/me",
        "/metrics",
        "/nowhere",
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS] {
            let reply = from_origin(&app, method, path, spa, Body::empty()).await;
            assert!(!reply.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{path}");
        }
    }
}

#[test]
fn invalid_origin_prevents_the_start() {
    // THREATS: HX10
    let load = |origin: &str| Config::load(None, [("GRANTD_CORS_ORIGINS".to_owned(), origin.to_owned())], &[]);
    for wrong in ["*", "null", "spa.example.test", "https://spa.example.test/", "https://spa.example.test/path"] {
        let error = load(wrong).expect_err(wrong).to_string();
        assert!(error.contains("cors_origins"), "{wrong}: {error}");
    }
    let right = load("https://spa.example.test,http://localhost:5173").expect("two origins");
    assert_eq!(right.cors_origins, ["https://spa.example.test", "http://localhost:5173"]);
}

#[tokio::test]
async fn browser_at_another_host_is_sent_to_the_issuer() {
    // THREATS: HX2
    let app = TestApp::with(&[("GRANTD_HOSTS", "auth.internal")]).await;
    let ask = async |target: &str, hosts: &[&str]| {
        let request = hosts.iter().fold(Request::get(target), |request, host| request.header(header::HOST, *host));
        app.send(request.body(Body::empty()).expect("a request")).await
    };
    for host in ["auth.example.test", "AUTH.example.test:443", "auth.internal:8080"] {
        ask("/login", &[host]).await.page(200);
    }
    let forged =
        ["evil.example", "auth.example.test.evil.example", "127.0.0.1:8080", "", "a b", "auth.example.test@x/"];
    for host in forged {
        for page in
            ["/", "/login", "/settings/keys", "/oauth/authorize?client_id=x&b=c", "/leaked", "/apps?//evil.example/"]
        {
            let reply = ask(page, &[host]).await;
            assert_eq!((reply.status(303).location(), reply.body.as_str()), (format!("{ISSUER}{page}"), ""));
            assert!(reply.header("set-cookie").starts_with("sent_on=1; "), "{:?}", reply.headers);
        }
        // Assets are for everybody, and the page above needs them.
        ask("/assets/grantd.css", &[host]).await.status(200);
    }
    ask("/login", &["auth.example.test", "evil.example"]).await.page(421);
    // A redirect to the same name would loop, and a form is never redirected.
    for (method, path, cookie, link) in [
        (Method::GET, "/apps?x=1", "a=b; sent_on=1", "/apps?x=1"),
        (Method::POST, "/login", "a=b", ""),
        (Method::DELETE, "/login", "", ""),
    ] {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "evil.example");
        let request = request.header(header::COOKIE, cookie).body(Body::empty()).expect("a request");
        let reply = app.send(request).await;
        assert!(reply.page(421).body.contains(&format!("href=\"{ISSUER}{link}\"")), "{}", reply.body);
        assert!(reply.headers.get("set-cookie").is_none() && !reply.body.contains("evil"), "{}", reply.body);
    }
    // Programs inside the network use many host names, and have no cookies.
    for path in ["/livez", "/.well-known/jwks.json", "/health"] {
        ask(path, &["grantd:8080"]).await.status(200);
    }
}

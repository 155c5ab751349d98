//! Owns tests of authorization requests before any page: client, parameters, and the response.
//! For the pages, see `interaction`.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use data_encoding::BASE64URL_NOPAD;
use grantd::model::{
    audit::Origin,
    client::ClientType,
    redirect_uri::RedirectUri,
    scope::Scopes,
    secret::{self, CODE},
};
use tokio::net::TcpListener;

use super::{assert_sent_back, first_party, once, params, signed_in};
use crate::harness::{
    Browser, Captured, ISSUER, OAuthClient, Reply, TestApp,
    app::{CALLBACK, PASSWORD},
    flow::{self, VERIFIER, authorize_url},
};

#[tokio::test]
async fn unknown_disabled_and_deleted_clients_get_the_same_page() {
    // THREATS: AZ1
    let app = TestApp::new().await;
    let (disabled, deleted) = (first_party(&app).await, first_party(&app).await);
    let browser = signed_in(&app, "alice@example.com").await;
    for client in [&disabled, &deleted] {
        // Cached as active: the refusal must not wait until the cache expires.
        assert!(!once(&browser.get(&authorize_url(client, &[])).await, "code").is_empty());
    }
    let (now, store) = (app.now(), &app.app.store);
    assert!(store.set_client_active(now, Origin::default(), disabled.id.clone(), false).await.expect("disabled"));
    assert!(store.delete_client(now, Origin::default(), deleted.id.clone(), None).await.expect("deleted"));
    let named = |id: &str| OAuthClient { id: id.to_owned(), secret: None };
    let mut bodies = Vec::new();
    for client in [named("client_unknown"), disabled, deleted, named("a' OR 1=1 --"), named("\0"), named("")] {
        for prompt in ["", "none"] {
            let url = authorize_url(&client, &[("prompt", prompt)]);
            let request = browser.with_cookies(Request::get(url)).header("x-request-id", "one");
            let reply = browser.send(request.body(Body::empty()).expect("a request")).await;
            bodies.push(reply.page(400).body.clone());
        }
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
}

#[tokio::test]
async fn errors_are_not_redirected_to_unregistered_uris() {
    // THREATS: AZ2
    let app = TestApp::new().await;
    let client = first_party(&app).await;
    let elsewhere = "https://other.example.test/cb";
    let register = |client: &mut grantd::model::client::Client| {
        client.redirect_uris = vec![RedirectUri::register(elsewhere).expect("a URI")];
    };
    app.client(ClientType::Confidential, register).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let wrong: [&[(&str, &str)]; 7] = [
        &[],
        &[("prompt", "none")],
        &[("prompt", "bogus"), ("max_age", "x")],
        &[("response_type", "token")],
        &[("scope", "nope")],
        &[("code_challenge", ""), ("code_challenge_method", "")],
        &[("request_uri", "https://evil.test/"), ("resource", "nope"), ("id_token_hint", "x")],
    ];
    for redirect_uri in ["", "https://evil.test/cb", elsewhere] {
        for change in wrong {
            let change = [change, &[("redirect_uri", redirect_uri)]].concat();
            let url = authorize_url(&client, &change);
            for visitor in [&browser, &app.browser()] {
                visitor.get(&url).await.page(400);
                visitor.get(&format!("{url}&state=twice")).await.page(400);
            }
        }
    }
    browser.get(&format!("{}&redirect_uri=", authorize_url(&client, &[("redirect_uri", "")]))).await.page(400);
    once(&browser.get(&authorize_url(&client, &[])).await, "code");
}

#[tokio::test]
async fn only_the_code_flow_is_supported_and_urls_carry_no_token() {
    // THREATS: AZ3
    let app = TestApp::new().await;
    let client = first_party(&app).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let ask = async |response_type| browser.get(&authorize_url(&client, &[("response_type", response_type)])).await;
    assert_sent_back(&ask("").await, "invalid_request");
    for response_type in ["token", "id_token", "code token", "code id_token", "none", "CODE", "code code"] {
        assert_sent_back(&ask(response_type).await, "unsupported_response_type");
    }
    for response_mode in ["fragment", "form_post"] {
        let reply = browser.get(&authorize_url(&client, &[("response_mode", response_mode)])).await;
        assert_sent_back(&reply, "invalid_request");
    }
    let codeless = app.client(ClientType::Confidential, |client| {
        client.first_party = true;
        client.grant_types.retain(|grant| grant.as_str() != "authorization_code");
    });
    assert_sent_back(&browser.get(&authorize_url(&codeless.await, &[])).await, "unauthorized_client");
}

#[tokio::test]
async fn repeated_parameters_are_refused() {
    // THREATS: AZ4
    let app = TestApp::new().await;
    app.api("Second API", "https://second.example.test", &["other"]).await;
    let client = first_party(&app).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let url = authorize_url(&client, &[("prompt", "login"), ("max_age", "9"), ("nonce", "n"), ("unknown", "u")]);
    let query = url.split_once('?').expect("a query").1;
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for (name, value) in &all {
        for again in [value, ""] {
            let extra = form_urlencoded::Serializer::new(String::new()).append_pair(name, again).finish();
            let twice = [all.as_slice(), &[(name, again)]].concat();
            for reply in [
                browser.get(&format!("{url}&{extra}")).await,
                browser.post("/oauth/authorize", &twice).await,
                browser.post(&format!("/oauth/authorize?{extra}"), &all).await,
                browser.post(&url, &[(name, again)]).await,
            ] {
                match *name {
                    "client_id" | "redirect_uri" => drop(reply.page(400)),
                    _ => assert_sent_back(&reply, "invalid_request"),
                }
            }
        }
    }
    let resources = "&resource=https://api.example.test&resource=https://second.example.test";
    once(&browser.get(&format!("{}{resources}", authorize_url(&client, &[]))).await, "code");
}

#[tokio::test]
async fn empty_parameters_are_absent_and_unknown_ones_ignored() {
    // THREATS: AZ5
    let app = TestApp::new().await;
    let client = first_party(&app).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let empty = "&prompt=&max_age=&resource=&request=&request_uri=&id_token_hint=&response_mode=&unknown=1&also";
    let url = format!("{}{empty}", authorize_url(&client, &[]));
    once(&browser.get(&url).await, "code");
    let (path, query) = url.split_once('?').expect("a query");
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    once(&browser.post(path, &all).await, "code");
    let stateless = browser.get(&format!("{}&state=", authorize_url(&client, &[("state", "")]))).await;
    assert!(params(&stateless).iter().all(|(name, _)| name != "state"), "{}", stateless.location());
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let request = browser.with_cookies(Request::builder().method(method).uri(&url));
        let reply = browser.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!((reply.status(405).header("allow"), reply.header("location")), ("GET,HEAD,POST", ""));
    }
}

#[tokio::test]
async fn scopes_are_reduced_to_those_allowed() {
    // THREATS: AZ6
    let app = TestApp::new().await;
    let client = app.client(ClientType::Confidential, |client| {
        client.first_party = true;
        client.scopes = Scopes::parse("read").expect("scopes");
    });
    let client = client.await;
    let browser = signed_in(&app, "alice@example.com").await;
    let reply = flow::authorize(&browser, &client, &[("scope", "write read nosuch")]).await;
    let reply = flow::exchange(&app, &client, &once(&reply, "code")).await;
    assert_eq!(reply.status(200).text("scope"), "read");
    assert_eq!(app.introspect(&reply.text("access_token")).await.active()["scope"], "read");
    for scope in ["", "write", "nosuch", "READ", "re\"ad", "read\twrite"] {
        let reply = browser.get(&authorize_url(&client, &[("scope", scope)])).await;
        assert_sent_back(&reply, "invalid_scope");
    }
}

#[tokio::test]
async fn responses_have_issuer_state_and_one_result() {
    // THREATS: AZ7
    let app = TestApp::new().await;
    let with_query = format!("{CALLBACK}?tenant=1");
    let client = app.client(ClientType::Confidential, |client| {
        client.first_party = true;
        client.redirect_uris.push(RedirectUri::register(&with_query).expect("a URI"));
    });
    let client = client.await;
    let browser = signed_in(&app, "alice@example.com").await;
    let issuer = app.get("/.well-known/oauth-authorization-server").await.text("issuer");
    let refused: [(&str, &str, &str); 6] = [
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "nosuch", "invalid_scope"),
        ("code_challenge", "short", "invalid_request"),
        ("resource", "https://nowhere.test", "invalid_target"),
        ("request", "x.y.z", "request_not_supported"),
        ("prompt", "bogus", "invalid_request"),
    ];
    for redirect_uri in [CALLBACK, with_query.as_str()] {
        let to = ("redirect_uri", redirect_uri);
        let reply = browser.get(&authorize_url(&client, &[to])).await;
        assert!(reply.location().starts_with(redirect_uri), "{}", reply.location());
        assert_eq!((once(&reply, "iss"), once(&reply, "state")), (issuer.clone(), "st4te".to_owned()));
        assert!(once(&reply, "code").starts_with(CODE));
        assert_eq!(reply.redirect_param("error"), None);
        for (name, value, error) in refused {
            let reply = browser.get(&authorize_url(&client, &[to, (name, value)])).await;
            assert!(reply.location().starts_with(redirect_uri), "{}", reply.location());
            assert_eq!((once(&reply, "iss"), once(&reply, "state")), (issuer.clone(), "st4te".to_owned()));
            assert_eq!((once(&reply, "error").as_str(), reply.redirect_param("code")), (error, None));
        }
    }
}

/// Headers of pages and redirects that prevent leaks.
fn assert_private(what: &str, reply: &Reply) {
    assert_eq!(reply.header("referrer-policy"), "no-referrer", "{what}");
    assert_eq!(reply.header("cache-control"), "no-store", "{what}");
    assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{what}");
    for attribute in [" src=\"", " href=\"", " action=\"", "url("] {
        for (at, _) in reply.body.match_indices(attribute) {
            let target = &reply.body[at + attribute.len()..];
            let local = target.starts_with('#') || target.starts_with('/') && !target.starts_with("//");
            assert!(local, "{what}: {}", target.chars().take(80).collect::<String>());
        }
    }
}

#[tokio::test]
async fn pages_and_redirects_do_not_leak() {
    // THREATS: AZ9
    let spa = "https://spa.example.test";
    let app = TestApp::configured(&[], |config| config.cors_origins = vec![spa.to_owned()]).await;
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    // From an origin whose scripts may call the token endpoint: these responses are still not readable for it.
    let get = async |browser: &Browser<'_>, target: &str| {
        let target = target.strip_prefix(ISSUER).unwrap_or(target);
        let request = browser.with_cookies(Request::get(target)).header(header::ORIGIN, spa);
        browser.send(request.body(Body::empty()).expect("a request")).await
    };
    let mut seen = vec![("no client", get(&browser, "/oauth/authorize").await)];
    seen.push(("to sign-in", get(&browser, &authorize_url(&client, &[])).await));
    let login = get(&browser, &seen[1].1.location()).await;
    let (csrf, interaction) = (login.input("csrf"), login.input("interaction"));
    seen.push(("sign-in", login));
    let form = |password| {
        [("csrf", csrf.as_str()), ("interaction", &interaction), ("email", "alice@example.com"), ("password", password)]
    };
    seen.push(("wrong password", browser.post("/login", &form("wrong password")).await));
    let proven = browser.post("/login", &form(PASSWORD)).await;
    let to_consent = get(&browser, &proven.location()).await;
    let consent = get(&browser, &to_consent.location()).await;
    let csrf = consent.input("csrf");
    let allowed =
        browser.post("/consent", &[("csrf", &csrf), ("interaction", &interaction), ("decision", "allow")]).await;
    seen.push(("code", get(&browser, &allowed.location()).await));
    once(&seen[seen.len() - 1].1, "code");
    seen.extend([("signed in", proven), ("to consent", to_consent), ("consent", consent), ("allowed", allowed)]);
    seen.push(("used up", get(&browser, &format!("/oauth/authorize?interaction={interaction}")).await));
    seen.push(("refused", get(&browser, &authorize_url(&client, &[("response_type", "token")])).await));
    for path in ["/", "/settings/keys", "/settings/apps", "/apps", "/apps/new", "/login", "/nowhere", "/oauth/nowhere"]
    {
        seen.push((path, get(&browser, path).await));
    }
    let request = browser.with_cookies(Request::put("/oauth/authorize")).header(header::ORIGIN, spa);
    seen.push(("another method", browser.send(request.body(Body::empty()).expect("a request")).await));
    for (what, reply) in &seen {
        assert_private(what, reply);
    }
}

#[tokio::test]
async fn state_is_returned_byte_for_byte_and_escaped() {
    // THREATS: AZ10
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let hostile = "a b\r\nSet-Cookie: x=y\r\n\r\n\"'<script>alert(1)</script>\u{1f511}\0%00&code=evil#";
    let state = format!("{hostile}{}", "x".repeat(4096 - hostile.len()));
    let browser = signed_in(&app, "alice@example.com").await;
    let page = browser.follow(browser.get(&authorize_url(&client, &[("state", &state)])).await).await;
    assert!(page.body.contains("name=\"decision\"") && !page.body.contains("alert(1)"), "{}", page.body);
    let reply = flow::decide(&browser, &page, "allow").await;
    assert_eq!(once(&reply, "state"), state);
    assert!(once(&reply, "code").starts_with(CODE));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":/?=&%-._~".contains(&b);
    assert!(reply.location().bytes().all(plain), "{}", reply.location());
    assert_eq!(reply.headers.get_all(header::SET_COOKIE).iter().count(), 0);
    let refused = browser.get(&authorize_url(&client, &[("state", &state), ("scope", "nosuch")])).await;
    assert_eq!((once(&refused, "state"), once(&refused, "error").as_str()), (state.clone(), "invalid_scope"));
    browser.get(&authorize_url(&client, &[("state", &format!("{state}x"))])).await.page(400);
    // Text of an attacker in a link is not shown, and an address is not markup.
    let words = "error=e&error_description=%3Cb%3Ephone%20us%3C/b%3E&error_hint=%3Cb%3Ephone%20us%3C/b%3E";
    for path in ["/oauth/authorize", "/login", "/consent", "/settings/keys", "/apps", "/nowhere"] {
        let reply = browser.get(&format!("{path}?{words}")).await;
        assert!(!reply.body.contains("phone us"), "{path}: {}", reply.body);
    }
    let form = [("email", "\"><script>alert(1)</script>"), ("password", "wrong password")];
    let reply = app.browser().submit("/login", "/login", &form).await;
    assert!(!reply.status(401).body.contains("<script>alert"), "{}", reply.body);
}

#[tokio::test]
async fn codes_and_tokens_are_not_logged_or_stored() {
    // THREATS: AZ17
    let log = Captured::start();
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let code = flow::code(&browser, &client).await;
    // 48 bits of time and 80 random bits identify the grant; a 256-bit MAC authenticates it with a key that is not in the
    // database.
    let bytes = BASE64URL_NOPAD.decode(secret::strip_checksum(CODE, &code).expect("a body").as_bytes()).expect("bytes");
    assert_eq!(bytes.len(), 16 + 32);
    assert!(app.app.config.lifetimes.code.as_secs().cast_signed() <= 60);
    let reply = flow::exchange(&app, &client, &code).await;
    let (access_token, refresh_token) = (reply.text("access_token"), reply.text("refresh_token"));
    let next = flow::refresh(&app, &client, &refresh_token).await.text("refresh_token");
    flow::exchange(&app, &client, &code).await.oauth_error("invalid_grant");
    assert!(app.audit().await.contains(&"code.reuse".to_owned()));
    let secret = client.secret.clone().expect("a secret");
    let session = browser.cookie("__Host-grantd_session").expect("a session");
    let (log, tables) = (log.text(), app.database.dump().await);
    assert!(tables.contains(&client.id), "{tables}");
    assert!(log.contains("request refused"), "{log}");
    for (what, secret) in [
        ("code", code.as_str()),
        ("access token", &access_token),
        ("refresh token", &refresh_token),
        ("next refresh token", &next),
        ("client secret", &secret),
        ("session", &session),
        ("verifier", VERIFIER),
        ("password", PASSWORD),
    ] {
        assert!(!log.contains(secret), "the {what} is in the log");
        assert!(!tables.contains(secret), "the {what} is in the database");
    }
}

#[tokio::test]
async fn request_uri_is_refused_and_not_fetched() {
    // THREATS: AZ18
    let app = TestApp::new().await;
    let client = first_party(&app).await;
    let browser = signed_in(&app, "alice@example.com").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port").into_std().expect("a listener");
    let here = listener.local_addr().expect("an address");
    for uri in [format!("https://{here}/request"), format!("http://{here}/request"), "urn:example:1".to_owned()] {
        let reply = browser.get(&authorize_url(&client, &[("request_uri", &uri)])).await;
        assert_sent_back(&reply, "request_uri_not_supported");
    }
    let reply = browser.get(&authorize_url(&client, &[("request", "eyJhbGciOiJub25lIn0.e30.")])).await;
    assert_sent_back(&reply, "request_not_supported");
    // An opened connection would be waiting here by now.
    assert_eq!(listener.accept().map_err(|error| error.kind()).err(), Some(std::io::ErrorKind::WouldBlock));
    let metadata = app.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["request_uri_parameter_supported"], false);
}

//! Owns tests of redirect URIs in requests and in registrations. The comparison itself is tested in
//! `model::redirect_uri`.

use std::process::Command;

use grantd::model::{client::ClientType, redirect_uri::RedirectUri, secret::CODE};

use super::{first_party, once, signed_in};
use crate::harness::{
    Browser, OAuthClient, TestApp,
    app::CALLBACK,
    flow::{self, VERIFIER, authorize_url},
};

/// URIs that cannot be registered, with the reason.
const UNREGISTRABLE: [&str; 32] = [
    "http://a.example/cb",
    "http://localhost.evil.tld/cb",
    "http://127.0.0.1.nip.io/cb",
    "http://2130706433/cb",
    "http://127.0.0.1@evil.tld/cb",
    "https://a.example/cb#",
    "https://a.example/cb#x",
    "/cb",
    "//a.example/cb",
    "a.example/cb",
    "https://*.a.example/cb",
    "https://a.example/*",
    "https://u@a.example/cb",
    "https://u:p@a.example/cb",
    "https://@a.example/cb",
    "https:///cb",
    "https:a.example/cb",
    "https://a.example/../cb",
    "https://a.example/%2e%2E/cb",
    "https://a.example\\@evil.tld/cb",
    "https://\u{430}.example/cb",
    "https://a\u{3002}example/cb",
    "app:/cb",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript://a.example/%0aalert(1)",
    " data:text/html,x",
    "data:text/html;base64,eA==",
    "\u{1}vbscript:x",
    "vbscript:x",
    "blob:https://a.example/x",
    "file:///etc/passwd",
];

async fn client_with(app: &TestApp, uris: &[&str]) -> OAuthClient {
    let uris = uris.iter().map(|uri| RedirectUri::register(uri).expect("a URI")).collect();
    app.client(ClientType::Confidential, |client| {
        client.first_party = true;
        client.redirect_uris = uris;
    })
    .await
}

#[tokio::test]
async fn unregistered_redirect_uris_show_a_page() {
    // THREATS: RU1
    let app = TestApp::new().await;
    let registered = "https://a.example/cb";
    let client = client_with(&app, &[registered]).await;
    let browser = signed_in(&app, "alice@example.com").await;
    for presented in [
        "https://a.example/cb/",
        "https://a.example/cb/..",
        "https://a.example/cb/../cb",
        "https://a.example/%2e%2e/cb",
        "https://a.example/%252e%252e/cb",
        "https://a.example/%63b",
        "https://a.example/CB",
        "https://A.example/cb",
        "HTTPS://a.example/cb",
        "https://a.example/cb?x=1",
        "https://a.example/cb?",
        "https://a.example/cb;p=1",
        "https://a.example/cb#",
        "https://a.example/cb#x",
        "https://a.example:443/cb",
        "https://a.example:8443/cb",
        "http://a.example/cb",
        "https://a.example.evil.tld/cb",
        "https://a.example@evil.tld/cb",
        "https://evil@a.example/cb",
        "https://a.example\\cb",
        "https://a.example/\\cb",
        "https://a.example/cb\t",
        "https://a.example/c\tb",
        " https://a.example/cb",
        "https://a.example/cb ",
        "https://a.example/cb\0",
        "https://a.example/cb%00",
        "https://a.example/cb\r\nX: y",
        "https://a.example/cb%0d%0aX: y",
        "https://a\u{3002}example/cb",
        "https://\u{430}.example/cb",
        "https://a.example/cb,https://evil.tld",
        "https://a.example/cb https://evil.tld",
        "https://evil.tld/https://a.example/cb",
    ] {
        let reply = browser.get(&authorize_url(&client, &[("redirect_uri", presented)])).await;
        assert!(!reply.page(400).body.contains("evil"), "{presented}: {}", reply.body);
    }
    let reply = browser.get(&authorize_url(&client, &[("redirect_uri", registered)])).await;
    assert!(reply.location().starts_with(&format!("{registered}?code={CODE}")), "{}", reply.location());
    // The first URI that is presented is not adopted.
    let blank = client_with(&app, &[]).await;
    for _ in 0..2 {
        browser.get(&authorize_url(&blank, &[("redirect_uri", registered)])).await.page(400);
    }
}

#[tokio::test]
async fn loopback_redirects_match_any_port_only() {
    // THREATS: RU2
    let app = TestApp::new().await;
    let hosts = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let client =
        client_with(&app, &["http://127.0.0.1:0/cb?a=1", "http://[::1]/cb?a=1", "http://localhost:8000/cb?a=1"]).await;
    let browser = signed_in(&app, "alice@example.com").await;
    for host in hosts {
        for port in ["", ":1", ":49152", ":65535"] {
            let presented = format!("{host}{port}/cb?a=1");
            // On the user's own machine any program may listen, so consent is asked even for the operator's app.
            let reply = flow::authorize(&browser, &client, &[("redirect_uri", &presented)]).await;
            assert!(reply.location().starts_with(&format!("{presented}&code=")), "{}", reply.location());
            let form = [
                ("grant_type", "authorization_code"),
                ("code", &once(&reply, "code")),
                ("redirect_uri", &presented),
                ("code_verifier", VERIFIER),
            ];
            super::token(&app, &client, &form).await.status(200);
        }
        for rest in [
            ":49152/cb",
            ":49152/cb?a=2",
            ":49152/cb/?a=1",
            ":49152/cb?a=1#",
            ":65536/cb?a=1",
            ":/cb?a=1",
            ":+1/cb?a=1",
            ".evil.tld/cb?a=1",
            ".nip.io/cb?a=1",
            "@evil.tld/cb?a=1",
            ":1@evil.tld/cb?a=1",
        ] {
            let presented = format!("{host}{rest}");
            browser.get(&authorize_url(&client, &[("redirect_uri", &presented)])).await.page(400);
        }
    }
    for presented in [
        "http://2130706433/cb?a=1",
        "http://127.1/cb?a=1",
        "http://0x7f.0.0.1/cb?a=1",
        "http://[::ffff:127.0.0.1]/cb?a=1",
        "https://127.0.0.1/cb?a=1",
        "http://LOCALHOST/cb?a=1",
        "http://127.0.0.2/cb?a=1",
    ] {
        browser.get(&authorize_url(&client, &[("redirect_uri", presented)])).await.page(400);
    }
    // Any port is for loopback only.
    let remote = client_with(&app, &["https://a.example:1/cb"]).await;
    browser.get(&authorize_url(&remote, &[("redirect_uri", "https://a.example:2/cb")])).await.page(400);
}

/// Fills in the form for an app; returns the status.
async fn register(browser: &Browser<'_>, redirect_uris: &str) -> u16 {
    let page = browser.get("/apps/new").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let fields = [
        ("csrf", csrf.as_str()),
        ("form", &form),
        ("name", "New app"),
        ("type", "public"),
        ("redirect_uris", redirect_uris),
        ("scope", "read"),
    ];
    browser.post("/apps", &fields).await.status.as_u16()
}

#[tokio::test]
async fn unsafe_redirect_uris_cannot_be_registered_on_a_page() {
    // THREATS: RU3 RU4
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    assert_eq!(register(&browser, CALLBACK).await, 200);
    let id = app.database.column("SELECT id FROM clients WHERE owner_id IS NOT NULL").await.remove(0);
    let own = format!("/apps/{id}");
    for uri in UNREGISTRABLE {
        for lines in [uri.to_owned(), format!("{CALLBACK}\n{uri}")] {
            assert_eq!(register(&browser, &lines).await, 400, "{uri:?}");
            let fields = [("name", "Changed"), ("redirect_uris", lines.as_str()), ("scope", "read")];
            browser.submit(&own, &own, &fields).await.status(400);
        }
    }
    let kept = app.database.column("SELECT redirect_uris FROM clients WHERE owner_id IS NOT NULL").await;
    assert_eq!(kept, [CALLBACK]);
    let fields = [("name", "Changed"), ("redirect_uris", "com.example.app:/cb"), ("scope", "read")];
    browser.submit(&own, &own, &fields).await.status(303);
}

#[tokio::test]
async fn unsafe_redirect_uris_cannot_be_registered_on_the_command_line() {
    // THREATS: RU3 RU4
    let app = TestApp::new().await;
    let create = |uri: &str| {
        let uri = format!("--redirect-uri={uri}");
        let args = ["--database", &app.database.url, "client", "create", "--name", "New app", &uri];
        Command::new(env!("CARGO_BIN_EXE_grantd"))
            .args(args)
            .env("GRANTD_MASTER_KEY", app.master.text().as_str())
            .current_dir(app.database.dir.path())
            .output()
            .expect("a run")
    };
    for uri in [
        "http://a.example/cb",
        "https://a.example/cb#x",
        "/cb",
        "https://*.a.example/cb",
        "JaVaScRiPt:alert(1)",
        " data:x",
        "file:///x",
    ] {
        let output = create(uri);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && (said.contains("redirect URI") || said.contains("use https")),
            "{uri}: {said}"
        );
    }
    assert!(app.database.column("SELECT id FROM clients WHERE name = 'New app'").await.is_empty());
    let output = create(CALLBACK);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn exchange_repeats_the_redirect_uri_unless_pkce_is_used() {
    // THREATS: RU6
    let app = TestApp::new().await;
    let (client, browser) = (first_party(&app).await, signed_in(&app, "alice@example.com").await);
    let optout = app.client(ClientType::Confidential, |client| {
        client.first_party = true;
        client.require_pkce = false;
        client.redirect_uris.push(RedirectUri::register("https://app.example.test/other").expect("a URI"));
    });
    let optout = optout.await;
    let bare = [("code_challenge", ""), ("code_challenge_method", "")];
    let exchange = async |client: &OAuthClient, with_pkce: bool, redirect_uri: &str| {
        let reply = browser.get(&authorize_url(client, if with_pkce { &[] } else { &bare })).await;
        let code = once(&reply, "code");
        let mut form = vec![("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", redirect_uri)];
        if with_pkce {
            form.push(("code_verifier", VERIFIER));
        }
        let reply = super::token(&app, client, &form).await;
        // The code is used up: a second try with the right URI fails too.
        if reply.status.as_u16() == 400 && with_pkce {
            flow::exchange(&app, client, &code).await.oauth_error("invalid_grant");
        }
        reply
    };
    for wrong in [
        "https://evil.test/cb",
        "https://app.example.test/cb/",
        "https://app.example.test/CB",
        "https://app.example.test/other",
        "x",
    ] {
        exchange(&client, true, wrong).await.oauth_error("invalid_grant");
        exchange(&optout, true, wrong).await.oauth_error("invalid_grant");
        exchange(&optout, false, wrong).await.oauth_error("invalid_grant");
    }
    exchange(&client, true, "").await.status(200);
    exchange(&optout, true, "").await.status(200);
    exchange(&optout, false, "").await.oauth_error("invalid_grant");
    exchange(&optout, false, CALLBACK).await.status(200);
}

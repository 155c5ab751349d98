//! Owns tests of what must not be found anywhere: SR2, SR4, AK2; and of what users may not see or set: SE14, SE16.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use grantd::engine::master::Purpose;
use secrecy::ExposeSecret;

use super::story::{self, urlencoded};
use crate::harness::{Browser, Captured, Reply, TestApp, app::CALLBACK, flow};

#[tokio::test]
async fn database_alone_reveals_no_credentials() {
    // THREATS: SR2 AK2
    let app = TestApp::new().await;
    let secrets = story::tell(&app).await;
    app.app.background.flush().await.expect("flushed");
    let dump = app.database.dump().await;
    assert!(dump.contains("alice@example.com"), "the dump has something in it");
    for (what, secret) in &secrets {
        for form in forms(secret) {
            assert!(!dump.contains(&form), "{what}");
        }
    }
    // Stored passwords are slow to guess; private signing keys are encrypted.
    for password in app.database.column("SELECT password FROM users WHERE password IS NOT NULL").await {
        assert!(password.starts_with("$argon2id$"), "{password}");
    }
    for row in app.app.store.signing_keys().await.expect("keys") {
        let private = app.master.open(Purpose::SigningKeys, &row.kid, &row.sealed).expect("opened");
        for form in [BASE64URL_NOPAD.encode(&private), HEXLOWER.encode(&private)] {
            assert!(!dump.contains(&form[20..]));
        }
        assert!(!row.public_jwk.contains("\"d\""));
    }
    // A code and a refresh token are a grant's id under a key outside the database: the id alone is refused.
    let client = app.confidential().await;
    for id in app.database.column("SELECT id FROM grants").await {
        for forged in [id.clone(), format!("gd_code_{id}"), format!("gd_rt_{id}AAAAAQ")] {
            flow::exchange(&app, &client, &forged).await.oauth_error("invalid_grant");
            flow::refresh(&app, &client, &forged).await.oauth_error("invalid_grant");
        }
    }
    // A stored digest is not accepted in place of its secret.
    for digest in app.database.column("SELECT digest FROM api_keys").await {
        app.introspect(&digest).await.inactive();
    }
    for digest in app.database.column("SELECT digest FROM sessions").await {
        let browser = app.browser();
        browser.cookies.lock().expect("cookies").insert("__Host-grantd_session".to_owned(), digest);
        assert_eq!(browser.get("/settings/keys").await.location(), "/login");
    }
}

/// The encodings in which a secret could appear.
fn forms(secret: &str) -> Vec<String> {
    let core = secret.rsplit(['.', '_']).next().unwrap_or(secret);
    let mut forms = vec![secret.to_owned(), urlencoded(secret), BASE64URL_NOPAD.encode(secret.as_bytes())];
    if core.len() >= 20 {
        forms.push(core.to_owned());
    }
    forms
}

#[tokio::test]
async fn logs_and_metrics_contain_no_secrets() {
    // THREATS: AK2 SR4
    let log = Captured::start();
    let app = TestApp::configured(&[], |config| config.metrics_token = "m3trics-t0ken".to_owned().into()).await;
    let secrets = story::tell(&app).await;
    app.app.background.flush().await.expect("flushed");
    let metrics = app.get_as("/metrics", "m3trics-t0ken").await;
    metrics.status(200);
    let text = log.text();
    assert!(text.contains("request refused") && metrics.body.contains("http_requests_total"), "there is something");
    let debug = format!("{:?}", app.app);
    for (what, secret) in &secrets {
        for place in [&text, &metrics.body, &debug] {
            let line = place.lines().find(|line| forms(secret).iter().any(|form| line.contains(form)));
            assert_eq!(line, None, "{what}");
        }
    }
    for place in [&text, &metrics.body, &debug] {
        assert!(!place.contains("m3trics-t0ken"));
    }
}

#[tokio::test]
async fn metrics_require_their_token() {
    // THREATS: SR4
    let app = TestApp::new().await;
    let off = app.get("/metrics").await;
    off.status(404);
    app.get_as("/metrics", "anything").await.same_as(&off);
    let app = TestApp::configured(&[], |config| config.metrics_token = "m3trics".to_owned().into()).await;
    let refused = app.get("/metrics").await;
    refused.status(401);
    assert_eq!(refused.header("www-authenticate"), r#"Bearer realm="grantd", error="invalid_token""#);
    // Compared whole, in constant time: a right prefix is as wrong as anything else.
    for wrong in ["m", "m3tric", "m3tricsx", "M3TRICS", "x", "m3trics=", &app.api.secret.clone().expect("a secret")] {
        app.get_as("/metrics", wrong).await.same_as(&refused);
    }
    app.get("/metrics?token=m3trics").await.same_as(&refused);
    app.get_as("/metrics", "m3trics").await.status(200);
    assert_eq!(app.app.config.metrics_token.expose_secret(), "m3trics");
    for open in ["/livez", "/readyz"] {
        app.get(open).await.status(200);
    }
}

/// An app of the browser's user: its id and secret.
async fn register(browser: &Browser<'_>, extra: &[(&str, &str)]) -> (String, String) {
    let page = browser.get("/apps/new").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let mut fields = vec![("csrf", csrf.as_str()), ("form", &form), ("name", "Mine"), ("redirect_uris", CALLBACK)];
    fields.extend_from_slice(&[("scope", "read"), ("type", "confidential")]);
    fields.extend_from_slice(extra);
    let reply = browser.post("/apps", &fields).await;
    reply.status(200);
    (between(&reply, "id=\"client-id\""), between(&reply, "id=\"client-secret\""))
}

/// The text of the element that has this attribute.
fn between(reply: &Reply, attribute: &str) -> String {
    let at = reply.body.find(attribute).unwrap_or_else(|| panic!("no {attribute}: {}", reply.body));
    let text = reply.body[at..].split_once('>').expect("an element").1;
    text.split('<').next().expect("text").to_owned()
}

#[tokio::test]
async fn other_users_things_are_hidden_and_secrets_shown_once() {
    // THREATS: SE14
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    app.user("bob@example.com").await;
    let (alice, bob) = (app.browser(), app.browser());
    alice.log_in("alice@example.com").await;
    bob.log_in("bob@example.com").await;
    let (id, secret) = register(&alice, &[]).await;
    assert!(secret.starts_with("gd_secret_"));
    let page = alice.get(&format!("/apps/{id}")).await;
    page.status(200);
    let digest = &app.database.column("SELECT digest FROM client_secrets").await;
    for page in [&page, &alice.get("/apps").await, &alice.get("/apps/new").await] {
        assert!(!page.body.contains(&secret));
        assert!(digest.iter().all(|digest| !page.body.contains(digest)));
    }
    assert!(page.body.contains(&secret[secret.len() - 4..]), "its last four characters");
    // Every action on another user's object is refused, the operator's clients included.
    let operators = app.confidential().await;
    let page = bob.get("/apps/new").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let fields =
        [("csrf", csrf.as_str()), ("form", &form), ("name", "Stolen"), ("redirect_uris", CALLBACK), ("scope", "read")];
    for target in [&id, &operators.id, &app.api.id, &"client_00000000000000000000".to_owned()] {
        bob.get(&format!("/apps/{target}")).await.page(404);
        bob.post(&format!("/apps/{target}"), &fields).await.page(404);
        bob.post(&format!("/apps/{target}/secret"), &[("csrf", &csrf), ("form", &form)]).await.page(404);
        bob.post(&format!("/apps/{target}/delete"), &[("csrf", &csrf)]).await.page(404);
    }
    assert!(!bob.get("/apps").await.body.contains(&id));
    let names = app.database.column("SELECT name FROM clients WHERE name = 'Stolen'").await;
    assert!(names.is_empty());
    let owner = crate::harness::OAuthClient { id, secret: Some(secret) };
    app.post_as(&owner, "/oauth/introspect", &[("token", "x")]).await.inactive();
}

/// Fields that attackers who read advisories of other servers try.
fn extra_fields(user_id: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("role", "admin"),
        ("admin", "true"),
        ("email_verified", "true"),
        ("owner_id", user_id),
        ("user_id", user_id),
        ("plan", "unlimited"),
        ("enabled", "true"),
        ("active", "true"),
        ("id", "client_mine"),
        ("client_id", "client_mine"),
        ("client_secret", "chosen"),
        ("secret", "chosen"),
        ("first_party", "true"),
        ("skip_consent", "true"),
        ("require_pkce", "false"),
        ("grant_types", "client_credentials"),
        ("grant_type", "client_credentials"),
        ("api_id", "api_mine"),
        ("refresh_grace_ms", "86400000"),
        ("scopes", "read write"),
        ("kind", "public"),
        ("auth_methods", "none"),
    ]
}

#[tokio::test]
async fn extra_form_fields_are_ignored() {
    // THREATS: SE16
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    let bob = app.user("bob@example.com").await;
    let browser = app.browser();
    let extra = extra_fields(&bob);
    let login = [&[("email", "alice@example.com"), ("password", crate::harness::app::PASSWORD)], extra.as_slice()];
    browser.submit("/login", "/login", &login.concat()).await.status(303);
    let users = "SELECT id FROM users WHERE admin = FALSE AND plan = 'pro' AND disabled_at IS NULL";
    assert_eq!(app.database.column(users).await.len(), 2);

    let (id, secret) = register(&browser, &extra).await;
    assert!(id != "client_mine" && secret != "chosen");
    let about = |client: &grantd::model::client::Client| {
        let uris: Vec<String> = client.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect();
        (client.owner_id.clone(), client.scopes.to_string(), uris, format!("{:?}", client.grant_types))
    };
    let kept = app.app.store.find_client(&id).await.expect("found").expect("a client");
    let grants = "[AuthorizationCode, RefreshToken]".to_owned();
    let expected = (Some(alice.clone()), "read".to_owned(), vec![CALLBACK.to_owned()], grants);
    assert_eq!(about(&kept), expected);
    assert!(!kept.first_party && kept.require_pkce && kept.is_confidential() && kept.api_id.is_none());
    assert_eq!(kept.refresh_grace_ms, 10_000);

    // Changing it sets name, redirect URIs and scopes; not even the type.
    let csrf = browser.get(&format!("/apps/{id}")).await.input("csrf");
    let mut fields = vec![("csrf", csrf.as_str()), ("name", "Renamed"), ("redirect_uris", CALLBACK)];
    fields.extend_from_slice(&[("scope", "read"), ("type", "public")]);
    fields.extend_from_slice(&extra);
    browser.post(&format!("/apps/{id}"), &fields).await.status(303);
    let changed = app.app.store.find_client(&id).await.expect("found").expect("a client");
    assert_eq!((about(&changed), changed.name.as_str()), (expected, "Renamed"));
    assert!(!changed.first_party && changed.require_pkce && changed.is_confidential() && changed.active);

    // Consent: what is allowed is what was requested, not what the form says.
    let client = app.confidential().await;
    let page = browser.follow(browser.get(&flow::authorize_url(&client, &[("scope", "read")])).await).await;
    let (csrf, interaction) = (page.input("csrf"), page.input("interaction"));
    let mut fields = vec![("csrf", csrf.as_str()), ("interaction", &interaction), ("decision", "allow")];
    fields.extend_from_slice(&[("scope", "read write"), ("redirect_uri", "https://evil.example/")]);
    fields.extend_from_slice(&extra);
    let reply = browser.follow(browser.post("/consent", &fields).await).await;
    assert!(reply.location().starts_with(CALLBACK));
    let code = reply.redirect_param("code").expect("a code");
    let answer = flow::exchange(&app, &client, &code).await.json();
    assert_eq!(answer["scope"], "read");
    let token = answer["access_token"].as_str().expect("a token");
    assert_eq!(app.introspect(token).await.active()["sub"], alice);
}

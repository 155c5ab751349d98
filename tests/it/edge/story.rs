//! Owns one long story in which every secret is created, shown or sent, and every auditable event happens.

use grantd::{
    engine::new_key::{self, NewKey},
    model::{api::Algorithm, audit::Origin},
    store::Replacement,
};

use crate::harness::{
    Browser, OAuthClient, Reply, TestApp,
    app::{CALLBACK, PASSWORD},
    flow::{self, VERIFIER},
};

/// What the story created that must not be found later: (what it is, the text).
pub type Secrets = Vec<(&'static str, String)>;

/// Runs the whole story as `alice@example.com`.
pub async fn tell(app: &TestApp) -> Secrets {
    let user = app.user("alice@example.com").await;
    let browser = app.browser();
    let mut secrets: Secrets = vec![
        ("password", PASSWORD.to_owned()),
        ("master key", app.master.text().to_string()),
        ("secret of the resource server", app.api.secret.clone().expect("a secret")),
        ("verifier", VERIFIER.to_owned()),
    ];
    browser
        .submit("/login", "/login", &[("email", "alice@example.com"), ("password", "wr0ng-guess")])
        .await
        .status(401);
    secrets.push(("wrong password", "wr0ng-guess".to_owned()));
    browser.log_in("alice@example.com").await;
    for name in ["__Host-grantd_session", "__Host-grantd_browser", "__Host-grantd_device"] {
        secrets.push(("cookie", browser.cookie(name).expect("a cookie")));
    }
    grants(app, &browser, &mut secrets).await;
    keys(app, &browser, &user, &mut secrets).await;
    apps(&browser, &mut secrets).await;
    refusals(app, &secrets.clone()).await;
    let csrf = browser.get("/settings/keys").await.input("csrf");
    secrets.push(("form token", csrf.clone()));
    browser.post("/logout", &[("csrf", &csrf)]).await.status(303);
    account(app, &user).await;
    secrets
}

async fn grants(app: &TestApp, browser: &Browser<'_>, secrets: &mut Secrets) {
    let client = app.confidential().await;
    let started = browser.get(&flow::authorize_url(&client, &[])).await;
    let interaction = started.location().split_once("interaction=").expect("an interaction").1.to_owned();
    let code = flow::code(browser, &client).await;
    let stranger = app.confidential().await;
    flow::exchange(app, &stranger, &code).await.oauth_error("invalid_grant");
    let first = flow::exchange(app, &client, &code).await;
    let second = flow::refresh(app, &client, &first.text("refresh_token")).await;
    for reply in [&first, &second] {
        secrets.push(("access token", reply.text("access_token")));
        secrets.push(("refresh token", reply.text("refresh_token")));
    }
    app.introspect(&second.text("access_token")).await.active();
    flow::refresh(app, &client, &second.text("refresh_token")).await.status(200);
    app.advance(11);
    flow::refresh(app, &client, &second.text("refresh_token")).await.oauth_error("invalid_grant");
    flow::exchange(app, &client, &code).await.oauth_error("invalid_grant");
    let another = flow::code(browser, &client).await;
    flow::exchange(app, &client, &another).await.status(200);
    flow::exchange(app, &client, &another).await.oauth_error("invalid_grant");
    let (access, refresh) = flow::tokens(browser, &client).await;
    app.post_as(&client, "/oauth/revoke", &[("token", &access)]).await.status(200);
    app.post_as(&client, "/oauth/revoke", &[("token", &refresh)]).await.status(200);
    secrets.push(("access token of the client", app.client_token(&client).await));
    let page = browser.follow(browser.get(&flow::authorize_url(&client, &[("prompt", "consent")])).await).await;
    flow::decide(browser, &page, "deny").await.redirect_error(CALLBACK, "access_denied");
    let csrf = browser.get("/settings/apps").await.input("csrf");
    browser.post(&format!("/settings/apps/{}/revoke", client.id), &[("csrf", &csrf)]).await.status(303);
    secrets.extend([
        ("interaction", interaction),
        ("code", code),
        ("code that was used twice", another),
        ("access token", access),
        ("refresh token", refresh),
        ("client secret", client.secret.expect("a secret")),
    ]);
}

async fn keys(app: &TestApp, browser: &Browser<'_>, user: &str, secrets: &mut Secrets) {
    let page = browser.get("/settings/keys").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let fields = [("csrf", csrf.as_str()), ("form", form.as_str()), ("scope", "read")];
    let key = after(&browser.post("/settings/keys", &fields).await, "gd_live_");
    let id = app.introspect(&key).await.active()["key_id"].as_str().expect("an id").to_owned();
    let old = app.app.store.find_key(&id).await.expect("found").expect("a key");
    let (next, new) = new_key::create(app.now(), &app.app.config, NewKey::like(&old, None)).expect("a key");
    let replacement = Replacement { old_id: id, old_ends_at: None, user_id: None, digest: next.digest(), new };
    assert!(app.app.store.replace_key(app.now(), cli(), replacement).await.expect("replaced"));
    let (id, other) = app.key(user, "read").await;
    browser.post(&format!("/settings/keys/{id}/revoke"), &[("csrf", &csrf)]).await.status(303);
    secrets.extend([("API key", key), ("next API key", next.expose().to_owned()), ("revoked API key", other)]);
}

async fn apps(browser: &Browser<'_>, secrets: &mut Secrets) {
    let page = browser.get("/apps/new").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let about = [("name", "Mine"), ("redirect_uris", CALLBACK), ("scope", "read")];
    let fields = [&[("csrf", csrf.as_str()), ("form", &form), ("type", "confidential")], about.as_slice()].concat();
    let made = browser.post("/apps", &fields).await;
    let (id, secret) = (after(&made, "client_"), after(&made, "gd_secret_"));
    let path = format!("/apps/{id}");
    let page = browser.get(&path).await;
    let renamed = [("csrf", csrf.as_str()), ("name", "Mine still"), about[1], about[2]];
    browser.post(&path, &renamed).await.status(303);
    let form = page.input("form");
    let rotated = browser.post(&format!("{path}/secret"), &[("csrf", &csrf), ("form", &form), ("overlap", "1h")]).await;
    secrets.extend([("secret of an app", secret), ("new secret of an app", after(&rotated, "gd_secret_"))]);
    browser.post(&format!("{path}/delete"), &[("csrf", &csrf)]).await.status(303);
}

async fn refusals(app: &TestApp, secrets: &Secrets) {
    for (what, secret) in secrets {
        app.introspect(secret).await.status(200);
        app.get_as("/v1/users/me", secret).await;
        app.get(&format!("/v1/users/me?api_key={}", urlencoded(secret))).await.status(400);
        app.get(&format!("/nowhere/{}", urlencoded(secret))).await.status(404);
        let impostor = OAuthClient { secret: Some(secret.clone()), ..app.confidential().await };
        let reply = app.post_as(&impostor, "/oauth/token", &[("grant_type", "client_credentials")]).await;
        reply.oauth_error("invalid_client");
        let odd = [("grant_type", secret.as_str()), ("scope", secret), ("resource", secret), ("code", secret)];
        assert!(app.post_as(&app.api, "/oauth/token", &odd).await.status.is_client_error(), "{what}");
    }
    let wrong = OAuthClient { secret: Some("gd_secret_x".to_owned()), ..app.api.clone() };
    app.post_as(&wrong, "/oauth/introspect", &[("token", "x")]).await.oauth_error("invalid_client");
    app.post_as(&wrong, "/oauth/revoke", &[("token", "x")]).await.oauth_error("invalid_client");
    // Enough wrong passwords that the account is locked for a while.
    let browser = app.browser();
    app.user("mallory@example.com").await;
    for _ in 0..=app.app.config.limits.login_failures_per_account {
        let fields = [("email", "mallory@example.com"), ("password", "wr0ng-guess")];
        assert!(browser.submit("/login", "/login", &fields).await.status.is_client_error());
    }
}

async fn account(app: &TestApp, user: &str) {
    let (store, now) = (&app.app.store, app.now());
    store.set_user_active(now, cli(), user.to_owned(), false).await.expect("disabled");
    store.set_user_active(now, cli(), user.to_owned(), true).await.expect("enabled");
    store.set_password(now, cli(), user.to_owned(), "$argon2id$other".to_owned()).await.expect("set");
    let client = app.public().await;
    store.set_client_active(now, cli(), client.id.clone(), false).await.expect("disabled");
    store.set_client_active(now, cli(), client.id, true).await.expect("enabled");
    app.app.signing.rotate(now, cli(), Algorithm::ES256, true).await.expect("rotated");
}

fn cli() -> Origin {
    Origin { actor: "cli".to_owned(), ..Origin::default() }
}

/// The word on a page that begins with `prefix`.
fn after(reply: &Reply, prefix: &str) -> String {
    reply.status(200);
    let at = reply.body.find(prefix).unwrap_or_else(|| panic!("no {prefix}: {}", reply.body));
    reply.body[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

pub fn urlencoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

//! Owns tests of steps that require a recent sign-in or the password again.

use grantd::model::{audit::Origin, client::ClientType};

use super::{element, submit};
use crate::harness::{
    TestApp,
    app::{CALLBACK, PASSWORD},
    flow::authorize_url,
};

#[tokio::test]
async fn new_key_after_ten_minutes_requires_the_password() {
    // THREATS: SE15
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = "/settings/keys";
    let fields = [("name", "Kept name"), ("scope", "read")];
    assert!(!browser.get(page).await.body.contains("name=\"password\""));
    app.advance(601);
    assert!(browser.get(page).await.body.contains("name=\"password\""));
    for wrong in [&[][..], &[("password", "wrong")]] {
        let reply = submit(&browser, page, page, &[&fields[..], wrong].concat()).await;
        reply.page(400);
        assert!(
            !element(&reply, "key-password-error").is_empty() && reply.body.contains("value=\"Kept name\""),
            "{}",
            reply.body
        );
    }
    let reply = submit(&browser, page, page, &[&fields[..], &[("password", PASSWORD)]].concat()).await;
    assert!(element(&reply, "key").starts_with("gd_live_"));
}

#[tokio::test]
async fn new_app_or_secret_after_ten_minutes_requires_the_password() {
    // THREATS: SE15
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    app.advance(601);
    let fields = [("name", "My app"), ("redirect_uris", CALLBACK), ("scope", "read")];
    submit(&browser, "/apps/new", "/apps", &fields).await.page(400);
    let reply = submit(&browser, "/apps/new", "/apps", &[&fields[..], &[("password", PASSWORD)]].concat()).await;
    let path = format!("/apps/{}", element(&reply, "client-id"));
    let rotate = format!("{path}/secret");
    let reply = submit(&browser, &path, &rotate, &[("overlap", "0s")]).await;
    reply.page(400);
    assert!(!element(&reply, "rotate-password-error").is_empty());
    submit(&browser, &path, &rotate, &[("overlap", "0s"), ("password", PASSWORD)]).await.page(200);
}

#[tokio::test]
async fn guesses_on_sensitive_forms_count_as_sign_in_guesses() {
    // THREATS: SE8
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    app.advance(601);
    let page = "/settings/keys";
    for _ in 0..10 {
        submit(&browser, page, page, &[("scope", "read"), ("password", "guess")]).await.page(400);
    }
    let reply = submit(&browser, page, page, &[("scope", "read"), ("password", PASSWORD)]).await;
    assert!(element(&reply, "key-password-error").contains("Too many attempts"), "{}", reply.body);
    let fields = [("email", "ada@example.com"), ("password", PASSWORD)];
    let csrf = browser.get(page).await.input("csrf");
    browser.post("/logout", &[("csrf", &csrf)]).await.status(303);
    browser.submit("/login", "/login", &fields).await.page(429);
}

#[tokio::test]
async fn changing_or_deleting_an_app_after_ten_minutes_requires_the_password() {
    // THREATS: SE15
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let fields = [("name", "My app"), ("redirect_uris", CALLBACK), ("scope", "read")];
    let made = submit(&browser, "/apps/new", "/apps", &fields).await;
    let path = format!("/apps/{}", element(&made, "client-id"));
    app.advance(601);
    let moved = [("name", "My app"), ("redirect_uris", "https://evil.example/x"), ("scope", "read")];
    for wrong in [&[][..], &[("password", "wrong")]] {
        let reply = browser.submit(&path, &path, &[&moved[..], wrong].concat()).await;
        reply.page(400);
        assert!(!element(&reply, "details-password-error").is_empty(), "{}", reply.body);
        let reply = browser.submit(&path, &format!("{path}/delete"), wrong).await;
        reply.page(400);
        assert!(!element(&reply, "delete-password-error").is_empty(), "{}", reply.body);
    }
    assert!(!browser.get(&path).await.body.contains("evil.example"));
    // A form without changes needs no password.
    browser.submit(&path, &path, &fields).await.status(303);
    let proof = ("password", PASSWORD);
    browser.submit(&path, &path, &[&moved[..], &[proof]].concat()).await.status(303);
    assert!(browser.get(&path).await.body.contains("evil.example"));
    browser.submit(&path, &format!("{path}/delete"), &[proof]).await.status(303);
    browser.get(&path).await.page(404);
}

#[tokio::test]
async fn changing_a_project_after_ten_minutes_requires_the_password() {
    // THREATS: SE15
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let made = submit(&browser, "/settings/projects", "/settings/projects", &[("name", "Harbor")]).await;
    let path = made.location().split('?').next().expect("a path").to_owned();
    app.advance(601);
    let (disable, enable, proof) = (format!("{path}/disable"), format!("{path}/enable"), ("password", PASSWORD));
    let renamed = [("name", "Port"), ("one_live_key", "yes")];
    let reply = browser.submit(&path, &path, &renamed).await;
    reply.page(400);
    assert!(!element(&reply, "settings-password-error").is_empty(), "{}", reply.body);
    browser.submit(&path, &disable, &[]).await.page(400);
    assert!(!browser.get(&path).await.body.contains("Port"));
    browser.submit(&path, &path, &[&renamed[..], &[proof]].concat()).await.status(303);
    browser.submit(&path, &disable, &[proof]).await.status(303);
    browser.submit(&path, &enable, &[]).await.page(400);
    browser.submit(&path, &enable, &[("password", "wrong")]).await.page(400);
    assert!(browser.get(&path).await.body.contains("This project is disabled"));
    browser.submit(&path, &enable, &[proof]).await.status(303);
}

#[tokio::test]
async fn form_sent_during_a_password_reset_changes_nothing() {
    // THREATS: SE15
    let app = TestApp::new().await;
    let user = app.user("ada@example.com").await;
    let (key, _) = app.key(&user, "read").await;
    let client = app.client(ClientType::Confidential, |client| client.owner_id = Some(user.clone())).await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = browser.get("/settings/keys").await;
    let csrf = page.input("csrf");
    let asked = browser.follow(browser.get(&authorize_url(&client, &[])).await).await;
    let (interaction, seen) = (asked.input("interaction"), asked.input("seen"));
    let key_page = format!("/settings/keys/{key}");
    let app_page = format!("/apps/{}", client.id);
    let details = [("name", "Changed"), ("redirect_uris", CALLBACK), ("scope", "read")];
    let consent = [("interaction", interaction.as_str()), ("seen", &seen), ("decision", "allow")];
    let forms = [
        ("/settings/keys".to_owned(), &[("name", "New"), ("scope", "read")][..]),
        (format!("{key_page}/regenerate"), &[]),
        (format!("{key_page}/rotate"), &[("overlap", "24h")]),
        (format!("{key_page}/networks"), &[("networks", "192.0.2.0/24")]),
        (format!("{key_page}/revoke"), &[]),
        ("/apps".to_owned(), &details),
        (app_page.clone(), &details),
        (format!("{app_page}/secret"), &[("overlap", "24h")]),
        (format!("{app_page}/delete"), &[]),
        ("/settings/projects".to_owned(), &[("name", "New")]),
        ("/consent".to_owned(), &consent),
    ];
    let before = (state(&app, &user, &client.id).await, app.audit().await.len());
    // Another node sets the password: whether or not this one has seen it, the session is over.
    let elsewhere = app.beside().await;
    let hash = app.hash("kestrel over a quiet lake").await;
    let set = elsewhere.app.store.set_password(app.now(), Origin::default(), user.clone(), hash).await;
    assert!(set.expect("an answer"));
    for (number, (action, fields)) in forms.iter().enumerate() {
        let id = page.input("form");
        let form = [("csrf", csrf.as_str()), ("form", &id)];
        let reply = browser.post(action, &[&form[..], fields].concat()).await;
        let is_refused = reply.status.as_u16() == 403 || reply.location() == "/login" || action == "/consent";
        assert!(is_refused, "{number} {action}: {} {}", reply.status, reply.body);
    }
    let after = (state(&app, &user, &client.id).await, app.audit().await.len());
    assert_eq!(after, (before.0, before.1 + 1), "the new password alone");
}

/// Everything that a user's forms could change.
async fn state(app: &TestApp, user: &str, client: &str) -> String {
    let store = &app.app.store;
    let keys = store.list_keys(app.now(), user, None).await.expect("keys");
    let apps = store.list_clients(user, 100).await.expect("apps");
    let secrets = store.find_client(client).await.expect("a look").map(|client| client.secrets.len());
    let consent = store.find_consent(user, client).await.expect("a look");
    let projects = store.list_projects(user).await.expect("projects").len();
    format!("{keys:?} {apps:?} {secrets:?} {consent:?} {projects}")
}

//! Owns tests of API keys on their owner's page: AK2, AK5, AK16, AK18.

use std::fs;

use crate::harness::{Browser, Captured, Reply, TestApp};

/// Sends the form of the keys page with these additional fields.
async fn generate(browser: &Browser<'_>, fields: &[(&str, &str)]) -> Reply {
    let page = browser.get("/settings/keys").await;
    page.status(200);
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let mut all = vec![("csrf", csrf.as_str()), ("form", form.as_str())];
    all.extend_from_slice(fields);
    browser.post("/settings/keys", &all).await
}

/// The key shown on a page.
fn shown(reply: &Reply) -> String {
    reply.status(200);
    let at = reply.body.find("gd_live_").expect("a key");
    reply.body[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

async fn kept(app: &TestApp) -> usize {
    app.database.column("SELECT id FROM api_keys").await.len()
}

#[tokio::test]
async fn keys_are_shown_once_and_never_again() {
    // THREATS: AK2 SR2
    let app = TestApp::configured(&[], |config| config.metrics_token = "m3trics".to_owned().into()).await;
    let log = Captured::start();
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let page = browser.get("/settings/keys").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let fields = [("csrf", csrf.as_str()), ("form", form.as_str()), ("scope", "read"), ("name", "Backup")];
    let reply = browser.post("/settings/keys", &fields).await;
    let key = shown(&reply);
    assert_eq!(key.len(), 50, "{key}");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(!format!("{:?}", reply.headers).contains(&key), "not in a header, so not in a cookie or a URL");
    app.introspect(&key).await.active();
    app.get_as("/v1/users/me", &key).await.status(200);

    // Sending the same form again creates and shows nothing; nor does any later page.
    let again = browser.post("/settings/keys", &fields).await;
    again.status(409);
    assert_eq!(kept(&app).await, 1);
    let list = browser.get("/settings/keys").await;
    let hint = &key[key.len() - 4..];
    assert!(list.body.contains(&format!("gd_live_…{hint}")), "prefix and last four are shown");
    app.get_as("/v1/users/me", &format!("{key}x")).await.status(401);
    app.audit().await;
    let metrics = app.get_as("/metrics", "m3trics").await;
    metrics.status(200);
    let mut places = vec![again.body, list.body, app.database.dump().await, log.text(), metrics.body];
    places.push(format!("{:?}", app.app));
    if !app.database.is_postgres() {
        let copy = app.database.dir.path().join("backup.db");
        app.app.store.backup(&copy).expect("a backup");
        places.push(String::from_utf8_lossy(&fs::read(copy).expect("a file")).into_owned());
    }
    assert!(log.text().contains("/settings/keys"), "the log is captured");
    for place in places {
        assert!(!place.contains(&key) && !place.contains(&key[8..44]), "{}", &place[..200.min(place.len())]);
    }
}

#[tokio::test]
async fn keys_are_created_only_by_the_users_own_form() {
    // THREATS: AK5 SE16
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    let bob = app.user("bob@example.com").await;
    let extra = [
        ("scope", "read"),
        ("user_id", bob.as_str()),
        ("userId", &bob),
        ("owner_id", &bob),
        ("sub", &bob),
        ("id", "key_mine"),
        ("permissions", "write"),
        ("scopes", "write"),
        ("rateLimit", "1000000"),
        ("remaining", "1000000"),
        ("plan", "unlimited"),
        ("uses", "-5"),
        ("created_at", "0"),
        ("revoked_at", "0"),
        ("digest", "x"),
        ("prefix", "root"),
        ("expires_at", "0"),
        ("admin", "true"),
    ];
    // Without a session.
    let reply = app.browser().post("/settings/keys", &extra).await;
    assert_eq!(reply.location(), "/login");
    assert_eq!(kept(&app).await, 0);
    // With a session, but with a form that was shown to another user.
    let (ours, theirs) = (app.browser(), app.browser());
    ours.log_in("alice@example.com").await;
    theirs.log_in("bob@example.com").await;
    let page = theirs.get("/settings/keys").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    ours.post("/settings/keys", &[("csrf", &csrf), ("form", &form), ("scope", "read")]).await.page(403);
    let own = ours.get("/settings/keys").await.input("csrf");
    ours.post("/settings/keys", &[("csrf", &own), ("form", &form), ("scope", "read")]).await.page(403);
    ours.post("/settings/keys", &[("csrf", &own), ("form", "key_mine"), ("scope", "read")]).await.page(403);
    ours.post("/settings/keys", &[("csrf", &own), ("scope", "read")]).await.page(403);
    assert_eq!(kept(&app).await, 0);
    // Extra fields of the form are ignored.
    let key = shown(&generate(&ours, &extra).await);
    let answer = app.introspect(&key).await.active();
    assert_eq!((&answer["sub"], &answer["scope"], &answer["plan"]), (&alice.into(), &"read".into(), &"pro".into()));
    let id = answer["key_id"].as_str().expect("an id");
    assert!(id.starts_with("key_") && id != "key_mine");
    let row = app.database.column("SELECT prefix FROM api_keys WHERE uses = 0 AND revoked_at IS NULL").await;
    assert_eq!(row, ["gd_live_"]);
    // A repeated field could be read in two ways.
    for twice in ["name", "environment", "expires_in"] {
        generate(&ours, &[("scope", "read"), (twice, "live"), (twice, "test")]).await.page(400);
    }
    assert_eq!(kept(&app).await, 1);
}

#[tokio::test]
async fn users_see_and_revoke_only_their_own_keys() {
    // THREATS: AK16
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    app.user("bob@example.com").await;
    let (id, key) = app.key_with(&alice, "read", |key| key.name = "Harbor telemetry".to_owned()).await;
    let (second_id, _) = app.key(&alice, "read").await;
    let bob = app.browser();
    bob.log_in("bob@example.com").await;
    let page = bob.get("/settings/keys").await;
    page.status(200);
    assert!(!page.body.contains(&id) && !page.body.contains("Harbor telemetry"));
    let csrf = page.input("csrf");
    // Keys of another user and unknown ones look alike.
    let unknown = bob.post("/settings/keys/key_00000000000000000000/revoke", &[("csrf", &csrf)]).await;
    unknown.page(404);
    let others = bob.post(&format!("/settings/keys/{id}/revoke"), &[("csrf", &csrf)]).await;
    others.page(404);
    let words = |reply: &Reply| reply.body.replace(reply.header("x-request-id"), "");
    assert_eq!(words(&others), words(&unknown));
    app.introspect(&key).await.active();
    // Ids cannot be enumerated.
    assert!(id.len() >= 24 && id[..10] != second_id[..10], "{id} {second_id}");
    let own = app.browser();
    own.log_in("alice@example.com").await;
    let page = own.get("/settings/keys").await;
    assert!(page.body.contains("Harbor telemetry"));
    own.post(&format!("/settings/keys/{id}/revoke"), &[("csrf", &csrf)]).await.page(403);
    own.get(&format!("/settings/keys/{id}/revoke")).await.status(405);
    app.introspect(&key).await.active();
    let csrf = page.input("csrf");
    own.post(&format!("/settings/keys/{id}/revoke"), &[("csrf", &csrf)]).await.status(303);
    app.introspect(&key).await.inactive();
}

#[tokio::test]
async fn keys_need_valid_scopes() {
    // THREATS: AK18
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let cases: [&[(&str, &str)]; 8] = [
        &[],
        &[("scope", "")],
        &[("scope", " ")],
        &[("scope", "unknown")],
        &[("scope", "read"), ("scope", "unknown")],
        &[("scope", "READ")],
        &[("scope", "*")],
        &[("scope", "all"), ("scope", "read")],
    ];
    for fields in cases {
        let reply = generate(&browser, fields).await;
        reply.status(400);
        assert!(reply.body.contains("The key was not created"), "{fields:?}");
        assert!(!reply.body.contains("gd_live_"));
    }
    for (environment, expires_in) in
        [("prod", "never"), ("live", "0s"), ("live", "-1d"), ("live", "soon"), ("live", "99999d")]
    {
        let fields = [("scope", "read"), ("environment", environment), ("expires_in", expires_in)];
        let reply = generate(&browser, &fields).await;
        assert_eq!(reply.status.as_u16(), 400, "{environment} {expires_in}");
    }
    assert_eq!(kept(&app).await, 0);
    // Scopes must be requested explicitly.
    let key = shown(&generate(&browser, &[("scope", "all")]).await);
    assert_eq!(app.introspect(&key).await.active()["scope"], "read write");
    let key = shown(&generate(&browser, &[("scope", "read")]).await);
    assert_eq!(app.introspect(&key).await.active()["scope"], "read");
    // Also below the page.
    let catalog = app.app.catalog.current();
    for names in [vec![], vec![String::new()], vec!["unknown".to_owned()], vec!["read".to_owned(), "all".to_owned()]] {
        assert!(catalog.choose(&names).is_err(), "{names:?}");
    }
}

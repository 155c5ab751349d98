//! Owns tests of `/settings/keys/{id}`: viewing one key, limiting it, replacing it.

use axum::{
    body::Body,
    http::{Request, header},
};
use grantd::model::project::Project;

use super::{element, submit};
use crate::harness::{Browser, Reply, TestApp, app::PASSWORD};

const LIST: &str = "/settings/keys";

fn page(id: &str) -> String {
    format!("{LIST}/{id}")
}

/// Ada with a key "Nightly backup", signed in.
async fn ada(app: &TestApp) -> (Browser<'_>, String, String) {
    let user = app.user("ada@example.com").await;
    let (id, key) = app.key_with(&user, "read", |key| key.name = "Nightly backup".to_owned()).await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    (browser, id, key)
}

/// Calls the API with a key, from an address and with a user agent.
async fn call(app: &TestApp, from: &str, key: &str) -> Reply {
    let request = Request::get("/v1/users/me")
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::USER_AGENT, "<b>backup</b>/2.1");
    app.send_from(from, request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn regeneration_replaces_the_key_immediately() {
    // THREATS: AK2
    let app = TestApp::new().await;
    let (browser, id, old) = ada(&app).await;
    app.introspect(&old).await.active();
    let reply = submit(&browser, &page(&id), &format!("{}/regenerate", page(&id)), &[]).await;
    reply.page(200);
    assert_eq!(reply.header("cache-control"), "no-store");
    let new = element(&reply, "key");
    assert!(!format!("{:?}", reply.headers).contains(&new), "in no header, so in no URL or cookie");
    assert!(element(&reply, "before").contains("no longer works"), "{}", reply.body);
    app.introspect(&old).await.inactive();
    let answer = app.introspect(&new).await.active();
    assert_eq!((&answer["scope"], &answer["environment"]), (&"read".into(), &"live".into()));
    let new_page = browser.get(&page(answer["key_id"].as_str().expect("an id"))).await;
    assert!(new_page.body.contains("Nightly backup") && !new_page.body.contains(&new), "shown again");
    let old_page = browser.get(&page(&id)).await;
    assert!(old_page.body.contains("revoked") && !old_page.body.contains("Save networks"), "{}", old_page.body);
    assert!(old_page.body.contains("was regenerated"), "{}", old_page.body);
}

#[tokio::test]
async fn rotation_keeps_the_old_key_for_the_overlap() {
    // THREATS: AK11
    let app = TestApp::new().await;
    let (browser, id, old) = ada(&app).await;
    let action = format!("{}/rotate", page(&id));
    for wrong in [&[][..], &[("overlap", "2h")], &[("overlap", "0s")], &[("overlap", "31d")], &[("overlap", "-1h")]] {
        submit(&browser, &page(&id), &action, wrong).await.page(400);
    }
    let before = browser.get(&page(&id)).await;
    let (csrf, form) = (before.input("csrf"), before.input("form"));
    let reply = submit(&browser, &page(&id), &action, &[("overlap", "1h")]).await;
    let new = element(&reply, "key");
    assert!(element(&reply, "before").contains("until 21 Nov 2026, 01:00 UTC"), "{}", reply.body);
    app.introspect(&old).await.active();
    app.introspect(&new).await.active();
    // The two link to each other, and there can be only one successor.
    let (shown, list) = (browser.get(&page(&id)).await.body, browser.get("/settings/keys").await.body);
    assert!(shown.contains("This key was replaced") && !shown.contains(&format!("action=\"{action}\"")), "{shown}");
    for words in ["Replaced by", "Replaces", "being replaced"] {
        assert!(list.contains(words), "{words}: {list}");
    }
    let again = browser.post(&action, &[("csrf", &csrf), ("form", &form), ("overlap", "1h")]).await;
    again.page(409);
    assert!(again.body.contains("was already replaced"), "{}", again.body);
    app.advance(3601);
    app.introspect(&old).await.inactive();
    app.introspect(&new).await.active();
}

#[tokio::test]
async fn repeated_form_replaces_once_and_shows_no_key_again() {
    // THREATS: AK2
    let app = TestApp::new().await;
    let (browser, id, _) = ada(&app).await;
    let shown = browser.get(&page(&id)).await;
    let (csrf, form) = (shown.input("csrf"), shown.input("form"));
    for (action, overlap) in [("regenerate", ""), ("rotate", "24h"), ("regenerate", "")] {
        let fields = [("csrf", csrf.as_str()), ("form", &form), ("overlap", overlap)];
        let reply = browser.post(&format!("{}/{action}", page(&id)), &fields).await;
        if reply.status.as_u16() == 200 {
            app.introspect(&element(&reply, "key")).await.active();
            continue;
        }
        reply.page(409);
        assert!(reply.body.contains("already sent") && reply.body.contains("active"), "{}", reply.body);
        assert!(!reply.body.contains("id=\"key\""), "{}", reply.body);
    }
    assert_eq!(app.database.column("SELECT id FROM api_keys").await.len(), 2);
}

#[tokio::test]
async fn replacing_a_key_requires_a_recent_sign_in() {
    // THREATS: SE15
    let app = TestApp::new().await;
    let (browser, id, key) = ada(&app).await;
    app.advance(601);
    for (action, prefix) in [("regenerate", "regenerate"), ("rotate", "rotate")] {
        let action = format!("{}/{action}", page(&id));
        for wrong in ["", "wrong"] {
            let fields = [("overlap", "1h"), ("password", wrong)];
            let reply = submit(&browser, &page(&id), &action, &fields).await;
            reply.page(400);
            assert!(!element(&reply, &format!("{prefix}-password-error")).is_empty(), "{}", reply.body);
            assert!(reply.body.contains("Nothing was changed"), "{}", reply.body);
        }
        app.introspect(&key).await.active();
    }
    assert_eq!(app.database.column("SELECT id FROM api_keys").await.len(), 1);
    let fields = [("password", PASSWORD)];
    let reply = submit(&browser, &page(&id), &format!("{}/regenerate", page(&id)), &fields).await;
    app.introspect(&element(&reply, "key")).await.active();
}

#[tokio::test]
async fn form_cannot_widen_the_successor() {
    // THREATS: SE16 AK5
    let app = TestApp::new().await;
    let (browser, id, _) = ada(&app).await;
    let bob = app.user("bob@example.com").await;
    let extra = [
        ("scope", "write"),
        ("user_id", bob.as_str()),
        ("plan", "enterprise"),
        ("environment", "test"),
        ("networks", "0.0.0.0/0"),
        ("expires_in", "never"),
        ("project", "project_x"),
        ("id", "key_mine"),
    ];
    let reply = submit(&browser, &page(&id), &format!("{}/regenerate", page(&id)), &extra).await;
    let answer = app.introspect(&element(&reply, "key")).await.active();
    assert_eq!((&answer["scope"], &answer["plan"]), (&"read".into(), &"pro".into()));
    assert_eq!(answer["environment"], "live");
    assert!(answer["sub"] != bob && answer["key_id"] != "key_mine");
}

#[tokio::test]
async fn networks_apply_immediately_and_malformed_ones_change_nothing() {
    // THREATS: AK12
    let app = TestApp::new().await;
    let (browser, id, key) = ada(&app).await;
    let action = format!("{}/networks", page(&id));
    call(&app, "198.51.100.9", &key).await.status(200);
    for bad in ["192.0.2.0/33", "192.0.2.7/24", "example.com", "0/0", "192.0.2.0/24 nonsense", "<script>"] {
        let reply = browser.submit(&page(&id), &action, &[("networks", bad)]).await;
        reply.page(400);
        assert!(!element(&reply, "key-networks-error").is_empty() && reply.body.contains("Nothing was changed"));
        assert!(!reply.body.contains("<script>"), "{}", reply.body);
    }
    // A missing field is not an empty one.
    browser.submit(&page(&id), &action, &[]).await.page(400);
    call(&app, "198.51.100.9", &key).await.status(200);
    let reply = browser.submit(&page(&id), &action, &[("networks", "192.0.2.0/24\r\n2001:db8::/32")]).await;
    let saved = browser.follow(reply).await;
    assert!(saved.body.contains("works only from these 2 networks"), "{}", saved.body);
    assert!(saved.body.contains("192.0.2.0/24\n2001:db8::/32</textarea>"), "{}", saved.body);
    call(&app, "198.51.100.9", &key).await.status(401);
    call(&app, "192.0.2.200", &key).await.status(200);
    let reply = browser.submit(&page(&id), &action, &[("networks", "")]).await;
    assert!(browser.follow(reply).await.body.contains("works from anywhere"));
    call(&app, "198.51.100.9", &key).await.status(200);
    assert_eq!(app.audit().await.iter().filter(|event| *event == "key.networks").count(), 2);
}

#[tokio::test]
async fn widening_networks_requires_a_recent_sign_in() {
    // THREATS: SE15 AK12
    let app = TestApp::new().await;
    let (browser, id, key) = ada(&app).await;
    let action = format!("{}/networks", page(&id));
    let save = async |networks: &str, password: &str| {
        let fields = [("networks", networks), ("password", password)];
        submit(&browser, &page(&id), &action, &fields[..1 + usize::from(!password.is_empty())]).await
    };
    app.advance(601);
    assert!(!browser.get(&page(&id)).await.body.contains("networks-password"), "anything is narrower than anywhere");
    save("192.0.2.0/24 198.51.100.0/24", "").await.status(303);
    assert!(browser.get(&page(&id)).await.body.contains("id=\"networks-password\""));
    save("192.0.2.0/25", "").await.status(303);
    for wider in ["", "192.0.2.0/24", "192.0.2.0/25 203.0.113.1"] {
        for password in ["", "wrong"] {
            let reply = save(wider, password).await;
            reply.page(400);
            assert!(!element(&reply, "networks-password-error").is_empty(), "{wider}: {}", reply.body);
            assert!(reply.body.contains(&format!(">{wider}</textarea>")), "{wider}: {}", reply.body);
        }
    }
    call(&app, "203.0.113.1", &key).await.status(401);
    save("192.0.2.0/25 203.0.113.1", PASSWORD).await.status(303);
    call(&app, "203.0.113.1", &key).await.status(200);
    // An expired key cannot be changed.
    app.app.store.revoke_key(app.now(), Default::default(), id.clone(), None).await.expect("revoked");
    let reply = browser.submit(LIST, &action, &[("networks", "192.0.2.0/25")]).await;
    assert!(reply.page(409).body.contains("no longer works"), "{}", reply.body);
}

#[tokio::test]
async fn new_key_form_accepts_networks_and_marks_malformed_ones() {
    // THREATS: AK12
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let fields = [("scope", "read"), ("name", "Bounded"), ("networks", "10.0.0.7/8")];
    let reply = submit(&browser, LIST, LIST, &fields).await;
    reply.page(400);
    assert!(element(&reply, "key-networks-error").contains("use 10.0.0.0/8 instead"), "{}", reply.body);
    assert!(reply.body.contains(">10.0.0.7/8</textarea>") && reply.body.contains("value=\"Bounded\""));
    assert!(app.database.column("SELECT id FROM api_keys").await.is_empty());
    let fields = [("scope", "read"), ("name", "Bounded"), ("networks", "10.0.0.0/8")];
    let key = element(&submit(&browser, LIST, LIST, &fields).await, "key");
    call(&app, "192.0.2.1", &key).await.status(401);
    call(&app, "10.1.2.3", &key).await.status(200);
    assert!(browser.get(LIST).await.body.contains("10.0.0.0/8"));
}

#[tokio::test]
async fn key_page_shows_usage_networks_events_and_refusals() {
    let app = TestApp::new().await;
    let (browser, id, key) = ada(&app).await;
    call(&app, "192.0.2.9", &key).await.status(200);
    app.app.background.flush().await.expect("flushed");
    call(&app, "203.0.113.5", &key).await.status(200);
    let bounded = [("networks", "203.0.113.0/24")];
    browser.submit(&page(&id), &format!("{}/networks", page(&id)), &bounded).await.status(303);
    let refused = call(&app, "192.0.2.9", &key).await;
    refused.status(401);
    app.app.background.flush().await.expect("flushed");
    let shown = browser.get(&page(&id)).await;
    shown.page(200);
    for words in [
        "2 allowed, 1 denied, 0 limited; at most 3 in one hour",
        "2 allowed, 1 denied, 0 limited; at most 3 in one day",
        "<code>192.0.2.0/24</code>",
        "<code>203.0.113.0/24</code>",
        "was used for the first time",
        "was used from a new network",
        "The allowed networks of ",
        "from 203.0.113.5",
        "&#60;b&#62;backup&#60;/b&#62;/2.1",
        "not in the key",
        refused.header("x-request-id"),
    ] {
        assert!(shown.body.contains(words), "{words}: {}", shown.body);
    }
    assert!(!shown.body.contains("<b>backup"), "{}", shown.body);
    let list = browser.get(LIST).await;
    assert!(list.body.contains("from 203.0.113.5") && list.body.contains(&format!("href=\"{}\"", page(&id))));
}

#[tokio::test]
async fn keys_of_other_users_cannot_be_seen_or_changed() {
    // THREATS: AK16
    let app = TestApp::new().await;
    let (browser, id, key) = ada(&app).await;
    app.user("eve@example.com").await;
    let eve = app.browser();
    eve.log_in("eve@example.com").await;
    let same = |one: &Reply, other: &Reply| {
        let words = |reply: &Reply| reply.body.replace(reply.header("x-request-id"), "");
        assert_eq!((one.status.as_u16(), words(one)), (404, words(other)));
    };
    same(&eve.get(&page(&id)).await, &eve.get(&page("key_missing")).await);
    for action in ["networks", "regenerate", "rotate", "revoke"] {
        let fields = [("networks", "10.0.0.0/8"), ("overlap", "1h")];
        let theirs = submit(&eve, LIST, &format!("{}/{action}", page(&id)), &fields).await;
        let nobodys = submit(&eve, LIST, &format!("{}/{action}", page("key_missing")), &fields).await;
        same(&theirs, &nobodys);
        // A form that was shown to another user does not work either.
        let csrf = eve.get(LIST).await.input("csrf");
        browser.post(&format!("{}/{action}", page(&id)), &[("csrf", &csrf)]).await.page(403);
        browser.post(&format!("{}/{action}", page(&id)), &fields).await.page(403);
        browser.get(&format!("{}/{action}", page(&id))).await.status(405);
        assert_eq!(app.post(&format!("{}/{action}", page(&id)), &fields).await.location(), "/login");
    }
    call(&app, "192.0.2.9", &key).await.status(200);
    assert_eq!(app.database.column("SELECT id FROM api_keys").await.len(), 1);
}

#[tokio::test]
async fn form_offers_the_configured_environments() {
    let app = TestApp::configured(&[], |config| {
        config.environments = ["development", "staging", "production", "live"].map(ToOwned::to_owned).to_vec();
    })
    .await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let shown = browser.get(LIST).await.body;
    assert!(shown.contains("value=\"development\" selected>Development"), "{shown}");
    let reply = submit(&browser, LIST, LIST, &[("scope", "read"), ("environment", "staging")]).await;
    let key = element(&reply, "key");
    assert!(key.starts_with("gd_staging_"), "{key}");
    assert_eq!(app.introspect(&key).await.active()["environment"], "staging");
    submit(&browser, LIST, LIST, &[("scope", "read"), ("environment", "test")]).await.page(400);
    let key = element(&submit(&browser, LIST, LIST, &[("scope", "read")]).await, "key");
    assert!(key.starts_with("gd_development_"), "the first is what a key is for when nobody says: {key}");
}

#[tokio::test]
async fn key_of_a_single_key_project_has_no_overlap() {
    let app = TestApp::new().await;
    let user = app.user("ada@example.com").await;
    let project = Project {
        id: "project_1".to_owned(),
        user_id: user.clone(),
        name: "Grid".to_owned(),
        key_form: grantd::model::key::KeyForm::Uuid,
        one_live_key: true,
        key_terms: Default::default(),
        plan: None,
        disabled_by: None,
        created_at: app.now(),
    };
    let origin = grantd::model::audit::Origin::default();
    app.app.store.insert_project(app.now(), origin, project.clone()).await.expect("a project");
    let (id, key) = app.key_with(&user, "read", |key| key.project = Some(project)).await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    app.app.catalog.reload().await.expect("told of the first UUID");
    assert!(!browser.get(&page(&id)).await.body.contains("name=\"overlap\""));
    let reply = submit(&browser, &page(&id), &format!("{}/rotate", page(&id)), &[("overlap", "1h")]).await;
    reply.page(409);
    assert!(reply.body.contains("allows one active key"), "{}", reply.body);
    app.introspect(&key).await.active();
}

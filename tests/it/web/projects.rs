//! Owns tests of `/settings/projects` and `/settings/projects/{id}`.

use super::{element, submit};
use crate::harness::{Browser, Reply, TestApp};

const LIST: &str = "/settings/projects";

/// Creates a project on the page; returns its path.
async fn make(browser: &Browser<'_>, fields: &[(&str, &str)]) -> String {
    let reply = submit(browser, LIST, LIST, fields).await;
    let path = reply.location();
    path.strip_suffix("?done=made").unwrap_or_else(|| panic!("{path}")).to_owned()
}

async fn signed_in<'a>(app: &'a TestApp, email: &str) -> Browser<'a> {
    app.user(email).await;
    let browser = app.browser();
    browser.log_in(email).await;
    browser
}

#[tokio::test]
async fn project_page_shows_its_keys() {
    let app = TestApp::new().await;
    let ada = signed_in(&app, "ada@example.com").await;
    assert!(ada.get(LIST).await.body.contains("No projects yet"));
    assert!(!ada.get("/settings/keys").await.body.contains("name=\"project\""), "nothing to choose from");
    let path = make(&ada, &[("name", "North harbor"), ("key_form", "prefixed")]).await;
    let details = ada.get(&path).await;
    assert!(details.body.contains("North harbor") && details.body.contains("Project details"), "{}", details.body);
    let fields = [("name", "Buoy"), ("scope", "read"), ("environment", "live")];
    let key = element(&submit(&ada, &path, &format!("{path}/keys"), &fields).await, "key");
    let answer = app.introspect(&key).await.active();
    assert_eq!(answer["project"], path.rsplit('/').next().expect("an id"), "{answer}");
    // It can be chosen on the page of all keys, and the list shows each key's project.
    let id = path.rsplit('/').next().expect("an id");
    let fields = [("name", "Second"), ("scope", "read"), ("project", id)];
    let second = element(&submit(&ada, "/settings/keys", "/settings/keys", &fields).await, "key");
    assert_eq!(app.introspect(&second).await.active()["project"], id);
    let details = ada.get(&path).await;
    assert!(details.body.contains("<bdi>Buoy</bdi>") && details.body.contains("<bdi>Second</bdi>"));
    assert!(ada.get("/settings/keys").await.body.contains("<bdi>North harbor</bdi></a>"));
    assert!(ada.get(LIST).await.body.contains("2 active keys"));
}

#[tokio::test]
async fn single_uuid_key_is_replaced_immediately() {
    let app = TestApp::new().await;
    let ada = signed_in(&app, "ada@example.com").await;
    let path = make(&ada, &[("name", "Grid 7"), ("key_form", "uuid"), ("one_live_key", "yes")]).await;
    let first = submit(&ada, &path, &format!("{path}/keys"), &[("scope", "read")]).await;
    let old = element(&first, "key");
    assert!(old.len() == 36 && old.matches('-').count() == 4, "{old}");
    app.get_as("/v1/users/me", &old).await.status(200);
    let details = ada.get(&path).await;
    assert!(!details.body.contains("Generate new key") && details.body.contains("Regenerate API Key"));
    // Nor on the other page, nor by a form that was opened before.
    let id = path.rsplit('/').next().expect("an id");
    let fields = [("scope", "read"), ("project", id)];
    let refused = submit(&ada, "/settings/keys", "/settings/keys", &fields).await;
    refused.page(400);
    assert!(element(&refused, "key-project-error").contains("allows one active key"), "{}", refused.body);
    let refused = submit(&ada, &path, &format!("{path}/keys"), &[("scope", "read")]).await;
    refused.page(400);
    assert!(refused.body.contains("allows one active key"), "{}", refused.body);
    // The button of the details page.
    let at = details.body.find("/regenerate\"").expect("a form");
    let start = details.body[..at].rfind("/settings/keys/").expect("its action");
    let action = details.body[start..at].to_owned() + "/regenerate";
    let new = element(&submit(&ada, &path, &action, &[]).await, "key");
    assert!(new.len() == 36 && new != old);
    app.get_as("/v1/users/me", &old).await.status(401);
    app.get_as("/v1/users/me", &new).await.status(200);
}

#[tokio::test]
async fn repeated_form_creates_one_project() {
    let app = TestApp::new().await;
    let ada = signed_in(&app, "ada@example.com").await;
    let page = ada.get(LIST).await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let fields = [("csrf", csrf.as_str()), ("form", &form), ("name", "Once")];
    let first = ada.post(LIST, &fields).await.location();
    assert_eq!(ada.post(LIST, &fields).await.location(), first.replace("?done=made", ""));
    assert_eq!(app.database.column("SELECT id FROM projects").await.len(), 1);
}

#[tokio::test]
async fn project_form_marks_errors_and_creates_nothing() {
    let app = TestApp::new().await;
    let ada = signed_in(&app, "ada@example.com").await;
    make(&ada, &[("name", "Taken")]).await;
    for (name, status) in [("", 400), ("a\u{202E}b", 400), ("Taken", 409)] {
        let reply = submit(&ada, LIST, LIST, &[("name", name), ("key_form", "uuid"), ("one_live_key", "yes")]).await;
        reply.page(status);
        assert!(!element(&reply, "project-name-error").is_empty(), "{}", reply.body);
        assert!(reply.body.contains("value=\"uuid\" checked") && reply.body.contains("value=\"yes\" checked"));
    }
    for key_form in ["imported", "UUID", "x"] {
        submit(&ada, LIST, LIST, &[("name", "New"), ("key_form", key_form)]).await.page(400);
    }
    let page = ada.get(LIST).await;
    let csrf = page.input("csrf");
    ada.post(LIST, &[("csrf", csrf.as_str()), ("form", "made-up"), ("name", "New")]).await.page(403);
    ada.post(LIST, &[("form", page.input("form").as_str()), ("name", "New")]).await.page(403);
    ada.post(LIST, &[("csrf", csrf.as_str()), ("name", "a"), ("name", "b")]).await.page(400);
    assert_eq!(app.database.column("SELECT id FROM projects").await.len(), 1);
}

#[tokio::test]
async fn owner_changes_settings_but_not_administrator_fields() {
    // THREATS: SE16
    let app = TestApp::new().await;
    let ada = signed_in(&app, "ada@example.com").await;
    let bob = app.user("bob@example.com").await;
    let extra = [
        ("plan", "enterprise"),
        ("user_id", bob.as_str()),
        ("owner_id", &bob),
        ("id", "project_mine"),
        ("disabled", "yes"),
        ("created_at", "0"),
    ];
    let path = make(&ada, &[&[("name", "Harbor")][..], &extra].concat()).await;
    assert!(!path.ends_with("project_mine"));
    let changed = [&[("name", "Renamed"), ("key_form", "uuid"), ("one_live_key", "yes")][..], &extra].concat();
    let reply = ada.submit(&path, &path, &changed).await;
    let page = ada.follow(reply).await;
    assert!(page.body.contains("Saved.") && page.body.contains("Renamed"), "{}", page.body);
    assert!(page.body.contains("value=\"uuid\" checked") && page.body.contains("value=\"yes\" checked"));
    let none: Vec<String> = Vec::new();
    for other in ["plan IS NOT NULL", "disabled_by IS NOT NULL", "created_at = 0", "id = 'project_mine'"] {
        let sql: &'static str = Box::leak(format!("SELECT id FROM projects WHERE {other}").into_boxed_str());
        assert_eq!(app.database.column(sql).await, none, "{other}");
    }
    assert!(app.database.column("SELECT user_id FROM projects").await.iter().all(|owner| *owner != bob));
    // An unticked box means no.
    ada.submit(&path, &path, &[("name", "Renamed"), ("key_form", "prefixed")]).await.status(303);
    assert!(!ada.get(&path).await.body.contains("value=\"yes\" checked"));
}

#[tokio::test]
async fn disabling_stops_keys_and_enabling_revives_no_revoked_one() {
    // THREATS: AK9
    let app = TestApp::new().await;
    let ada = signed_in(&app, "ada@example.com").await;
    let path = make(&ada, &[("name", "Harbor")]).await;
    let mut keys = Vec::new();
    for _ in 0..2 {
        keys.push(element(&submit(&ada, &path, &format!("{path}/keys"), &[("scope", "read")]).await, "key"));
    }
    let revoked = app.introspect(&keys[1]).await.active()["key_id"].as_str().expect("an id").to_owned();
    ada.submit(&path, &format!("/settings/keys/{revoked}/revoke"), &[]).await.status(303);
    let reply = ada.submit(&path, &format!("{path}/disable"), &[]).await;
    let page = ada.follow(reply).await;
    assert!(page.body.contains("This project is disabled.") && !page.body.contains("Generate new key"));
    app.introspect(&keys[0]).await.inactive();
    let reply = submit(&ada, "/settings/keys", &format!("{path}/keys"), &[("scope", "read")]).await;
    reply.page(400);
    assert!(reply.body.contains("The project is disabled"), "{}", reply.body);
    assert!(!ada.get("/settings/keys").await.body.contains("<option value=\"project_"), "no key can be made in it");
    ada.submit(&path, &format!("{path}/enable"), &[]).await.status(303);
    app.introspect(&keys[0]).await.active();
    app.introspect(&keys[1]).await.inactive();
    let audit = app.audit().await;
    assert!(audit.contains(&"project.disable".to_owned()) && audit.contains(&"project.enable".to_owned()));
}

#[tokio::test]
async fn projects_of_other_users_cannot_be_seen_or_used() {
    // THREATS: AK16
    let app = TestApp::new().await;
    let ada = signed_in(&app, "ada@example.com").await;
    let eve = signed_in(&app, "eve@example.com").await;
    let path = make(&ada, &[("name", "Secret harbor")]).await;
    let key = element(&submit(&ada, &path, &format!("{path}/keys"), &[("scope", "read")]).await, "key");
    let missing = "/settings/projects/project_missing";
    let words = |reply: &Reply| reply.body.replace(reply.header("x-request-id"), "");
    let (theirs, nobodys) = (eve.get(&path).await, eve.get(missing).await);
    assert_eq!((theirs.status.as_u16(), words(&theirs)), (404, words(&nobodys)));
    for action in ["", "/keys", "/disable", "/enable"] {
        let fields = [("name", "Mine"), ("scope", "read"), ("key_form", "uuid")];
        let reply = submit(&eve, LIST, &format!("{path}{action}"), &fields).await;
        let other = submit(&eve, LIST, &format!("{missing}{action}"), &fields).await;
        assert_eq!((reply.status.as_u16(), words(&reply)), (404, words(&other)), "{action}");
        let csrf = eve.get(LIST).await.input("csrf");
        ada.post(&format!("{path}{action}"), &[("csrf", csrf.as_str()), ("name", "Mine")]).await.page(403);
        assert_eq!(app.post(&format!("{path}{action}"), &fields).await.location(), "/login");
    }
    let id = path.rsplit('/').next().expect("an id");
    let fields = [("scope", "read"), ("project", id)];
    let reply = submit(&eve, "/settings/keys", "/settings/keys", &fields).await;
    reply.page(400);
    assert!(reply.body.contains("The key was not created"), "{}", reply.body);
    let fields = [("scope", "read"), ("project", "project_missing")];
    submit(&eve, "/settings/keys", "/settings/keys", &fields).await.page(400);
    for page in [LIST, "/settings/keys"] {
        assert!(!eve.get(page).await.body.contains("Secret harbor"), "{page}");
    }
    app.introspect(&key).await.active();
    assert_eq!(app.database.column("SELECT id FROM api_keys").await.len(), 1);
}

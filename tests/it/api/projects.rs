//! Owns tests of projects disabled by an administrator. For disabling by the owner, see `credentials::key_life`.

use serde_json::json;

use super::{Caller, EVERYTHING};
use crate::harness::{TestApp, wait};

/// Sends requests to a node until it refuses the key.
async fn refused_soon(node: &TestApp, key: &str) {
    let is_refused = async || (node.introspect(key).await.body == r#"{"active":false}"#).then_some(());
    wait::until("the end of the key", is_refused).await;
}

#[tokio::test]
async fn project_disabled_by_an_administrator_stops_its_keys() {
    // THREATS: AK9 IN8
    let app = TestApp::new().await;
    let second = app.beside().await;
    let alice = Caller::new(&app, "alice", EVERYTHING).await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let project = alice.post("/projects", json!({ "name": "Harbor" })).await.status(201).text("id");
    let key = alice.post("/keys", json!({ "scopes": ["read"], "project": project })).await.status(201).text("key");
    for node in [&app, &second] {
        // Twice: the second response is from the cache.
        node.introspect(&key).await.active();
        node.introspect(&key).await.active();
    }
    app.get_as("/gateway/verify/example-api", &key).await.status(200);
    let path = format!("/projects/{project}");
    assert_eq!(admin.patch(&path, json!({ "disabled": true })).await.status(200).json()["disabled"], true);
    app.introspect(&key).await.inactive();
    refused_soon(&second, &key).await;
    app.get_as("/v1/users/me", &key).await.status(401);
    app.get_as("/gateway/verify/example-api", &key).await.status(401);
    // No key can be created or replaced.
    let new = alice.post("/keys", json!({ "scopes": ["read"], "project": project })).await;
    let words = new.problem(400, "invalid_request")["detail"].to_string();
    assert!(words.contains("the project is disabled"), "{words}");
    let id = alice.get(&format!("/keys?project={project}")).await.ids().remove(0);
    alice.post(&format!("/keys/{id}/regenerate"), json!({})).await.problem(400, "invalid_request");
    // The owner sees it and cannot undo it, not even by disabling the project too.
    assert_eq!(alice.get(&path).await.json()["disabled"], true);
    alice.patch(&path, json!({ "disabled": false })).await.problem(400, "invalid_request");
    alice.patch(&path, json!({ "disabled": true })).await.status(200);
    alice.patch(&path, json!({ "disabled": false })).await.problem(400, "invalid_request");
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let page = browser.get(&format!("/settings/projects/{project}")).await;
    assert!(page.body.contains("An administrator has disabled this project"), "{}", page.body);
    assert!(!page.body.contains("Enable project") && !page.body.contains("id=\"new-key\""), "{}", page.body);
    admin.patch(&path, json!({ "disabled": false })).await.status(200);
    app.introspect(&key).await.active();
}

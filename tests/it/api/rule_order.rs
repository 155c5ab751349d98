//! Owns tests of an API's rules by the management API: their order, and that the last is not removed by accident.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Caller, EVERYTHING};
use crate::harness::TestApp;

async fn paths(caller: &Caller<'_>) -> Vec<String> {
    let listed = caller.get("/apis/example-api/routes").await.status(200).json();
    let items = listed["items"].as_array().expect("items");
    items.iter().map(|rule| rule["path"].as_str().expect("a path").to_owned()).collect()
}

#[tokio::test]
async fn rules_keep_their_order_and_the_last_is_removed_only_on_purpose() {
    // THREATS: FA5
    let app = TestApp::new().await;
    let caller = Caller::admin(&app, EVERYTHING).await;
    let add = async |path: &str, before: Option<&Value>| {
        let mut rule = json!({ "path": path, "scopes": ["read"] });
        if let Some(before) = before {
            rule["before"] = before.clone();
        }
        caller.post("/apis/example-api/routes", rule).await
    };
    let last = add("/c", None).await.status(201).json()["id"].clone();
    let second = add("/b", Some(&last)).await.status(201).json()["id"].clone();
    let first = add("/a", Some(&second)).await.status(201).json()["id"].clone();
    add("/d", None).await.status(201);
    assert_eq!(paths(&caller).await, ["/a", "/b", "/c", "/d"]);
    add("/e", Some(&json!("route_nowhere"))).await.problem(400, "invalid_request");
    let both = json!({ "path": "/e", "scopes": ["read"], "first": true, "before": first });
    caller.post("/apis/example-api/routes", both).await.problem(400, "invalid_request");
    let zeroth = json!({ "path": "/0", "scopes": ["read"], "first": true });
    let zeroth = caller.post("/apis/example-api/routes", zeroth).await.status(201).json()["id"].clone();
    assert_eq!(paths(&caller).await[..2], ["/0", "/a"]);
    // A rule of another API is not accepted as `before`.
    app.api("Second", "https://second.example.test", &["other"]).await;
    let elsewhere = json!({ "path": "/x", "scopes": ["other"], "before": first });
    caller.post("/apis/second/routes", elsewhere).await.problem(400, "invalid_request");

    let remove = async |id: &Value, query: &str| {
        let target = format!("/apis/example-api/routes/{}{query}", id.as_str().expect("an id"));
        caller.send(Method::DELETE, &target, &[], None).await
    };
    for id in [&zeroth, &first, &second] {
        remove(id, "").await.status(204);
    }
    let listed = caller.get("/apis/example-api/routes").await.json();
    remove(&listed["items"][1]["id"], "").await.status(204);
    remove(&last, "").await.problem(409, "conflict");
    remove(&last, "?open=maybe").await.problem(400, "invalid_request");
    assert_eq!(paths(&caller).await, ["/c"]);
    remove(&last, "?open=yes").await.status(204);
    assert!(paths(&caller).await.is_empty());
}

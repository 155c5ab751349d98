//! Owns tests of the OpenAPI document: it is valid, has every route, and the reference page shows it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::{ISSUER, TestApp};

/// The router's paths and methods, read from its source.
fn routes() -> BTreeMap<String, BTreeSet<String>> {
    let router = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/router.rs")).expect("the router");
    let mut found = BTreeMap::new();
    for route in router.split(".route(\"").skip(1) {
        let (path, handlers) = route.split_once('"').expect("a path");
        let handlers = handlers.lines().next().unwrap_or_default();
        let methods = ["get", "post", "put", "patch", "delete", "any"];
        let named = methods.iter().filter(|method| handlers.contains(&format!("{method}(")));
        found.insert(path.to_owned(), named.map(|method| (*method).to_owned()).collect());
    }
    found
}

async fn document(app: &TestApp) -> Value {
    let reply = app.get("/openapi.json").await;
    reply.status(200);
    assert_eq!(reply.header("content-type"), "application/json");
    reply.json()
}

#[tokio::test]
async fn openapi_describes_cursors_and_moments_of_lists() {
    // No generated request shows it: a cursor is never invented, and a moment is taken from those that are right.
    let document = document(&TestApp::new().await).await;
    let items = document["paths"].as_object().expect("paths").values();
    let operations = items.flat_map(|item| item.as_object().expect("methods").values());
    let parameters = operations.flat_map(|operation| operation["parameters"].as_array().into_iter().flatten());
    let mut seen = [0, 0];
    for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
        let schema = &parameter["schema"];
        match parameter["name"].as_str().expect("a name") {
            "cursor" => {
                assert_eq!(schema["pattern"], "^[A-Za-z0-9_-]+$", "{parameter}");
                seen[0] += 1;
            }
            "from" | "to" => {
                assert_eq!(schema["anyOf"][0]["format"], "date-time", "{parameter}");
                seen[1] += 1;
            }
            _ => {}
        }
    }
    assert!(seen[0] >= 8 && seen[1] >= 4, "{seen:?}");
}

#[tokio::test]
async fn openapi_describes_exactly_the_management_routes() {
    let document = document(&TestApp::new().await).await;
    let described: BTreeMap<String, BTreeSet<String>> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .map(|(path, item)| (path.clone(), item.as_object().expect("methods").keys().cloned().collect()))
        .collect();
    let routes = routes();
    assert!(routes.len() > 50, "{routes:?}");
    for (path, methods) in routes.iter().filter(|(path, _)| path.starts_with("/api/v1/")) {
        assert_eq!(described.get(path), Some(methods), "{path}");
    }
    for (path, methods) in &described {
        let there = routes.get(path).unwrap_or_else(|| panic!("{path} is no route"));
        assert!(there.contains("any") || methods.is_subset(there), "{path}: {methods:?}");
    }
    for path in [
        "/oauth/token",
        "/oauth/introspect",
        "/oauth/revoke",
        "/v1/users/me",
        "/health",
        "/gateway/verify",
        "/gateway/verify/{api}",
        "/leaks/secret-scanning",
    ] {
        assert!(described.contains_key(path), "{path}");
    }
}

#[tokio::test]
async fn document_is_valid_openapi_3_1() {
    let document = document(&TestApp::new().await).await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", document["openapi"]);
    // Checked by an independent parser.
    let read = oas3::from_json(document.to_string()).expect("an OpenAPI 3.1 document");
    assert_eq!(read.servers[0].url, ISSUER);
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["summary"].as_str().is_some_and(|words| !words.is_empty()), "{method} {path}");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path: BTreeSet<&str> =
                parameters.iter().filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect();
            let named: BTreeSet<&str> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(in_path, named, "{method} {path}");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
            if path.starts_with("/api/v1/") {
                let scope = operation["security"][0]["bearer"][0].as_str().unwrap_or_default();
                assert!(scope.starts_with("grantd:"), "{method} {path}: {scope}");
                assert_eq!(responses.contains_key("422"), method == "post", "{method} {path}");
            }
        }
    }
    references(&document, &document);
    // A schema that nothing refers to describes nothing, and no test compares it with a response.
    let text = document.to_string();
    for name in document["components"]["schemas"].as_object().expect("schemas").keys() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "nothing refers to {name}");
    }
}

/// Every reference has a target.
fn references(document: &Value, of: &Value) {
    match of {
        Value::Object(members) => {
            if let Some(path) = members.get("$ref").and_then(Value::as_str) {
                let path = path.strip_prefix('#').expect("within the document");
                assert!(document.pointer(path).is_some(), "{path}");
            }
            members.values().for_each(|member| references(document, member));
        }
        Value::Array(items) => items.iter().for_each(|item| references(document, item)),
        _ => {}
    }
}

#[tokio::test]
async fn operations_require_the_documented_scope() {
    // THREATS: AK6
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    for (path, item) in document(&app).await["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods").iter().filter(|_| path.starts_with("/api/v1/")) {
            app.advance(1);
            let request = axum::http::Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(path.replace(['{', '}'], ""))
                .header("authorization", format!("Bearer {key}"));
            let reply = app.send(request.body(axum::body::Body::empty()).expect("a request")).await;
            let problem = reply.problem(403, "insufficient_scope");
            assert_eq!(problem["scope"], operation["security"][0]["bearer"][0], "{method} {path}");
        }
    }
}

#[tokio::test]
async fn reference_page_shows_every_operation_without_scripts() {
    let app = TestApp::with(&[("issuer", "https://auth.example.test/tenant")]).await;
    let page = app.get("/tenant/api/docs").await;
    page.status(200);
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    let document = app.get("/tenant/openapi.json").await.json();
    assert_eq!(document["servers"][0]["url"], "https://auth.example.test/tenant");
    for (path, item) in document["paths"].as_object().expect("paths") {
        assert!(page.body.contains(&format!("<code>{path}</code>")), "{path}");
        for operation in item.as_object().expect("methods").values() {
            assert!(page.body.contains(&format!("id=\"{}\"", operation["operationId"].as_str().expect("an id"))));
        }
    }
    // The URL in an error's `type` works.
    for kind in ["invalid_request", "insufficient_scope", "idempotency_mismatch", "conflict"] {
        assert!(page.body.contains(&format!("id=\"{kind}\"")), "{kind}");
    }
    assert!(page.body.contains("expires_in") && page.body.contains("one_live_key"));
    app.get("/tenant/api/v1/keys").await.status(401);
}

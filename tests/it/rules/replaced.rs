//! Owns replacing all rules of an API, and asking which one decides, by the management API; on both engines.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use grantd::{
    engine::rules,
    model::{
        audit::{Act, Origin},
        rule::Rule,
        scope::Scopes,
    },
    store::{NewRules, NewUser, RulePlace},
};
use serde_json::{Value, json};

use crate::harness::{Reply, TestApp};

const ROUTES: &str = "/api/v1/apis/example-api/routes";

/// An administrator's key.
async fn admin(app: &TestApp) -> String {
    let new = NewUser {
        email: "admin@example.com".to_owned(),
        name: "Admin".to_owned(),
        password: None,
        plan: "pro".to_owned(),
        admin: true,
    };
    let user = app.app.store.insert_user(app.now(), Origin::default(), new).await.expect("a user");
    app.key(&user, "grantd:apis:read grantd:apis:write").await.1
}

async fn send(app: &TestApp, key: &str, method: Method, target: &str, body: Value) -> Reply {
    let request = Request::builder().method(method).uri(target).header(header::AUTHORIZATION, format!("Bearer {key}"));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    app.send(request.body(body).expect("a request")).await
}

async fn replace(app: &TestApp, key: &str, body: Value) -> Reply {
    send(app, key, Method::PUT, ROUTES, body).await
}

/// The rules that are there.
async fn listed(app: &TestApp, key: &str) -> Vec<(String, String)> {
    let reply = app.get_as(ROUTES, key).await;
    let items = reply.status(200).json()["items"].as_array().expect("rules").clone();
    let text = |of: &Value| of.as_str().expect("text").to_owned();
    items.iter().map(|rule| (text(&rule["id"]), text(&rule["path"]))).collect()
}

fn counts(answer: &Value) -> [u64; 5] {
    ["added", "removed", "changed", "moved", "unchanged"].map(|name| answer[name].as_u64().expect("a number"))
}

#[tokio::test]
async fn all_rules_are_replaced_at_once_or_none_is() {
    // THREATS: FA5
    let app = TestApp::new().await;
    let key = admin(&app).await;
    let before = json!({ "rules": [
        { "method": "get", "path": "/a", "scopes": ["read"] },
        { "path": "/b", "public": true },
        { "path": "/c/*" },
    ] });
    let dry = json!({ "rules": before["rules"], "dry_run": true });
    assert_eq!(counts(&replace(&app, &key, dry).await.status(200).json()), [3, 0, 0, 0, 0]);
    assert!(listed(&app, &key).await.is_empty());
    let answer = replace(&app, &key, before.clone()).await.status(200).json();
    assert_eq!((counts(&answer), &answer["dry_run"]), ([3, 0, 0, 0, 0], &json!(false)));
    let first = listed(&app, &key).await;
    let again = replace(&app, &key, before).await.status(200).json();
    assert_eq!((counts(&again), again["changes"].as_array().map(Vec::len)), ([0, 0, 0, 0, 3], Some(0)));
    assert_eq!(listed(&app, &key).await, first);

    let after = json!({ "rules": [
        { "path": "/c/*" },
        { "method": "GET", "path": "/a", "scopes": ["read", "write"] },
        { "method": "POST", "path": "/a", "scopes": ["new"] },
    ], "create_scopes": [{ "name": "new", "description": "May do new things" }] });
    let answer = replace(&app, &key, after).await.status(200).json();
    assert_eq!(counts(&answer), [1, 1, 1, 1, 0], "{answer}");
    let changed = answer["changes"].as_array().expect("changes").iter().find(|change| change["change"] == "changed");
    assert_eq!(changed.expect("a change")["before"], json!({ "scopes": ["read"], "public": false }));
    // A rule that stays keeps its id.
    let (second, id) = (listed(&app, &key).await, |path: &str| {
        first.iter().find(|(_, other)| other == path).map(|(id, _)| id.clone())
    });
    assert_eq!(second.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>(), ["/c/*", "/a", "/a"]);
    assert_eq!((Some(second[0].0.clone()), Some(second[1].0.clone())), (id("/c/*"), id("/a")));
    let catalog = app.app.store.catalog().await.expect("a catalog");
    assert_eq!(catalog.scope("new").map(|(_, scope)| scope.description.as_str()), Some("May do new things"));
    let audit = app.audit().await;
    assert_eq!(audit.iter().filter(|event| *event == "route.replace").count(), 2, "{audit:?}");

    app.api("Second", "https://second.example.test", &["other"]).await;
    let rule = json!({ "path": "/x", "scopes": ["read"] });
    let many: Vec<Value> = (0..10_001).map(|n| json!({ "path": format!("/{n}") })).collect();
    for (body, words) in [
        (
            json!({ "rules": [rule, { "path": "/x", "scopes": ["nope", "no:more"] }] }),
            "rules 1 and 2 are both for * /x",
        ),
        (json!({ "rules": [rule, { "path": "/y", "scopes": ["nope", "no:more"] }] }), "no such scopes: no:more nope"),
        (json!({ "rules": [rule, { "path": "/y", "scopes": ["other"] }] }), "no such scopes: other"),
        (json!({ "rules": [rule, { "path": "/y z" }] }), "rule 2 (* /y z): path must be like"),
        (
            json!({ "rules": [rule, { "path": "/y", "public": true, "scopes": ["read"] }] }),
            "rule 2 (* /y): a public rule",
        ),
        (json!({ "rules": [rule], "create_scopes": [{ "name": "other", "description": "X" }] }), "to another API"),
        (json!({ "rules": [rule], "create_scopes": [{ "name": "grantd:x", "description": "X" }] }), "are reserved"),
        (json!({ "rules": many }), "an API can have at most 10000 rules"),
        (json!({ "rules": [] }), "without them every credential"),
        (json!({ "rules": [], "dry_run": true }), "without them every credential"),
    ] {
        let reply = replace(&app, &key, body).await;
        assert!(reply.status.is_client_error() && reply.body.contains(words), "{words}: {}", reply.body);
        assert_eq!(listed(&app, &key).await, second, "{words}");
    }
    assert_eq!(
        counts(&replace(&app, &key, json!({ "rules": [], "open": true })).await.status(200).json()),
        [0, 3, 0, 0, 0]
    );
    assert!(listed(&app, &key).await.is_empty());
}

#[tokio::test]
async fn ten_thousand_rules_are_taken_and_one_more_is_put_between_them() {
    let app = TestApp::new().await;
    let rule = |n: usize| Rule {
        id: format!("route_{n:05}"),
        method: "GET".to_owned(),
        pattern: format!("/v1/things{n}/{{id}}"),
        scopes: Scopes::parse("read").expect("scopes"),
        public: false,
    };
    let api = app.app.catalog.current().by_slug("example-api").expect("an API").clone();
    let act = || Act { now: app.now(), origin: Origin::default() };
    let to = NewRules { rules: (0..9_999).map(rule).collect(), ..NewRules::default() };
    rules::replace(app.app.engine(), act(), &api, to, false).await.expect("replaced");
    let add = async |n: usize, place| {
        app.app.store.insert_rule(app.now(), Origin::default(), api.id.clone(), rule(n), place).await
    };
    add(10_000, RulePlace::Before("route_05000".to_owned())).await.expect("added");
    add(10_001, RulePlace::Last).await.expect_err("too many");
    app.app.catalog.reload().await.expect("a catalog");
    let catalog = app.app.catalog.current();
    let there = &catalog.by_slug("example-api").expect("an API").rules;
    let ids: Vec<&str> = there.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!((ids.len(), &ids[4_999..5_002]), (10_000, &["route_04999", "route_10000", "route_05000"][..]));
    let found = there.decide("GET", "/v1/things9998/7").expect("a rule");
    assert_eq!(found.rule().pattern, "/v1/things9998/{id}");
}

#[tokio::test]
async fn what_is_tested_is_what_the_gateway_decides() {
    let app = TestApp::new().await;
    let key = admin(&app).await;
    let test = async |query: &str| app.get_as(&format!("{ROUTES}/test{query}"), &key).await.status(200).json();
    assert_eq!(test("?path=/any").await["decision"], "credential");
    let rules = json!({ "rules": [
        { "method": "GET", "path": "/v1/admin", "scopes": ["write"] },
        { "path": "/status", "public": true },
        { "path": "/v1/*", "scopes": ["read"] },
        { "path": "/open" },
    ] });
    replace(&app, &key, rules).await.status(200);
    for (query, decision, number, scopes, alike) in [
        ("?path=/v1/admin?x=1", "scopes", json!(1), json!(["write"]), json!([])),
        ("?path=/v1/Admin", "scopes", json!(3), json!(["read", "write"]), json!([1])),
        ("?method=POST&path=/v1/admin", "scopes", json!(3), json!(["read"]), json!([])),
        ("?path=/status", "public", json!(2), json!([]), json!([])),
        ("?path=/open", "credential", json!(4), json!([]), json!([])),
        ("?path=/v2", "refused", json!(null), json!([]), json!([])),
        ("?path=/v1/../open", "refused", json!(null), json!([]), json!([])),
    ] {
        let told = test(query).await;
        assert_eq!((&told["decision"], &told["rule"]["number"]), (&json!(decision), &number), "{query}: {told}");
        assert_eq!(told["scopes"], scopes, "{query}: {told}");
        let also: Vec<&Value> = told["alike"].as_array().expect("rules").iter().map(|rule| &rule["number"]).collect();
        assert_eq!(json!(also), alike, "{query}: {told}");
    }
    assert!(test("?path=/v1/../open").await["reason"].as_str().expect("words").contains("more than one reading"));
    app.get_as(&format!("{ROUTES}/test?method=G-T"), &key).await.status(400);
}

//! Owns tests of profiles in the management API: changes, other nodes, the audit log, test requests.

use std::collections::BTreeSet;

use grantd::model::{clock::Timestamp, profile::shipped};
use serde_json::{Value, json};

use super::{Caller, EVERYTHING};
use crate::harness::{Reply, TestApp, wait};

const ACME: &str = "places = [{ header = \"X-Acme-Token\" }]\nbody = '{\"acme\":\"{code}\"}'\n";

/// An API key for the example API.
async fn key(app: &TestApp) -> String {
    let user = app.user("alice@example.com").await;
    app.key(&user, "read").await.1
}

/// The gateway's response to a request without a credential.
async fn refusal(app: &TestApp) -> Reply {
    app.get("/gateway/verify/example-api").await
}

#[tokio::test]
async fn profiles_are_listed_copied_changed_assigned_and_deleted() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let listed = admin.get("/profiles?limit=100").await.status(200).json();
    let names = |listed: &Value| -> Vec<String> {
        listed["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|one| one["name"].as_str().expect("a name").into())
            .collect()
    };
    assert_eq!(names(&listed), shipped().iter().map(|one| one.dialect.name.clone()).collect::<Vec<_>>());
    assert_eq!((&listed["items"][0]["shipped"], &listed["items"][0]["revision"]), (&json!(true), &Value::Null));
    let bearer = admin.get("/profiles/bearer").await.status(200).json();
    assert_eq!(bearer["apis"], json!(["example-api"]));

    let copy = admin.post("/profiles", json!({ "name": "acme", "copy_of": "bearer" })).await.status(201).json();
    assert_eq!(
        (&copy["definition"], &copy["shipped"], &copy["revision"]),
        (&bearer["definition"], &json!(false), &json!(1))
    );
    admin.post("/profiles", json!({ "name": "acme", "definition": ACME })).await.problem(409, "conflict");
    admin.post("/profiles", json!({ "name": "xml", "definition": ACME })).await.problem(409, "conflict");
    for wrong in [
        json!({ "name": "b" }),
        json!({ "name": "b", "definition": ACME, "copy_of": "bearer" }),
        json!({ "name": "B", "definition": ACME }),
        json!({ "name": "-b", "definition": ACME }),
        json!({ "name": "b", "definition": "" }),
    ] {
        admin.post("/profiles", wrong).await.problem(400, "invalid_request");
    }
    admin.post("/profiles", json!({ "name": "b", "copy_of": "nothing" })).await.problem(400, "invalid_request");

    let assigned = admin.put("/apis/example-api/profile", json!({ "profile": "acme" })).await;
    assert_eq!(assigned.status(200).text("profile"), "acme");
    assert_eq!(refusal(&app).await.status(401).text("error"), "missing_api_key");
    let changed = admin.put("/profiles/acme", json!({ "definition": ACME, "revision": 1 })).await.status(200).json();
    assert_eq!((&changed["revision"], &changed["apis"]), (&json!(2), &json!(["example-api"])));
    assert_eq!(refusal(&app).await.status(401).body, "{\"acme\":\"missing_api_key\"}");
    // Of two changes to the same revision, the second is refused.
    admin.put("/profiles/acme", json!({ "definition": ACME, "revision": 1 })).await.problem(409, "conflict");
    admin.put("/profiles/bearer", json!({ "definition": ACME })).await.problem(409, "conflict");
    admin.put("/profiles/none", json!({ "definition": ACME })).await.problem(404, "not_found");
    admin.put("/apis/example-api/profile", json!({ "profile": "none" })).await.problem(400, "invalid_request");
    admin.put("/apis/none/profile", json!({ "profile": "acme" })).await.problem(404, "not_found");

    admin.delete("/profiles/bearer").await.problem(409, "conflict");
    admin.delete("/profiles/none").await.problem(404, "not_found");
    let used = admin.delete("/profiles/acme").await.problem(409, "conflict");
    assert!(used["detail"].as_str().expect("words").contains("example-api"), "{used}");
    admin.put("/apis/example-api/profile", json!({ "profile": "ensemble" })).await.status(200);
    admin.delete("/profiles/acme").await.status(204);
    admin.get("/profiles/acme").await.problem(404, "not_found");
    let made = json!({ "identifier": "https://b.example", "name": "B", "profile": "acme" });
    admin.post("/apis", made).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn invalid_definitions_are_refused_with_line_and_reason() {
    // THREATS: HX5
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    admin.post("/profiles", json!({ "name": "acme", "definition": ACME })).await.status(201);
    let before = admin.get("/profiles/acme").await.json();
    for (definition, why) in [
        (format!("{ACME}[refusals.missing]\nstatus = 200"), "line 4, refusals.missing.status: 200 is not a refusal"),
        (format!("{ACME}[refusals.missing]\nbody = '{{\"a\":{{nothing}}}}'"), "{nothing} is not a placeholder"),
        ("\u{1}garbage".to_owned(), "line 1: "),
        (format!("{ACME}# {}", "a".repeat(17_000)), "at most 16 KB"),
    ] {
        for refused in [
            admin.put("/profiles/acme", json!({ "definition": definition })).await,
            admin.post("/profiles", json!({ "name": "other", "definition": definition })).await,
        ] {
            let problem = refused.problem(400, "invalid_request");
            assert!(problem["detail"].as_str().expect("words").contains(why), "{problem}");
        }
    }
    admin.put("/profiles/acme", json!({ "definition": "a".repeat(10 << 20) })).await.problem(413, "content_too_large");
    assert_eq!(admin.get("/profiles/acme").await.json(), before);
    admin.get("/profiles/other").await.problem(404, "not_found");
}

#[tokio::test]
async fn other_nodes_use_a_changed_profile_within_a_second() {
    // THREATS: AK10
    let app = TestApp::new().await;
    let second = app.beside().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    admin.post("/profiles", json!({ "name": "acme", "definition": ACME })).await.status(201);
    for (change, body) in [
        (("/apis/example-api/profile", json!({ "profile": "acme" })), "{\"acme\":\"missing_api_key\"}"),
        (("/profiles/acme", json!({ "definition": ACME.replace("\"acme\"", "\"b\"") })), "{\"b\":\"missing_api_key\"}"),
    ] {
        admin.put(change.0, change.1).await.status(200);
        assert_eq!(refusal(&app).await.body, body, "at once where it was changed");
        wait::until(body, async || Some(refusal(&second).await).filter(|reply| reply.body == body)).await;
    }
}

#[tokio::test]
async fn changes_are_audited_with_values_before_and_after() {
    // THREATS: AU1
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    admin.post("/profiles", json!({ "name": "acme", "definition": ACME })).await.status(201);
    let changed = format!("# A comment.\n{ACME}[refusals.missing]\nstatus = 403\n");
    admin.put("/profiles/acme", json!({ "definition": changed })).await.status(200);
    admin.put("/profiles/acme", json!({ "definition": changed })).await.status(200);
    admin.put("/apis/example-api/profile", json!({ "profile": "acme" })).await.status(200);
    admin.put("/apis/example-api/profile", json!({ "profile": "bearer" })).await.status(200);
    admin.delete("/profiles/acme").await.status(204);
    let entries = admin.get("/audit?limit=100").await.status(200).json();
    // All have the same time, so their order is arbitrary.
    let entries: BTreeSet<(String, String)> = entries["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|entry| {
            ["profile.", "api.update"]
                .iter()
                .any(|start| entry["event"].as_str().is_some_and(|event| event.starts_with(start)))
        })
        .map(|entry| {
            (entry["event"].as_str().unwrap_or_default().into(), entry["reason"].as_str().unwrap_or_default().into())
        })
        .collect();
    let expected = [
        (
            "profile.create",
            "body: nothing → '{\"acme\":\"{code}\"}'; places: nothing → [{ header = \"X-Acme-Token\" }]",
        ),
        ("profile.update", "refusals.missing.status: nothing → 403"),
        ("api.update", "profile: bearer → acme"),
        ("api.update", "profile: acme → bearer"),
        (
            "profile.delete",
            "body: '{\"acme\":\"{code}\"}' → nothing; places: [{ header = \"X-Acme-Token\" }] → nothing; \
             refusals.missing.status: 403 → nothing",
        ),
    ];
    assert_eq!(entries, expected.map(|(event, change)| (event.to_owned(), change.to_owned())).into());
}

#[tokio::test]
async fn tested_requests_are_not_counted() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let key = key(&app).await;
    app.route("example-api", "GET", "/v1/x", "read", false).await;
    app.route("example-api", "GET", "/v1/y", "write", false).await;
    let tried = async |target: &str, header: &str, value: &str, more: Value| {
        let mut body = json!({ "target": target, "headers": [{ "name": header, "value": value }] });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        admin.post("/apis/example-api/test", body).await
    };
    let bearer = format!("Bearer {key}");
    let header = |answer: &Value, of: &str, name: &str| {
        let all = answer[of].as_array().expect("headers").clone();
        all.into_iter().find(|header| header["name"] == name).map(|header| header["value"].clone()).unwrap_or_default()
    };
    for _ in 0..2 {
        let passes = tried("/v1/x", "Authorization", &bearer, json!({})).await.status(200).json();
        assert_eq!((&passes["passes"], &passes["status"]), (&json!(true), &json!(200)), "{passes}");
        assert_eq!(header(&passes, "upstream", "x-auth-scopes"), "read");
        assert_eq!(header(&passes, "headers", "x-ratelimit-remaining"), "10000", "nothing is counted");
    }
    let refused = tried("/v1/y", "Authorization", &bearer, json!({})).await.status(200).json();
    assert_eq!((&refused["passes"], &refused["status"]), (&json!(false), &json!(403)), "{refused}");
    assert_eq!(refused["body"], "{\"error\":\"insufficient_scope\",\"message\":\"This needs the scope write.\"}");
    assert_eq!((&refused["reason"], &refused["upstream"]), (&json!("missing scope write"), &json!([])));
    // With another profile, named or not yet saved.
    let other = tried("/v1/x", "X-Acme-Token", &key, json!({ "definition": ACME })).await.status(200).json();
    assert_eq!(other["passes"], true, "{other}");
    let other = tried("/v1/x", "Authorization", &bearer, json!({ "definition": ACME })).await.status(200).json();
    assert_eq!((&other["status"], &other["body"]), (&json!(401), &json!("{\"acme\":\"missing_api_key\"}")));
    let other = tried("/v1/x", "Authorization", "Bearer wrong", json!({ "profile": "xml" })).await.status(200).json();
    assert_eq!(header(&other, "headers", "content-type"), "application/xml");
    let unchanged = app.get("/gateway/verify/example-api/v1/x").await;
    assert_eq!(unchanged.text("error"), "missing_api_key", "only tested");
    for wrong in [
        json!({ "definition": "a" }),
        json!({ "definition": ACME, "profile": "xml" }),
        json!({ "profile": "none" }),
        json!({ "headers": [{ "name": "a b", "value": "c" }] }),
        json!({ "headers": [{ "name": "a", "value": "c\r\nd: e" }] }),
        json!({ "headers": vec![json!({ "name": "a", "value": "b" }); 51] }),
    ] {
        tried("/v1/x", "Authorization", &bearer, wrong).await.problem(400, "invalid_request");
    }
    let usage = admin.get("/usage?user=alice@example.com").await.status(200).json();
    assert_eq!((&usage["total"]["allowed"], &usage["total"]["denied"]), (&json!(0), &json!(0)), "{usage}");
}

#[tokio::test]
async fn profiles_require_an_administrator() {
    // THREATS: AK13
    let app = TestApp::new().await;
    let user = Caller::new(&app, "bob", EVERYTHING).await;
    user.get("/profiles").await.problem(403, "forbidden");
    user.post("/profiles", json!({ "name": "acme", "definition": ACME })).await.problem(403, "forbidden");
    user.put("/profiles/acme", json!({ "definition": ACME })).await.problem(403, "forbidden");
    user.delete("/profiles/acme").await.problem(403, "forbidden");
    user.put("/apis/example-api/profile", json!({ "profile": "xml" })).await.problem(403, "forbidden");
    user.post("/apis/example-api/test", json!({ "target": "/" })).await.problem(403, "forbidden");
}

#[tokio::test]
async fn new_projects_follow_the_key_policy_that_all_apis_suggest() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let policy = async |name: &str, more: Value| {
        let mut body = json!({ "name": name });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        let made = admin.post("/projects", body).await.status(201).json();
        (made["key_form"].as_str().expect("a form").to_owned(), made["one_live_key"].as_bool().expect("a flag"))
    };
    assert_eq!(policy("a", json!({})).await, ("prefixed".to_owned(), false));
    admin.put("/apis/example-api/profile", json!({ "profile": "iapm" })).await.status(200);
    assert_eq!(policy("b", json!({})).await, ("uuid".to_owned(), true));
    let said = json!({ "key_form": "prefixed", "one_live_key": false });
    assert_eq!(policy("c", said).await, ("prefixed".to_owned(), false));
    // Two APIs that suggest different policies suggest none.
    app.api("Second", "https://second.example.test", &["other"]).await;
    assert_eq!(policy("d", json!({})).await, ("prefixed".to_owned(), false));
}

#[tokio::test]
async fn keys_of_a_project_follow_its_terms() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let keys = "[keys]\nprefix = \"acme\"\nenvironments = [\"test\"]\nexpires_in = \"30d\"\n";
    admin.post("/profiles", json!({ "name": "acme", "definition": format!("{ACME}{keys}") })).await.status(201);
    admin.put("/apis/example-api/profile", json!({ "profile": "acme" })).await.status(200);
    let user = app.user("alice@example.com").await;
    let project = async |more: Value| {
        let mut body = json!({ "user": user, "name": format!("p{}", more.to_string().len()) });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        admin.post("/projects", body).await
    };
    let key = async |project: &Value, more: Value| {
        let mut body = json!({ "user": user, "name": "k", "scopes": ["read"], "project": project["id"] });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        admin.post("/keys", body).await
    };
    let days = |key: &Value| {
        let end = key["expires_at"].as_str().map(|end| Timestamp::read(end).expect("a moment"));
        end.map(|end| (end.seconds() - app.now().seconds()) / 86_400)
    };
    let suggested = project(json!({})).await.status(201).json();
    assert_eq!(
        (&suggested["key_prefix"], &suggested["environments"], &suggested["key_expires_in"]),
        (&json!("acme"), &json!(["test"]), &json!(2_592_000))
    );
    let made = key(&suggested, json!({})).await.status(201).json();
    assert!(made["key"].as_str().expect("a key").starts_with("acme_test_"), "{made}");
    assert_eq!((&made["environment"], days(&made)), (&json!("test"), Some(30)));
    let shorter = key(&suggested, json!({ "expires_in": 86_400 })).await.status(201).json();
    assert_eq!(days(&shorter), Some(1));
    let refused = key(&suggested, json!({ "environment": "live" })).await.problem(400, "invalid_request");
    assert!(refused["detail"].as_str().expect("words").contains("environment must be one of: test"), "{refused}");
    // Values given at creation, or later, replace them. Existing keys stay as they are.
    let own = json!({ "key_prefix": "", "environments": [], "key_expires_in": 0 });
    let twice = project(json!({ "environments": ["live", "test", "live"] })).await.status(201).json();
    assert_eq!(twice["environments"], json!(["live", "test"]));
    let plain = project(own.clone()).await.status(201).json();
    let made = key(&plain, json!({ "environment": "live" })).await.status(201).json();
    assert!(made["key"].as_str().expect("a key").starts_with("gd_live_") && days(&made).is_none(), "{made}");
    let path = format!("/projects/{}", suggested["id"].as_str().expect("an id"));
    let changed = admin.patch(&path, own).await.status(200).json();
    assert_eq!((&changed["key_prefix"], &changed["environments"]), (&Value::Null, &json!([])));
    let made = key(&suggested, json!({ "environment": "live" })).await.status(201).json();
    assert_eq!((days(&made), days(&shorter)), (None, Some(1)));
    for wrong in [
        json!({ "environments": ["staging"] }),
        json!({ "key_prefix": "Sk" }),
        json!({ "key_prefix": "a_b" }),
        json!({ "key_expires_in": -1 }),
        json!({ "key_expires_in": 400_000_000 }),
    ] {
        project(wrong.clone()).await.problem(400, "invalid_request");
        admin.patch(&path, wrong).await.problem(400, "invalid_request");
    }
    // THREATS: AK13
    let owner = Caller::new(&app, "bob", EVERYTHING).await;
    owner.post("/projects", json!({ "name": "b", "key_prefix": "sk" })).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn invalid_key_terms_of_a_profile_are_refused() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    for (keys, why) in [
        ("environments = [\"staging\"]", "environments must be of: live, test"),
        ("prefix = \"A\"", "a key prefix has"),
        ("expires_in = \"0d\"", "between one second and ten years"),
        ("expires_in = \"soon\"", "keys.expires_in: "),
        ("form = \"imported\"", "keys.form: "),
    ] {
        let definition = format!("{ACME}[keys]\n{keys}");
        let problem = admin.post("/profiles", json!({ "name": "acme", "definition": definition })).await;
        let problem = problem.problem(400, "invalid_request");
        assert!(problem["detail"].as_str().expect("words").contains(why), "{problem}");
    }
}

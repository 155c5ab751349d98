//! Owns the test of the server against its OpenAPI document: valid requests are accepted, invalid ones refused, and every
//! response is described. In process, from one seed, the same each time.

mod judge;
mod make;
mod protocol;

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use self::{judge::Judge, make::Maker};
use super::{Caller, EVERYTHING};
use crate::harness::{Reply, TestApp};

/// The seed. Change it to try other values; every message shows the request.
const SEED: u64 = 20_261_121;
/// Valid requests sent for each operation.
const RIGHT: usize = 12;
/// Maximum body size read, in bytes: by most operations, and by the one that takes many rules.
const BODY_MAX: usize = 64 * 1024;
const RULES_BODY_MAX: usize = 8 << 20;

/// Rules that the schema of one member cannot express, by their error. The document describes each in words.
const RULES: [(&str, &str); 14] = [
    ("post_users", "administrators can only be created on the server"),
    ("post_clients", "a public client must use PKCE"),
    ("post_clients", "a public client must have auth_method none"),
    ("post_clients", "the authorization code grant requires 1 to 20 redirect URIs"),
    ("patch_clients_id", "the authorization code grant requires 1 to 20 redirect URIs"),
    ("post_apis", "slug must have 1 to 60"),
    ("post_apis_id_routes", "first and before cannot be combined"),
    ("post_apis_id_routes", "a public rule cannot require scopes"),
    ("put_apis_id_routes", "a public rule cannot require scopes"),
    ("put_apis_id_routes", "are both for"),
    ("put_apis_id_routes", "without them every credential"),
    ("post_keys", "there is no such project"),
    ("post_profiles", "send either definition or copy_of"),
    ("post_apis_id_test", "send either profile or definition"),
];

/// An operation of the document, and its caller.
struct Run<'a> {
    app: &'a TestApp,
    admin: &'a Caller<'a>,
    judge: &'a Judge,
    method: Method,
    path: &'a str,
    operation: &'a Value,
}

/// A request to send.
#[derive(Clone, Debug, Default)]
struct Asked {
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl Run<'_> {
    /// Sends a request one second after the previous one and asserts that the response is described.
    async fn send(&self, asked: &Asked) -> Reply {
        self.app.advance(1);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&asked.query).finish();
        let uri = if query.is_empty() { asked.path.clone() } else { format!("{}?{query}", asked.path) };
        let mut request = Request::builder().method(self.method.clone()).uri(uri);
        if !asked.headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.admin.key));
        }
        for (name, value) in &asked.headers {
            request = request.header(*name, value.as_bytes());
        }
        if asked.body.is_some() && !asked.headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = asked.body.clone().map_or_else(Body::empty, Body::from);
        let reply = self.app.send(request.body(body).expect("a request")).await;
        let shown = format!("{} {asked:?} (seed {SEED})", self.method);
        assert!(reply.status.as_u16() < 500, "{shown}: {} {}", reply.status, reply.body);
        self.judge.described(self.operation, &reply, &shown);
        reply
    }

    async fn refused(&self, asked: &Asked, statuses: &[u16]) {
        let reply = self.send(asked).await;
        let shown = format!("{} {asked:?} (seed {SEED})", self.method);
        assert!(statuses.contains(&reply.status.as_u16()), "{shown} is wrong: {} {}", reply.status, reply.body);
    }

    fn parameters(&self, place: &str) -> Vec<&Value> {
        let all = self.operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|one| self.judge.resolve(one)).filter(|one| one["in"] == place).collect()
    }

    fn body(&self) -> Option<&Value> {
        let schema = &self.operation["requestBody"]["content"]["application/json"]["schema"];
        (!schema.is_null()).then(|| self.judge.resolve(schema))
    }

    /// A valid request about new things.
    async fn right(&self, maker: &mut Maker<'_>) -> Asked {
        let mut known = self.things().await;
        let mut asked = Asked { path: self.path.to_owned(), ..Asked::default() };
        for parameter in self.parameters("path") {
            let name = parameter["name"].as_str().expect("a name");
            let value = maker.right(&format!("path {name}"), &parameter["schema"], &known);
            asked.path = asked.path.replace(&format!("{{{name}}}"), &escaped(value.as_str().expect("a text")));
        }
        known.insert("cursor".to_owned(), self.cursors().await);
        for parameter in self.parameters("query") {
            let name = parameter["name"].as_str().expect("a name");
            // The last rule of an API is removed only with `open=yes`.
            if name != "open" && maker.below(3) > 0 || name == "cursor" && known["cursor"] == json!([]) {
                continue;
            }
            let value = match maker.below(8) {
                0 => Value::from(""),
                _ => maker.right(name, &parameter["schema"], &known),
            };
            asked.query.push((name.to_owned(), value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)));
        }
        asked.body = self.body().map(|schema| maker.object(schema, &known).to_string());
        asked
    }

    /// Valid cursors of this list.
    async fn cursors(&self) -> Value {
        if !self.parameters("query").iter().any(|one| one["name"] == "cursor") {
            return json!([]);
        }
        let first = Asked { path: self.path.to_owned(), query: vec![("limit".into(), "1".into())], ..Asked::default() };
        match &self.send(&first).await.status(200).json()["next"] {
            Value::Null => json!([]),
            next => json!([next]),
        }
    }

    /// Existing things, by the names of members and parameters.
    async fn things(&self) -> Map<String, Value> {
        let admin = self.admin;
        let made = async |path: &str, body: Value| {
            self.app.advance(1);
            admin.post(path, body).await.status(201).text("id")
        };
        // One user for each operation, because the number of things per user is limited.
        let email = format!("{}@example.com", self.operation["operationId"].as_str().expect("an id"));
        let user = &match self.app.app.store.find_user_by_email(&email).await.expect("asked") {
            Some((user, _)) => user.id,
            None => self.app.user(&email).await,
        };
        let project = match self.app.app.store.list_projects(user).await.expect("asked").pop() {
            Some(project) if !self.path.starts_with("/api/v1/projects/") => project.id,
            _ => made("/projects", json!({ "name": format!("P {}", self.app.now().0), "user": user })).await,
        };
        let mut known = json!({
            "user": [user, email],
            "project": [project],
            "plan": ["free", "pro", "enterprise"],
            "profile": ["bearer", "ensemble"],
            "copy_of": ["bearer", "xml"],
            "definition": ["places = [{ query = \"key\" }]\nbody = '{}'"],
            "revision": [1, null],
            "target": ["/", "/v1/users?key=a&limit=5"],
            "scopes": [["read"], ["read", "write"]],
            "from": ["2026-11-20T12:00:00Z", "1795218000"],
            "to": ["2026-11-21T12:00:00+00:00", "1795222800"],
            "path name": ["silver", "Gold & more"],
        });
        if self.path == "/api/v1/apis" {
            // No slug can be derived from the second name.
            known["name"] = json!([format!("Orders {}", self.app.now().0), "\u{65E5}\u{672C}"]);
            known["scopes"] = json!([[], [{ "name": format!("s{}", self.app.now().0), "description": "May do" }]]);
        }
        if self.path == "/api/v1/profiles" {
            known["name"] = json!([format!("p{}", self.app.now().0)]);
        }
        let id = match self.path.split('/').nth(3) {
            Some("profiles") => {
                let name = format!("own-{}", self.app.now().0);
                admin.post("/profiles", json!({ "name": name, "copy_of": "bearer" })).await.status(201);
                name
            }
            Some("keys") => made("/keys", json!({ "scopes": ["read"], "user": user, "project": project })).await,
            Some("projects") => project,
            Some("clients") => {
                let body = json!({ "name": "A", "redirect_uris": ["https://a.example/cb"], "scopes": ["read"] });
                made("/clients", body).await
            }
            Some("users") => self.app.user(&format!("u{}@example.com", self.app.now().0)).await,
            _ => "example-api".to_owned(),
        };
        known["path id"] = json!([id]);
        if self.path.contains("/routes") {
            let rule = made("/apis/example-api/routes", json!({ "path": "/x", "scopes": ["read"] })).await;
            (known["path route"], known["before"]) = (json!([rule]), json!([rule]));
            known["scopes"] = json!([[], ["read"], ["read", "write"]]);
        }
        if self.path.contains("{request_id}") {
            let refused = self.app.get_as("/v1/users/me", "nonsense").await;
            known["path request_id"] = json!([refused.header("x-request-id")]);
        }
        known.as_object().expect("names").clone()
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Runs `check` for every operation of the management API.
async fn each(check: impl AsyncFn(&Run<'_>, &mut Maker<'_>)) {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let judge = Judge::new(app.get("/openapi.json").await.status(200).json());
    let mut maker = Maker::new(&judge, SEED);
    let mut count = 0;
    for (path, item) in judge.document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods").iter().filter(|_| path.starts_with("/api/v1/")) {
            let method = Method::try_from(method.to_uppercase().as_str()).expect("a method");
            let run = Run { app: &app, admin: &admin, judge: &judge, method, path, operation };
            check(&run, &mut maker).await;
            count += 1;
        }
    }
    assert!(count > 30, "{count} operations");
}

#[tokio::test]
async fn documented_requests_are_accepted() {
    // THREATS: HX11
    let mut met = Vec::new();
    let check = async |run: &Run<'_>, maker: &mut Maker<'_>| -> Vec<usize> {
        let (mut taken, mut by_rule) = (0, Vec::new());
        let id = run.operation["operationId"].as_str().expect("an id");
        let rules = RULES.iter().enumerate().filter(|(_, (of, _))| *of == id).map(|(at, _)| at).collect::<Vec<_>>();
        // Repeats until enough requests were accepted and each rule was hit.
        for _ in 0..RIGHT * 100 {
            let asked = run.right(maker).await;
            let reply = run.send(&asked).await;
            let rule = RULES.iter().position(|(of, words)| *of == id && reply.body.contains(words));
            by_rule.extend(rule);
            taken += usize::from(reply.status.is_success());
            let may = reply.status.is_success() || rule.is_some();
            assert!(may, "{} {asked:?} is right (seed {SEED}): {} {}", run.method, reply.status, reply.body);
            if taken >= RIGHT && rules.iter().all(|rule| by_rule.contains(rule)) {
                break;
            }
        }
        assert!(taken >= RIGHT, "{id} is taken {taken} times");
        by_rule
    };
    let all = std::cell::RefCell::new(&mut met);
    each(async |run, maker| {
        let rules = check(run, maker).await;
        all.borrow_mut().extend(rules);
    })
    .await;
    for (at, (id, words)) in RULES.iter().enumerate() {
        assert!(met.contains(&at), "{id}: {words:?} was never met: is it a rule still?");
    }
}

#[tokio::test]
async fn undocumented_requests_are_refused() {
    // THREATS: HX5 HX9 HX11
    each(async |run, maker| {
        let right = run.right(maker).await;
        let without = |headers: &[(&'static str, String)]| Asked { headers: headers.to_vec(), ..right.clone() };
        run.refused(&Asked { path: right.path.clone(), ..without(&[("authorization", String::new())]) }, &[401]).await;
        run.refused(&without(&[("authorization", "Bearer nonsense".to_owned())]), &[401]).await;
        queries(run, maker, &right).await;
        paths(run, maker, &right).await;
        bodies(run, maker, &right).await;
        if run.parameters("header").is_empty() {
            return;
        }
        for name in ["a b", "", "\u{E9}", &"x".repeat(256)] {
            run.refused(&without(&[("idempotency-key", name.to_owned())]), &[400]).await;
        }
    })
    .await;
}

async fn queries(run: &Run<'_>, maker: &Maker<'_>, right: &Asked) {
    let with = |name: &str, values: &[&str]| {
        let mut asked = right.clone();
        asked.query.retain(|(other, _)| other != name);
        asked.query.extend(values.iter().map(|value| (name.to_owned(), (*value).to_owned())));
        asked
    };
    run.refused(&with("more", &["1"]), &[400]).await;
    for parameter in run.parameters("query") {
        let (name, schema) = (parameter["name"].as_str().expect("a name"), &parameter["schema"]);
        let is_text = !run.judge.takes(schema, &json!(1));
        run.refused(&with(name, &["1", "1"]), &[400]).await;
        run.refused(&with(name, &["a\0b"]), &[400]).await;
        for wrong in maker.wrong(schema) {
            // A query has only text, so other types are formatted; and empty means absent.
            let text = wrong.as_str().map_or_else(|| wrong.to_string(), ToOwned::to_owned);
            let read = if is_text { json!(text) } else { text.parse::<u64>().map_or(json!(text), Value::from) };
            if !text.is_empty() && !run.judge.takes(schema, &read) {
                // Impossible ids are not found, like missing ones.
                let names_another = ["user", "project"].contains(&name);
                run.refused(&with(name, &[&text]), if names_another { &[400, 404] } else { &[400] }).await;
            }
        }
    }
}

async fn paths(run: &Run<'_>, maker: &Maker<'_>, right: &Asked) {
    for parameter in run.parameters("path") {
        let name = parameter["name"].as_str().expect("a name");
        for wrong in maker.wrong(&parameter["schema"]).iter().filter_map(Value::as_str).filter(|text| !text.is_empty())
        {
            // One wrong parameter is enough.
            let path = run.path.replace(&format!("{{{name}}}"), &escaped(wrong)).replace(['{', '}'], "");
            run.refused(&Asked { path, ..right.clone() }, &[400, 404]).await;
        }
    }
}

async fn bodies(run: &Run<'_>, maker: &Maker<'_>, right: &Asked) {
    let (Some(schema), Some(body)) = (run.body(), &right.body) else { return };
    let with = |body: String| Asked { body: Some(body), ..right.clone() };
    let value: Value = serde_json::from_str(body).expect("JSON");
    for broken in maker.broken(schema, &value) {
        // Missing permission is reported first.
        run.refused(&with(broken.to_string()), &[400, 403]).await;
    }
    for text in ["{", "[]", "null", "\"x\"", "7", "{}{}", "{\"name\":\"a\",\"name\":\"b\"}", "\u{FEFF}{}"] {
        run.refused(&with(text.to_owned()), &[400]).await;
    }
    if run.operation["requestBody"]["required"] == true {
        run.refused(&Asked { body: None, ..right.clone() }, &[400]).await;
    }
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        run.refused(&Asked { headers: vec![("content-type", media.to_owned())], ..right.clone() }, &[415]).await;
    }
    let most = if run.operation["operationId"] == "put_apis_id_routes" { RULES_BODY_MAX } else { BODY_MAX };
    run.refused(&with(format!("{{{}}}", " ".repeat(most))), &[413]).await;
}

#[tokio::test]
async fn undocumented_methods_are_not_allowed() {
    let app = TestApp::new().await;
    let admin = Caller::admin(&app, EVERYTHING).await;
    let document = app.get("/openapi.json").await.status(200).json();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["get", "post", "put", "patch", "delete"].iter().filter(|method| item.get(**method).is_none()) {
            let Some(target) = path.strip_prefix("/api/v1") else { continue };
            app.advance(1);
            let method = Method::try_from(method.to_uppercase().as_str()).expect("a method");
            let reply = admin.send(method.clone(), &target.replace(['{', '}'], ""), &[], None).await;
            reply.problem(405, "method_not_allowed");
            assert!(reply.headers.contains_key("allow"), "{method} {path}");
        }
    }
}

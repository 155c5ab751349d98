//! Owns the same test for endpoints outside the management API: OAuth, credentials about themselves, the gateway. Valid
//! requests need existing codes and tokens and are written out; invalid ones are generated.

use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Value, json};

use super::{BODY_MAX, Judge, Maker, SEED};
use crate::harness::{OAuthClient, Reply, TestApp, app::CALLBACK, flow};

struct Asker<'a> {
    app: &'a TestApp,
    judge: &'a Judge,
}

impl Asker<'_> {
    /// Sends a request and asserts that the response is described and not a server error.
    async fn send(&self, method: Method, path: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.app.advance(1);
        let request = Request::builder().method(method.clone()).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let reply = self.app.send(request.body(Body::from(body.to_owned())).expect("a request")).await;
        let operation = &self.judge.document["paths"][path][method.as_str().to_lowercase().as_str()];
        let shown = format!("{method} {uri} {body} (seed {SEED})");
        assert!(reply.status.as_u16() < 500, "{shown}: {} {}", reply.status, reply.body);
        self.judge.described(operation, &reply, &shown);
        reply
    }

    async fn get(&self, path: &str, credential: Option<&str>) -> Reply {
        let bearer = credential.map(|credential| format!("Bearer {credential}"));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        self.send(Method::GET, path, path, &headers, "").await
    }

    /// Posts a form; a list becomes a repeated parameter.
    async fn form(&self, path: &str, client: Option<&OAuthClient>, form: &Value) -> Reply {
        let mut headers = vec![(header::CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")];
        let basic = client.map(OAuthClient::basic);
        headers.extend(basic.iter().map(|basic| ("authorization", basic.as_str())));
        self.send(Method::POST, path, path, &headers, &encoded(form)).await
    }

    fn schema(&self, path: &str) -> &Value {
        &self.judge.document["paths"][path]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    }

    /// Forms that the document forbids are refused, as are repeats, other media types and parameters in the URL.
    async fn wrong_forms(&self, path: &str, client: &OAuthClient, right: &Value) {
        let maker = Maker::new(self.judge, SEED);
        let schema = self.schema(path);
        for broken in maker.broken(schema, right) {
            // A form has only texts and lists of texts, and repeats only lists.
            let is_form = |(name, value): (&String, &Value)| {
                let is_list = schema["properties"][name]["type"] == "array";
                let is_text = |value: &Value| value.is_string();
                value.as_array().map_or(!is_list && is_text(value), |items| is_list && items.iter().all(is_text))
            };
            if broken.as_object().expect("an object").iter().all(is_form) {
                let reply = self.form(path, Some(client), &broken).await;
                assert_eq!(reply.status, 400, "{path} {broken}: {}", reply.body);
            }
        }
        let (basic, form) = (client.basic(), encoded(right));
        let typed = |media: &'static str| [("authorization", basic.as_str()), ("content-type", media)];
        let plain = typed("application/x-www-form-urlencoded");
        for (uri, headers, body, status) in [
            (path.to_owned(), typed("text/plain"), form.clone(), 415),
            (path.to_owned(), typed("multipart/form-data"), form.clone(), 415),
            (format!("{path}?more=1"), plain, form.clone(), 400),
            (path.to_owned(), plain, format!("{form}&{form}"), 400),
            (path.to_owned(), plain, format!("{form}&more=%ff"), 400),
            (path.to_owned(), plain, format!("{form}&more={}", "x".repeat(BODY_MAX)), 413),
        ] {
            self.send(Method::POST, path, &uri, &headers, &body).await.status(status);
        }
        let wrong = OAuthClient { id: client.id.clone(), secret: Some("wrong".to_owned()) };
        self.form(path, Some(&wrong), right).await.status(401);
        self.form(path, None, right).await.status(401);
    }
}

fn encoded(form: &Value) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form.as_object().expect("a form") {
        match value {
            Value::Array(items) => items.iter().for_each(|item| {
                out.append_pair(name, item.as_str().expect("a text"));
            }),
            value => {
                out.append_pair(name, value.as_str().expect("a text"));
            }
        }
    }
    out.finish()
}

#[tokio::test]
async fn token_endpoint_matches_its_description() {
    let app = TestApp::new().await;
    let judge = Judge::new(app.get("/openapi.json").await.json());
    let asker = Asker { app: &app, judge: &judge };
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let path = "/oauth/token";
    asker.wrong_forms(path, &client, &json!({ "grant_type": "authorization_code", "code": "x", "resource": [] })).await;
    let code = flow::code(&browser, &client).await;
    let by_code = json!({
        "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": flow::VERIFIER,
    });
    let made = asker.form(path, Some(&client), &by_code).await;
    let refresh = made.status(200).text("refresh_token");
    let by_refresh = json!({ "grant_type": "refresh_token", "refresh_token": refresh, "scope": "read" });
    asker.form(path, Some(&client), &by_refresh).await.status(200);
    let alone =
        json!({ "grant_type": "client_credentials", "scope": " read  write", "resource": [crate::harness::app::API] });
    asker.form(path, Some(&client), &alone).await.status(200);
    asker
        .wrong_forms(path, &client, &json!({ "grant_type": "client_credentials", "scope": "read", "resource": [] }))
        .await;
    let json = [("authorization", client.basic()), ("content-type", "application/json".to_owned())];
    let json: Vec<(&str, &str)> = json.iter().map(|(name, value)| (*name, value.as_str())).collect();
    asker.send(Method::POST, path, path, &json, r#"{"grant_type":"client_credentials"}"#).await.status(200);
    asker.send(Method::POST, path, path, &json, "[]").await.status(400);
    let public = app.public().await;
    let form = json!({ "grant_type": "client_credentials", "client_id": public.id });
    asker.form(path, None, &form).await.oauth_error("unauthorized_client");
}

#[tokio::test]
async fn introspection_and_revocation_match_their_description() {
    let app = TestApp::new().await;
    let judge = Judge::new(app.get("/openapi.json").await.json());
    let asker = Asker { app: &app, judge: &judge };
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let alone = app.client_token(&client).await;
    let path = "/oauth/introspect";
    for token in [&key, &access, &alone] {
        let form = json!({ "token": token, "ip_address": "2001:db8::7", "user_agent": "curl" });
        asker.form(path, Some(&app.api), &form).await.active();
    }
    for token in [&access, &refresh, &alone] {
        asker.form(path, Some(&client), &json!({ "token": token })).await.active();
    }
    asker.form(path, Some(&app.api), &json!({ "token": refresh })).await.inactive();
    let many = json!({ "tokens[]": [key, "nonsense", access] });
    let told = asker.form(path, Some(&app.api), &many).await.status(200).json();
    assert_eq!(told["tokens"].as_array().map(Vec::len), Some(3));
    asker.wrong_forms(path, &app.api, &json!({ "token": "x", "ip_address": "192.0.2.1" })).await;
    let too_many = json!({ "tokens[]": vec!["x"; 101] });
    asker.form(path, Some(&app.api), &too_many).await.status(400);
    let path = "/oauth/revoke";
    asker.wrong_forms(path, &client, &json!({ "token": "x" })).await;
    asker.form(path, Some(&client), &json!({})).await.status(400);
    asker.form(path, Some(&app.confidential().await), &json!({ "token": access })).await.oauth_error("invalid_grant");
    for token in [&access, &refresh] {
        asker.form(path, Some(&client), &json!({ "token": token, "token_type_hint": "x" })).await.status(200);
    }
    let bearer = format!("Bearer {key}");
    asker.send(Method::POST, path, path, &[("authorization", &bearer)], "").await.status(200);
    asker.send(Method::POST, path, path, &[("authorization", "Bearer x")], "").await.status(401);
}

#[tokio::test]
async fn self_endpoints_match_their_description() {
    let app = TestApp::new().await;
    let judge = Judge::new(app.get("/openapi.json").await.json());
    let asker = Asker { app: &app, judge: &judge };
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key_with(&user, "read", |new| new.expires_in_seconds = Some(86_400)).await;
    let alone = app.client_token(&app.confidential().await).await;
    for path in ["/v1/users/me", "/health"] {
        for credential in [&key, &alone] {
            asker.get(path, Some(credential)).await.status(200);
        }
        asker.get(path, Some("nonsense")).await.status(401);
        asker.send(Method::GET, path, &format!("{path}?access_token=x"), &[], "").await.status(400);
    }
    asker.get("/v1/users/me", None).await.status(401);
    asker.get("/health", None).await.status(200);
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/jwks.json"] {
        let etag = asker.get(path, None).await.status(200).header("etag").to_owned();
        asker.send(Method::GET, path, path, &[("if-none-match", &etag)], "").await.status(304);
    }
    let bearer = format!("Bearer {key}");
    let path = "/gateway/verify";
    asker.send(Method::GET, path, path, &[("authorization", &bearer)], "").await.status(200);
    asker.send(Method::GET, path, path, &[("authorization", "Bearer x")], "").await.status(401);
    let path = "/gateway/verify/{api}";
    let verify = async |slug: &str, headers: &[(&str, &str)], status: u16| {
        asker.send(Method::GET, path, &format!("/gateway/verify/{slug}"), headers, "").await.status(status);
    };
    verify("example-api", &[("authorization", &bearer)], 200).await;
    verify("example-api", &[("authorization", "Bearer x")], 401).await;
    verify("example-api", &[], 401).await;
    verify("nothing", &[], 404).await;
    verify("example-api", &[("authorization", &bearer), ("authorization", "Bearer x")], 400).await;
    // With rules, this request has no original method and path.
    app.route("example-api", "GET", "/v1/*", "write", false).await;
    verify("example-api", &[("authorization", &bearer)], 400).await;
    asker
        .send(Method::GET, path, "/gateway/verify/example-api/v1/x", &[("authorization", &bearer)], "")
        .await
        .status(403);
    app.api("Second API", "https://second.example.test", &["second"]).await;
    asker.send(Method::GET, "/gateway/verify", "/gateway/verify", &[("authorization", &bearer)], "").await.status(400);
    let path = "/leaks/secret-scanning";
    asker.send(Method::POST, path, path, &[], "[]").await.status(404);
}

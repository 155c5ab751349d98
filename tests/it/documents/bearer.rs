//! Owns `bearer-keys-and-oauth.md`: Bearer keys and OAuth on one API, three error bodies, plans with their headers.

use std::sync::Arc;

use axum::http::{Request, header};
use grantd::{app::App, config::Config, engine::master::MasterKey, model::clock::Clock, router::router};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{EMAIL, Site, text};
use crate::harness::{
    Installation, OAuthClient, Reply,
    app::{CALLBACK, encode},
    document::Document,
    process::now,
};

const DOCUMENT: Document = Document(include_str!("../seeds/bearer-keys-and-oauth.md"));
const HOST: &str = "https://api.example.com";
const ME: &str = "/v1/users/me";

async fn site() -> Site {
    Site::new("bearer", |here| {
        here.json(&["api", "add-route", "example", "--method", "GET", "--path", "/v1/*", "--scope", "read"]);
        here.json(&["api", "add-route", "example", "--method", "POST", "--path", "/v1/*", "--scope", "write"]);
        here.json(&["plan", "set", "tiny", "--per-hour", "1", "--burst", "50"]);
        here.json(&["user", "create", "--email", "tiny@example.com", "--plan", "tiny"]);
    })
    .await
}

impl Site {
    fn bearer(&self, snippet: &str) -> String {
        self.here(snippet, HOST, "YOUR_API_KEY", &self.front.key)
    }

    async fn get(&self, path: &str, credential: &str) -> Reply {
        self.front.ask("GET", path, &[("authorization", &format!("Bearer {credential}"))], "").await
    }
}

#[tokio::test]
async fn curl_commands_work() {
    let site = site().await;
    let commands = DOCUMENT.snippets("bash");
    assert_eq!(commands.len(), 3);
    for command in &commands[..2] {
        let said = site.reader.bash(&site.bearer(command));
        assert!(said.contains("Ada Lovelace") && said.ends_with("] 200\n"), "{said}");
    }
    let said = site.reader.bash(&site.bearer(&commands[2]));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains(r#""name":"alice""#) && lines[0].ends_with(" 200"), "{said}");
    assert_eq!(lines[1], format!("{} 401", DOCUMENT.shown("invalid_api_key")), "{said}");
}

#[tokio::test]
async fn javascript_python_and_go_snippets_work() {
    let site = site().await;
    let (key, reader) = (site.front.key.as_str(), &site.reader);
    let said = reader.node(&site.bearer(&DOCUMENT.snippet("javascript", "fetch(")), ("API_KEY", ""));
    assert!(said.contains("Ada Lovelace"), "{said}");
    let said = reader.python(&site.bearer(&DOCUMENT.snippet("python", "YOUR_API_KEY")), ("API_KEY", ""));
    assert!(said.contains("Ada Lovelace"), "{said}");
    // The document defines functions; its reader calls them.
    let here = |snippet: String, call: &str| snippet.replace(HOST, &site.front.proxy.base) + call;
    let node = here(DOCUMENT.snippet("javascript", "axios"), "\ngetUser('123').then(user => console.log(user));\n");
    let python = here(DOCUMENT.snippet("python", "class APIClient"), "");
    let go = here(
        DOCUMENT.snippet("go", "package main"),
        "\nfunc main() {\n\tuser, err := NewAPIClient().GetUser(\"123\")\n\tfmt.Println(user, err)\n}\n",
    );
    for said in [
        reader.node(&node, ("API_KEY", key)),
        reader.python(&python, ("API_KEY", key)),
        reader.go(&go, ("API_KEY", key)),
    ] {
        assert!(said.contains("Ada Lovelace"), "{said}");
    }
    let said = reader.node(&node, ("API_KEY", "INVALID_KEY"));
    assert!(said.contains("Authentication failed") && said.contains("401"), "{said}");
    let said = reader.python(&python, ("API_KEY", "INVALID_KEY"));
    assert!(said.contains("401 Client Error: Unauthorized"), "{said}");
    let said = reader.go(&go, ("API_KEY", "INVALID_KEY"));
    assert!(
        said.contains("error:invalid_api_key") && said.contains("message:The API key provided is invalid."),
        "{said}"
    );
}

#[tokio::test]
async fn errors_match_the_document() {
    let site = site().await;
    for path in ["/v1/users", ME] {
        let reply = site.front.ask("GET", path, &[], "").await;
        assert_eq!(reply.status(401).json(), DOCUMENT.shown("missing_api_key"), "{path}");
        assert_eq!(site.get(path, "INVALID_KEY").await.status(401).json(), DOCUMENT.shown("invalid_api_key"), "{path}");
    }
    let client =
        site.front.here.client(&["--redirect-uri", CALLBACK, "--scope", "read", "--grant-type", "client_credentials"]);
    let expired = expired_token(&site.front.here, &client).await;
    assert_eq!(site.get("/v1/users", &expired).await.status(401).json(), DOCUMENT.shown("token_expired"));
    // An expired key is not reported as expired; an expired token is.
    site.front.here.json(&["key", "revoke", &site.front.key_id]);
    let bearer = format!("Bearer {}", site.front.key);
    let reply = site.until(401, "/v1/users", ("authorization", &bearer)).await;
    assert_eq!(reply.json(), DOCUMENT.shown("invalid_api_key"));
}

/// A token that this server issued two hours ago, valid for an hour.
async fn expired_token(here: &Installation, client: &OAuthClient) -> String {
    let variables = here.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let config = Config::load(None, variables, &[]).expect("a configuration");
    let master = MasterKey::parse(here.variable("GRANTD_MASTER_KEY")).expect("a master key");
    let app = App::new(config, master, Clock::manual(now())).await.expect("an app");
    app.clock.advance_seconds(-7200);
    let request = Request::post("/oauth/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, client.basic())
        .body(encode(&[("grant_type", "client_credentials")]))
        .expect("a request");
    let reply = Reply::of(router(Arc::new(app)).oneshot(request).await.expect("infallible")).await;
    reply.status(200).text("access_token")
}

#[tokio::test]
async fn rate_limit_headers_match_the_document() {
    let site = site().await;
    let shown: Vec<(&str, &str)> = DOCUMENT
        .0
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.starts_with("X-RateLimit-"))
        .collect();
    let values = |reply: &Reply| shown.iter().map(|(name, _)| reply.header(&name.to_lowercase()).to_owned()).collect();
    let mut left: Vec<Vec<String>> = Vec::new();
    for (method, path, status) in
        [("GET", "/v1/users", 200), ("GET", ME, 200), ("POST", "/v1/users", 403), ("GET", "/v1/nothing", 200)]
    {
        let bearer = format!("Bearer {}", site.front.key);
        let reply = site.front.ask(method, path, &[("authorization", &bearer)], "").await;
        reply.status(status);
        left.push(values(&reply));
    }
    let reset: i64 = left[0][2].parse().expect("seconds since the epoch");
    assert!((0..=3600).contains(&(reset - now().seconds())), "{left:?}");
    // Unless the hour has ended meanwhile, these are the document's own first numbers.
    if left.iter().all(|values| values[2] == left[0][2]) {
        assert_eq!(left[0][..2], [shown[0].1, shown[1].1], "{left:?}");
        assert_eq!(left.iter().map(|values| values[1].as_str()).collect::<Vec<_>>(), ["999", "998", "998", "997"]);
    }
    let (_, key) = site.front.here.key("tiny@example.com");
    let bearer = format!("Bearer {key}");
    let mut reply = site.until(200, "/v1/users", ("authorization", &bearer)).await;
    for _ in 0..3 {
        if reply.status == 429 {
            break;
        }
        reply = site.get("/v1/users", &key).await;
    }
    let seconds = reply.status(429).header("retry-after").to_owned();
    let expected = DOCUMENT.snippet("json", "rate_limit_exceeded").replace("3600", &seconds);
    assert_eq!(reply.json(), serde_json::from_str::<Value>(&expected).expect("JSON"));
    assert_eq!(values(&reply)[..2], ["1", "0"]);
}

#[test]
fn documented_plans_are_shipped() {
    let here = Installation::new();
    here.user(EMAIL);
    let listed = here.json(&["plan", "list"]);
    for tier in ["Free", "Pro", "Enterprise"] {
        let row = DOCUMENT.line(&format!("{tier} |")).replace(',', "").to_lowercase();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let number = |text: &str| text.parse::<u32>().map_or_else(|_| Value::Null, |number| json!(number));
        let expected = json!({ "name": cells[0], "per_hour": number(cells[1]), "burst": number(cells[2]) });
        assert!(listed["items"].as_array().expect("plans").contains(&expected), "{expected}: {listed}");
    }
}

#[tokio::test]
async fn oauth_requests_work_at_the_same_host() {
    let site = site().await;
    // They use neither PKCE nor state.
    let client = site.front.here.client(&["--redirect-uri", CALLBACK, "--without-pkce"]);
    let secret = client.secret.as_deref().expect("a secret");
    let fill = |text: &str| {
        let text = text.replace("YOUR_CLIENT_ID", &client.id).replace("YOUR_CLIENT_SECRET", secret);
        text.replace("YOUR_REDIRECT_URI", CALLBACK)
    };
    let request = fill(&DOCUMENT.snippet("http", "/oauth/authorize"));
    let target: String = request.trim_start_matches("GET ").lines().map(str::trim).collect();
    // A browser encodes a space this way.
    let target = target.replace(HOST, "").replace(' ', "%20");
    let answer = site.visitor().allow(&target, EMAIL).await;
    let answer = url::Url::parse(&answer).expect("a URL");
    let (_, code) = answer.query_pairs().find(|(name, _)| name == "code").expect("a code");

    let request = fill(&DOCUMENT.snippet("http", "/oauth/token")).replace("AUTHORIZATION_CODE", &code);
    let (head, body) = request.split_once("\n\n").expect("a head and a body");
    assert_eq!(head, format!("POST {HOST}/oauth/token\nContent-Type: application/json"));
    let reply = site.front.ask("POST", "/oauth/token", &[("content-type", "application/json")], body).await;
    let token = reply.status(200).text("access_token");

    let request = DOCUMENT.snippet("http", "Bearer ACCESS_TOKEN").replace("ACCESS_TOKEN", &token);
    let (line, header) = request.split_once('\n').expect("a line and a header");
    let (name, value) = header.split_once(": ").expect("a header");
    let path = line.strip_prefix(&format!("GET {HOST}")).expect("a path");
    let reply = site.front.ask("GET", path, &[(name, value)], "").await;
    assert!(reply.status(200).body.contains("Ada Lovelace"));
    // "For user-specific access": the API learns whose data it is, and which app calls.
    let seen = site.front.upstream.one();
    assert_eq!(
        (seen.header("x-auth-subject"), seen.header("x-auth-client")),
        (site.front.user.as_str(), client.id.as_str())
    );
    assert_eq!(text(&site.get(ME, &token).await.json(), "id"), site.front.user);
}

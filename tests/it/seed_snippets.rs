//! Owns tests that the documentation of an API behind grantd is right: its snippets run with only host and key
//! replaced, in each language. A copy of its text is in `seeds`.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{
    Installation, OAuthClient, Visitor,
    app::CALLBACK,
    document::{Document, Reader},
    process::Server,
    wait,
};

const DOCUMENT: Document = Document(include_str!("seeds/bearer-keys-and-oauth.md"));
const HOST: &str = "https://api.example.com";
const EMAIL: &str = "alice@example.com";

/// grantd, and the example API behind it.
struct Setting {
    grantd: Server,
    api: Api,
    key: String,
    here: Installation,
    reader: Reader,
}

/// The example API as a process; stopped when dropped.
struct Api {
    base: String,
    child: Child,
}

impl Drop for Api {
    fn drop(&mut self) {
        // It may have ended before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Api {
    fn new(grantd: &str, credentials: &OAuthClient) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_grantd")).with_file_name("examples/resource_server");
        assert!(binary.exists(), "cargo build --example resource_server makes {}", binary.display());
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--grantd", grantd])
            .env("API_ID", &credentials.id)
            .env("API_SECRET", credentials.secret.as_deref().expect("a secret"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("its address");
        Self { base: line.trim().to_owned(), child }
    }
}

impl Setting {
    async fn new() -> Self {
        let here = Installation::new();
        let credentials = here.api();
        here.user(EMAIL);
        let (_, key) = here.key(EMAIL);
        let grantd = here.serve().await;
        let api = Api::new(&grantd.base, &credentials);
        Self { grantd, api, key, here, reader: Reader::new() }
    }

    /// The snippet with only host and key replaced.
    fn here(&self, snippet: &str) -> String {
        snippet.replace(HOST, &self.api.base).replace("YOUR_API_KEY", &self.key)
    }

    async fn get(&self, path: &str, credential: Option<&str>) -> (u16, Value) {
        let mut request = self.grantd.http.get(format!("{}{path}", self.api.base));
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        let reply = self.grantd.send(request).await.expect("a reply");
        (reply.status.as_u16(), reply.json())
    }
}

#[tokio::test]
async fn curl_commands_work() {
    let setting = Setting::new().await;
    let commands = DOCUMENT.snippets("bash");
    assert_eq!(commands.len(), 3);
    for command in &commands[..2] {
        let said = setting.reader.bash(&setting.here(command));
        assert!(said.contains("Ada Lovelace") && said.ends_with("] 200\n"), "{said}");
    }
    let said = setting.reader.bash(&setting.here(&commands[2]));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains(r#""name":"alice""#) && lines[0].ends_with(" 200"), "{said}");
    assert!(lines[1].contains("invalid_api_key") && lines[1].ends_with(" 401"), "{said}");
}

#[tokio::test]
async fn javascript_snippets_work() {
    let setting = Setting::new().await;
    let said = setting.reader.node(&setting.here(&DOCUMENT.snippet("javascript", "fetch(")), ("API_KEY", ""));
    assert!(said.contains("Ada Lovelace"), "{said}");
    // The document defines the function; its reader calls it.
    let program =
        setting.here(&DOCUMENT.snippet("javascript", "axios")) + "\ngetUser('123').then(user => console.log(user));\n";
    let said = setting.reader.node(&program, ("API_KEY", &setting.key));
    assert!(said.contains("Ada Lovelace"), "{said}");
    let said = setting.reader.node(&program, ("API_KEY", "INVALID_KEY"));
    assert!(said.contains("Authentication failed") && said.contains("401"), "{said}");
}

#[tokio::test]
async fn python_snippets_work() {
    let setting = Setting::new().await;
    let said = setting.reader.python(&setting.here(&DOCUMENT.snippet("python", "YOUR_API_KEY")), ("API_KEY", ""));
    assert!(said.contains("Ada Lovelace"), "{said}");
    let program = setting.here(&DOCUMENT.snippet("python", "class APIClient"));
    let said = setting.reader.python(&program, ("API_KEY", &setting.key));
    assert!(said.contains("Ada Lovelace"), "{said}");
    let said = setting.reader.python(&program, ("API_KEY", "INVALID_KEY"));
    assert!(said.contains("401 Client Error: Unauthorized"), "{said}");
}

#[tokio::test]
async fn go_snippets_work() {
    let setting = Setting::new().await;
    // The document imports fmt without using it, which Go refuses; the reader's main prints.
    let program = setting.here(&DOCUMENT.snippet("go", "package main"))
        + "\nfunc main() {\n\tuser, err := NewAPIClient().GetUser(\"123\")\n\tfmt.Println(user, err)\n}\n";
    let said = setting.reader.go(&program, ("API_KEY", &setting.key));
    assert!(said.contains("name:Ada Lovelace") && said.contains("<nil>"), "{said}");
    let said = setting.reader.go(&program, ("API_KEY", "INVALID_KEY"));
    assert!(said.contains("error:invalid_api_key"), "{said}");
}

#[tokio::test]
async fn oauth_requests_of_the_document_work() {
    let setting = Setting::new().await;
    // They use neither PKCE nor state.
    let client = setting.here.client(&["--redirect-uri", CALLBACK, "--without-pkce"]);
    let secret = client.secret.as_deref().expect("a secret");
    let fill = |text: &str| {
        let text = text.replace("YOUR_CLIENT_ID", &client.id).replace("YOUR_CLIENT_SECRET", secret);
        text.replace("YOUR_REDIRECT_URI", CALLBACK)
    };
    let request = fill(&DOCUMENT.snippet("http", "/oauth/authorize"));
    let target: String = request.trim_start_matches("GET ").lines().map(str::trim).collect();
    // A browser encodes a space this way.
    let target = target.replace(HOST, "").replace(' ', "%20");
    let answer = Visitor::new(&setting.grantd, setting.here.variable("GRANTD_ISSUER")).allow(&target, EMAIL).await;
    let answer = url::Url::parse(&answer).expect("a URL");
    let (_, code) = answer.query_pairs().find(|(name, _)| name == "code").expect("a code");

    let request = fill(&DOCUMENT.snippet("http", "/oauth/token")).replace("AUTHORIZATION_CODE", &code);
    let (head, body) = request.split_once("\n\n").expect("a head and a body");
    assert_eq!(head, format!("POST {HOST}/oauth/token\nContent-Type: application/json"));
    let sent = setting.grantd.http.post(format!("{}/oauth/token", setting.grantd.base));
    let reply = setting.grantd.send(sent.header("content-type", "application/json").body(body.to_owned())).await;
    let reply = reply.expect("a reply");
    reply.status(200);

    let (status, users) = setting.get("/v1/users", Some(&reply.text("access_token"))).await;
    assert_eq!((status, &users[0]["name"]), (200, &json!("Ada Lovelace")));
}

#[tokio::test]
async fn errors_match_the_document() {
    let setting = Setting::new().await;
    assert_eq!(setting.get("/v1/users", None).await, (401, DOCUMENT.shown("missing_api_key")));
    assert_eq!(setting.get("/v1/users", Some("INVALID_KEY")).await, (401, DOCUMENT.shown("invalid_api_key")));
    let claims = data_encoding::BASE64URL_NOPAD.encode(br#"{"exp":1}"#);
    assert_eq!(
        setting.get("/v1/users", Some(&format!("e30.{claims}.x"))).await,
        (401, DOCUMENT.shown("token_expired"))
    );
    let made = setting.here.json(&["key", "create", "--user", EMAIL, "--scope", "write"]);
    let (status, body) = setting.get("/v1/users", made["key"].as_str()).await;
    assert_eq!((status, &body["error"]), (403, &json!("insufficient_scope")));
    assert_eq!(setting.get("/v1/users/999", Some(&setting.key)).await.0, 404);
}

#[tokio::test]
async fn api_fails_closed_without_grantd() {
    let setting = Setting::new().await;
    assert_eq!(setting.get("/v1/users/me", Some(&setting.key)).await.0, 200);
    setting.grantd.signal("KILL");
    // A response is reused for at most a second.
    wait::at_least(std::time::Duration::from_millis(1100)).await;
    let (status, body) = setting.get("/v1/users/me", Some(&setting.key)).await;
    assert_eq!((status, &body["error"]), (503, &json!("temporarily_unavailable")));
    assert_eq!(setting.get("/v1/users/me", Some("INVALID_KEY")).await.0, 503);
    assert_eq!(setting.get("/v1/users/me", None).await.0, 401);
}

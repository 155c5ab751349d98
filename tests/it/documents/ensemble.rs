//! Owns `ensemble-api-keys.md`: Bearer keys, errors wrapped in `success: false`, `/health` to test the key. Its SDK is
//! the provider's own package, so there is nothing to run here.

use serde_json::{Value, json};

use super::{Site, text};
use crate::harness::document::Document;

const DOCUMENT: Document = Document(include_str!("../seeds/ensemble-api-keys.md"));
const HOST: &str = "https://api.example.com";
const EMAIL: &str = "pro@example.com";

/// The API, and the key of a user with the document's plan.
async fn site() -> (Site, String, String) {
    let site = Site::new("ensemble", |here| {
        here.json(&[
            "api",
            "add-route",
            "example",
            "--method",
            "GET",
            "--path",
            "/execute/{ensemble}",
            "--scope",
            "read",
        ]);
        here.json(&[
            "api",
            "add-route",
            "example",
            "--method",
            "POST",
            "--path",
            "/execute/{ensemble}",
            "--scope",
            "write",
        ]);
        here.json(&["api", "add-route", "example", "--method", "GET", "--path", "/health"]);
        here.json(&["plan", "set", "tiny", "--per-hour", "1", "--burst", "50"]);
        here.json(&["user", "create", "--email", EMAIL, "--plan", "pro"]);
    })
    .await;
    let made = site.front.here.json(&["key", "create", "--user", EMAIL, "--scope", "read"]);
    let users = site.front.here.json(&["user", "list"]);
    let user = users["items"].as_array().expect("users").iter().find(|user| user["email"] == EMAIL).expect("a user");
    let (key, user) = (text(&made, "key"), text(user, "id"));
    site.until(200, "/health", ("authorization", &format!("Bearer {key}"))).await;
    (site, key, user)
}

#[tokio::test]
async fn commands_work_and_health_matches_the_document() {
    let (site, key, user) = site().await;
    let commands = DOCUMENT.snippets("bash");
    let [execute, health] = &commands[..] else { panic!("{commands:?}") };
    let said = site.reader.bash(&site.here(execute, HOST, "YOUR_API_KEY", &key));
    assert!(said.ends_with("} 200\n"), "{said}");
    assert_eq!(site.front.upstream.one().target, "/execute/your-ensemble");
    let said = site.reader.bash(&site.here(health, HOST, "YOUR_API_KEY", &key));
    let body: Value = serde_json::from_str(said.strip_suffix(" 200\n").expect("200")).expect("JSON");
    let expected = DOCUMENT.snippet("json", "healthy").replace("user_123", &user);
    assert_eq!(body, serde_json::from_str::<Value>(&expected).expect("JSON"));
}

#[tokio::test]
async fn idempotency_and_request_id_headers_pass_both_ways() {
    let (site, key, _) = site().await;
    // As in the document: the required headers, and the optional ones with their purposes.
    let blocks = DOCUMENT.snippets("http");
    let text = blocks.join("\n").replace("YOUR_API_KEY", &key);
    let headers: Vec<(&str, &str)> = text
        .lines()
        .map(|line| line.split("  #").next().unwrap_or_default().split_once(": ").expect("a header"))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    assert_eq!(headers.len(), 4, "{headers:?}");
    let reply = site.front.ask("GET", "/execute/your-ensemble", &headers, "").await;
    assert_eq!(reply.status(200).header("x-request-id"), "unique-request-id");
    let seen = site.front.upstream.one();
    for (name, value) in headers {
        assert_eq!(seen.header(&name.to_lowercase()), value.trim_end());
    }
    // The owner finds the reason by this id, so a refusal has it too.
    let reply = site.front.ask("GET", "/execute/your-ensemble", &[("X-Request-ID", "unique-request-id-2")], "").await;
    assert_eq!(reply.status(401).header("x-request-id"), "unique-request-id-2");
}

#[tokio::test]
async fn errors_match_the_document() {
    let (site, key, _) = site().await;
    let bearer = format!("Bearer {key}");
    let (unauthorized, forbidden) = (DOCUMENT.shown("UNAUTHORIZED"), DOCUMENT.shown("FORBIDDEN"));
    for path in ["/execute/your-ensemble", "/health"] {
        let reply = site.front.ask("GET", path, &[], "").await;
        assert_eq!(reply.status(401).json(), unauthorized, "{path}");
        let reply = site.front.ask("GET", path, &[("authorization", "Bearer INVALID_KEY")], "").await;
        assert_eq!(reply.status(401).json(), unauthorized, "{path}");
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"grantd\", error=\"invalid_token\"");
    }
    for (method, path) in [("POST", "/execute/your-ensemble"), ("GET", "/elsewhere"), ("DELETE", "/health")] {
        let reply = site.front.ask(method, path, &[("authorization", &bearer)], "").await;
        assert_eq!(reply.status(403).json(), forbidden, "{method} {path}");
    }
    // Errors that the document does not show have the same shape.
    let reply = site.front.ask("GET", "/execute//x", &[("authorization", &bearer)], "").await;
    assert_eq!(
        (&reply.status(400).json()["success"], &reply.json()["error"]["code"]),
        (&json!(false), &json!("BAD_REQUEST"))
    );
    site.front.here.json(&["user", "create", "--email", "tiny@example.com", "--plan", "tiny"]);
    let (_, key) = site.front.here.key("tiny@example.com");
    let bearer = format!("Bearer {key}");
    site.until(200, "/execute/x", ("authorization", &bearer)).await;
    let reply = site.until(429, "/execute/x", ("authorization", &bearer)).await;
    assert_eq!((&reply.json()["success"], &reply.json()["error"]["code"]), (&json!(false), &json!("RATE_LIMITED")));
    assert!(!reply.header("retry-after").is_empty());
}

#[tokio::test]
async fn compromised_key_is_revoked_and_environments_have_separate_keys() {
    let (site, key, _) = site().await;
    let made = site.front.here.json(&["key", "create", "--user", EMAIL, "--scope", "read", "--environment", "test"]);
    let (id, test) = (text(&made, "id"), format!("Bearer {}", text(&made, "key")));
    site.until(200, "/execute/x", ("authorization", &test)).await;
    let seen = site.front.upstream.take();
    assert_eq!(seen.last().map(|seen| seen.header("x-auth-environment")), Some("test"));
    site.front.here.json(&["key", "revoke", &id]);
    site.until(401, "/execute/x", ("authorization", &test)).await;
    site.front.ask("GET", "/execute/x", &[("authorization", &format!("Bearer {key}"))], "").await.status(200);
    assert_eq!(
        site.front.upstream.take().last().map(|seen| seen.header("x-auth-environment").to_owned()),
        Some("live".into())
    );
}

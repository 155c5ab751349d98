//! Owns `api-key-module.md`: `x-api-key`, keys from user settings, revoked per user, usage per key.

use serde_json::Value;

use super::{EMAIL, Site, text};
use crate::harness::document::Document;

const DOCUMENT: Document = Document(include_str!("../seeds/api-key-module.md"));
const HOST: &str = "https://api.example.com";
const PLACEHOLDER: &str = "your_api_key_here";
const PATH: &str = "/resource";
const OTHER: &str = "bob@example.com";

#[tokio::test]
async fn key_from_the_settings_page_works_in_the_snippets() {
    let site = Site::new("api-key-module", |_| ()).await;
    // "Easily generate unique API keys for each user directly user settings."
    let (mut user, page) = (site.visitor(), "/settings/keys");
    let key = user.sign_in(EMAIL).await.generate_key(page, page, "My script").await;
    let curl = site.here(DOCUMENT.line("curl "), HOST, PLACEHOLDER, &key);
    let said = site.reader.bash(&curl);
    assert!(said.ends_with("} 200\n"), "{said}");
    let seen = site.front.upstream.one();
    assert_eq!((seen.target.as_str(), seen.header("x-auth-subject")), (PATH, site.front.user.as_str()));
    // The document has lost the line breaks of its Python: they stood before these words.
    let mut python = site.here(DOCUMENT.line("import requests "), HOST, PLACEHOLDER, &key);
    for start in ["# Replace", "api_key = '", "api_url = ", "# Make", "headers = {", "response = "] {
        assert!(python.contains(start), "{start}: {python}");
        python = python.replace(&format!(" {start}"), &format!("\n{start}"));
    }
    let python = python + "\nprint(response.status_code, response.text)\n";
    let said = site.reader.python(&python, ("API_KEY", ""));
    assert!(said.starts_with("200 {"), "{said}");
    let said = site.reader.python(&python.replace(&key, "wrong"), ("API_KEY", ""));
    assert_eq!(said.trim(), r#"401 {"error":"invalid_api_key","message":"The API key provided is invalid."}"#);
    // The header as in its table, and as in its text.
    assert_eq!(DOCUMENT.cell("X-API-Key"), "Your-API-Key-Value");
    for name in ["X-API-Key", "x-api-key"] {
        site.front.ask("GET", PATH, &[(name, &key)], "").await.status(200);
    }
    let reply = site.front.ask("GET", PATH, &[], "").await;
    assert_eq!(reply.status(401).json()["message"], "No API key provided in the X-API-Key header.");
}

#[tokio::test]
async fn access_is_revoked_per_user_and_usage_shown_per_key() {
    let site = Site::new("api-key-module", |here| {
        here.user(OTHER);
    })
    .await;
    let (id, other) = site.front.here.key(OTHER);
    for key in [&other, &site.front.key] {
        site.until(200, PATH, ("x-api-key", key)).await;
    }
    let seen = site.front.upstream.take();
    let ids: Vec<&str> = seen.iter().map(|seen| seen.header("x-auth-key-id")).collect();
    assert_eq!(ids, [id.as_str(), &site.front.key_id]);
    site.front.here.json(&["user", "disable", "--email", OTHER]);
    site.until(401, PATH, ("x-api-key", &other)).await;
    site.front.ask("GET", PATH, &[("x-api-key", &site.front.key)], "").await.status(200);
    // Counted in memory, written at the latest when the server stops.
    let Site { front, .. } = site;
    assert!(front.grantd.stop().success());
    let listed = front.here.json(&["key", "list", "--user", EMAIL]);
    let keys = listed["items"].as_array().expect("keys");
    let used = |key: &&Value| text(key, "id") == front.key_id && key["last_used_at"].is_string();
    assert_eq!(keys.iter().filter(used).count(), 1, "{listed}");
    let hours = front.here.store().await.key_usage(&front.key_id, grantd::model::clock::Timestamp(0)).await;
    let hours = hours.expect("usage");
    assert_eq!(
        hours.iter().map(|hour| (hour.allowed, hour.denied)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (2, 0)
    );
    let audited = front.here.json(&["audit"]).to_string();
    assert!(audited.contains("user.disable") && audited.contains("key.create"), "{audited}");
}

//! Owns `iapm-api-keys.md`: `API-Key`, a UUID, one key per grid, and immediate invalidation when regenerating.

use super::{EMAIL, Site, text};
use crate::harness::document::Document;

const DOCUMENT: Document = Document(include_str!("../seeds/iapm-api-keys.md"));
/// Where an OpenTelemetry exporter sends its data, below the endpoint (OTLP/HTTP).
const PATH: &str = "/v1/traces";

/// A grid: a project with the document's policy; returns its id, and id and text of its key.
fn grid(site: &Site, name: &str) -> (String, String, String) {
    let policy = ["--key-form", "uuid", "--one-live-key"];
    let create = ["project", "create", "--user", EMAIL, "--name", name];
    let project = text(&site.front.here.json(&[&create[..], &policy].concat()), "id");
    let made = site.front.here.json(&["key", "create", "--user", EMAIL, "--scope", "read", "--project", &project]);
    (project, text(&made, "id"), text(&made, "key"))
}

/// A UUID in the usual form: five groups of lower-case hexadecimal digits.
fn is_uuid(key: &str) -> bool {
    let groups: Vec<&str> = key.split('-').collect();
    let hex = |group: &&str| group.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(hex)
}

#[tokio::test]
async fn documented_exporter_gets_through() {
    let site = Site::new("iapm", |_| ()).await;
    let (project, id, key) = grid(&site, "Production");
    assert_eq!(DOCUMENT.cell("**Format**"), "UUID string");
    assert!(is_uuid(&key), "{key}");
    let (endpoint, header) = ("https://otlp.iapm.app", "API-Key: YOUR-API-KEY");
    let rows: Vec<&str> = DOCUMENT.0.lines().filter(|line| line.starts_with("| **Endpoint** |")).collect();
    assert_eq!(rows, [&format!("| **Endpoint** | `{endpoint}` |"); 2], "in both tables");
    assert!(DOCUMENT.0.contains(&format!("| **Header** | `{header}` |")));
    let curl = format!("curl -X POST -H 'Content-Type: application/json' -d '{{}}' -H '{header}' {endpoint}{PATH}");
    site.until(200, PATH, ("api-key", &key)).await;
    site.front.upstream.take();
    let said = site.reader.bash(&site.here(&curl, endpoint, "YOUR-API-KEY", &key));
    assert!(said.ends_with("} 200\n"), "{said}");
    let seen = site.front.upstream.one();
    assert_eq!((seen.method.as_str(), seen.body.as_str(), seen.target.as_str()), ("POST", "{}", PATH));
    assert_eq!((seen.header("x-auth-project"), seen.header("x-auth-key-id")), (project.as_str(), id.as_str()));
    let wrong = "00000000-0000-4000-8000-000000000000";
    let said = site.reader.bash(&site.here(&curl, endpoint, "YOUR-API-KEY", wrong));
    assert_eq!(said, "{\"error\":\"invalid_api_key\",\"message\":\"The API key provided is invalid.\"} 401\n");
    let reply = site.front.ask("POST", PATH, &[("x-api-key", &key)], "{}").await;
    assert_eq!(reply.status(401).json()["message"], "No API key provided in the API-Key header.");
}

#[tokio::test]
async fn grids_have_one_key_and_regenerating_ends_the_old_one() {
    let site = Site::new("iapm", |_| ()).await;
    let ((project, id, first), (_, _, other)) = (grid(&site, "Production"), grid(&site, "Staging"));
    assert_ne!(first, other);
    for key in [&first, &other] {
        site.until(200, PATH, ("api-key", key)).await;
    }
    let refused =
        site.front.here.refused(&["key", "create", "--user", EMAIL, "--scope", "read", "--project", &project]);
    assert!(refused.contains("regenerate"), "{refused}");
    // "Go to your grid settings, click Regenerate API Key": "the old key is immediately invalidated".
    assert!(DOCUMENT.0.contains("2. Click **Regenerate API Key**"));
    let mut user = site.visitor();
    let new = user.sign_in(EMAIL).await.regenerate_key(&format!("/settings/projects/{project}"), &id).await;
    assert!(is_uuid(&new) && new != first, "{new}");
    let post = async |key: &str| site.front.ask("POST", PATH, &[("api-key", key)], "{}").await;
    assert_eq!(post(&first).await.status(401).text("error"), "invalid_api_key");
    for key in [&new, &other] {
        post(key).await.status(200);
    }
}

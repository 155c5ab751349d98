//! Owns `telemetry-harbor-api-keys.md`: `X-API-Key`, a key per harbor from its details page, regenerated immediately.

use serde_json::{Value, json};

use super::{EMAIL, Site, text};
use crate::harness::document::Document;

const DOCUMENT: Document = Document(include_str!("../seeds/telemetry-harbor-api-keys.md"));
/// The document names the variable but does not show a request.
const VARIABLE: &str = "TELEMETRY_HARBOR_API_KEY";
const PATH: &str = "/api/v1/ingest";

/// A harbor is a project with a key from its page; returns its id, and id and text of the key.
async fn harbor(site: &Site, name: &str) -> (String, String, String) {
    let project = text(&site.front.here.json(&["project", "create", "--user", EMAIL, "--name", name]), "id");
    let page = format!("/settings/projects/{project}");
    let key = site.visitor().sign_in(EMAIL).await.generate_key(&page, &format!("{page}/keys"), name).await;
    let listed = site.front.here.json(&["key", "list", "--user", EMAIL]);
    let key_of = |row: &&Value| text(row, "name") == name;
    let id = text(listed["items"].as_array().and_then(|keys| keys.iter().find(key_of)).expect("the key"), "id");
    (project, id, key)
}

/// The header as in the document, with this key.
fn header(key: &str) -> (&'static str, String) {
    let shown = DOCUMENT.snippet("", "your_api_key_here");
    assert_eq!(shown, "X-API-Key: your_api_key_here");
    (
        "X-API-Key",
        shown.replace("your_api_key_here", key).split_once(": ").map(|(_, key)| key.to_owned()).expect("a key"),
    )
}

#[tokio::test]
async fn documented_header_and_snippets_work() {
    let site = Site::new("telemetry-harbor", |_| ()).await;
    let (project, id, key) = harbor(&site, "North Sea").await;
    let (name, value) = header(&key);
    site.until(200, PATH, (name, &value)).await;
    let seen = site.front.upstream.take();
    let seen = seen.last().expect("a request");
    assert_eq!((seen.header("x-auth-project"), seen.header("x-auth-key-id")), (project.as_str(), id.as_str()));
    let (base, headers) = (&site.front.proxy.base, "{'X-API-Key': API_KEY}");
    let (node, python) = (DOCUMENT.snippet("javascript", VARIABLE), DOCUMENT.snippet("python", VARIABLE));
    let node = format!(
        "{node}\nfetch('{base}{PATH}', {{method: 'POST', body: '[]', headers: {headers}}})\
         .then(async answer => console.log(answer.status, await answer.text()));\n"
    );
    let python = format!(
        "{python}\nimport requests\nanswer = requests.post('{base}{PATH}', data='[]', headers={headers})\n\
         print(answer.status_code, answer.text)\n"
    );
    for (said, refused) in [
        (site.reader.node(&node, (VARIABLE, &key)), site.reader.node(&node, (VARIABLE, "wrong"))),
        (site.reader.python(&python, (VARIABLE, &key)), site.reader.python(&python, (VARIABLE, "wrong"))),
    ] {
        let got: Value =
            serde_json::from_str(said.strip_prefix("200 ").unwrap_or_else(|| panic!("{said}"))).expect("JSON");
        assert_eq!((&got["method"], &got["body"]), (&json!("POST"), &json!("[]")));
        assert_eq!(refused.trim(), r#"401 {"error":"invalid_api_key","message":"The API key provided is invalid."}"#);
    }
    let reply = site.front.ask("POST", PATH, &[], "[]").await;
    assert_eq!(reply.status(401).json()["message"], "No API key provided in the X-API-Key header.");
}

#[tokio::test]
async fn new_key_for_one_harbor_does_not_affect_others() {
    let site = Site::new("telemetry-harbor", |_| ()).await;
    let ((_, id, first), (_, _, other)) = (harbor(&site, "North Sea").await, harbor(&site, "Baltic").await);
    let get = async |key: &str| site.front.ask("GET", PATH, &[("x-api-key", key)], "").await;
    for key in [&first, &other] {
        get(key).await.status(200);
    }
    // "Generate a new one immediately from your dashboard."
    let new = site.visitor().sign_in(EMAIL).await.regenerate_key(&format!("/settings/keys/{id}"), &id).await;
    assert_ne!(new, first);
    get(&first).await.status(401);
    for key in [&new, &other] {
        get(key).await.status(200);
    }
}

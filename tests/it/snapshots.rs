//! Owns snapshots of everything made of words: pages, tables, metadata, the OpenAPI document. A change of words is
//! reviewed in tests/it/snapshots; `INSTA_UPDATE=always cargo test snapshots` writes them.

use insta::{Settings, assert_snapshot};

use crate::harness::{
    Browser, Installation, TestApp,
    flow::{authorize_url, tokens},
};

/// What differs from run to run, and its placeholder.
const DRAWN: [(&str, &str); 6] = [
    (r"\breq_[0-9A-Za-z_-]{10,}", "req_ID"),
    (r"\b(acct|api|apikey|client|grant|interaction|key|project|rule|route|session|user)_[0-9A-Za-z]{10,}", "${1}_ID"),
    (r"\b(\w+)_(live|test)_[0-9A-Za-z.…]{8,}", "${1}_${2}_KEY"),
    (r"[0-9A-Za-z_-]{20,}", "DRAWN"),
    (r"…[0-9A-Za-z]{4}\b", "…HINT"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
];

fn same(name: &str, words: &str) {
    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (drawn, shown) in DRAWN {
        settings.add_filter(drawn, shown);
    }
    settings.bind(|| assert_snapshot!(name, words));
}

/// What a page says to its reader: its text, and the labels of fields and links.
fn said(page: &str) -> String {
    let body = page.find("<body").map_or(page, |at| &page[at..]);
    let mut lines = vec![String::new()];
    let mut rest = body;
    while let Some(open) = rest.find('<') {
        lines.last_mut().expect("a line").push_str(&rest[..open]);
        let close = open + rest[open..].find('>').expect("a tag ends");
        let tag = &rest[open + 1..close];
        rest = &rest[close + 1..];
        let name = tag.split([' ', '\n', '/']).find(|word| !word.is_empty()).unwrap_or_default();
        if !tag.starts_with('/') && ["svg", "script", "style"].contains(&name) && !tag.ends_with('/') {
            let end = format!("</{name}>");
            rest = rest.find(&end).map_or("", |at| &rest[at + end.len()..]);
        }
        if !["a", "b", "code", "em", "span", "strong", "time"].contains(&name) {
            lines.push(String::new());
        }
        for attribute in ["aria-label", "alt", "placeholder", "title"] {
            if let Some((_, value)) = tag.split_once(&format!("{attribute}=\"")) {
                lines.push(format!("[{attribute}: {}]", value.split('"').next().unwrap_or_default()));
                lines.push(String::new());
            }
        }
    }
    let whole = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    whole.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

async fn pictured(browser: &Browser<'_>, pages: &[(&str, &str)]) {
    for (name, path) in pages {
        let page = browser.get(path).await;
        page.status(200);
        same(name, &said(&page.body));
    }
}

#[tokio::test]
async fn page_texts() {
    let app = TestApp::new().await;
    let user = app.user("ada@example.com").await;
    app.advance(60);
    let browser = app.browser();
    pictured(&browser, &[("page_sign_in", "/login"), ("page_report_a_leak", "/leaked")]).await;
    same("page_not_found", &said(&browser.get("/nothing").await.body));
    browser.log_in("ada@example.com").await;
    let empty = [("page_keys_empty", "/settings/keys"), ("page_connected_empty", "/settings/apps")];
    pictured(&browser, &empty).await;
    // Before there are events at the same time, which have no order.
    pictured(&browser, &[("page_activity", "/settings/activity")]).await;
    let client = app.confidential().await;
    let consent = browser.follow(browser.get(&authorize_url(&client, &[])).await).await;
    same("page_consent", &said(&consent.body));
    app.advance(60);
    tokens(&browser, &client).await;
    // A minute between any two events, so that their order is fixed.
    app.advance(60);
    let (id, key) = app.key(&user, "read").await;
    app.advance(60);
    app.introspect(&key).await.active();
    app.get_as("/gateway/verify/example-api?scope=write", &key).await;
    app.app.background.flush().await.expect("written");
    pictured(
        &browser,
        &[
            ("page_keys", "/settings/keys"),
            ("page_key", &format!("/settings/keys/{id}")),
            ("page_projects", "/settings/projects"),
            ("page_connected", "/settings/apps"),
            ("page_security", "/settings/security"),
            ("page_refusals", "/settings/denied"),
            ("page_apps", "/apps"),
            ("page_new_app", "/apps/new"),
        ],
    )
    .await;
}

#[tokio::test]
async fn machine_readable_documents() {
    let app = TestApp::new().await;
    for (name, path) in [("metadata", "/.well-known/oauth-authorization-server"), ("openapi", "/openapi.json")] {
        let document = app.get(path).await.json();
        same(name, &serde_json::to_string_pretty(&document).expect("JSON"));
    }
}

#[test]
fn command_line_tables() {
    let here = Installation::new();
    here.api();
    here.user("alice@example.com");
    here.key("alice@example.com");
    here.json(&["client", "create", "--name", "App", "--redirect-uri", "https://app.example.com/cb"]);
    here.json(&["project", "create", "--user", "alice@example.com", "--name", "Harbor"]);
    for list in ["user list", "api list", "client list", "key list", "project list", "plan list"] {
        let ran = here.run(&list.split(' ').collect::<Vec<_>>());
        assert!(ran.status.success(), "{ran:?}");
        same(&format!("table_{}", list.replace(' ', "_")), &ran.out);
    }
}

//! Owns tests of the metrics page as a whole: help, types, names, length.

use super::{Scrape, TOKEN, everything, scrape, traffic};
use crate::harness::TestApp;

/// Every family has help, and a name that follows Prometheus's conventions.
fn check(page: &Scrape) {
    for (name, family) in &page.families {
        assert!(name.starts_with("grantd_"), "{name}");
        assert!(family.help.len() > 5, "{name}: {}", family.help);
        let is_counter = family.kind == "counter";
        assert!(is_counter || ["gauge", "histogram"].contains(&family.kind.as_str()), "{name}: {}", family.kind);
        assert_eq!(name.ends_with("_total"), is_counter, "{name} is a {}", family.kind);
        assert_eq!(name.ends_with("_duration_seconds"), family.kind == "histogram", "{name} is a {}", family.kind);
    }
}

#[tokio::test]
async fn fresh_metrics_page_is_short_and_has_help_and_types() {
    let app = TestApp::with(&[("metrics_token", TOKEN)]).await;
    for path in ["/livez", "/readyz", "/.well-known/jwks.json"] {
        app.get(path).await.status(200);
    }
    scrape(&app).await;
    let page = scrape(&app).await;
    check(&page);
    assert!(page.lines < 300, "{} lines", page.lines);
    assert!(page.families.len() > 30, "{:?}", page.families.keys());
    // What has not occurred has no line: neither a status class nor a route.
    for (labels, value) in &page.family("grantd_http_requests_total").samples {
        assert!(*value > 0.0 && ["2xx", "4xx"].contains(&labels["status"].as_str()), "{labels:?}");
    }
}

#[tokio::test]
async fn traffic_adds_only_documented_families() {
    let app = everything().await;
    traffic(&app).await;
    let page = scrape(&app).await;
    check(&page);
    let empty: Vec<_> = page.families.iter().filter(|(_, family)| family.samples.is_empty()).collect();
    assert!(empty.is_empty(), "{empty:?}");
}

#[tokio::test]
async fn series_do_not_grow_with_addresses_and_keys() {
    let app = TestApp::with(&[("metrics_token", TOKEN)]).await;
    let user = app.user("alice@example.com").await;
    let one = async |n: u32| {
        let (_, key) = app.key(&user, "read").await;
        app.introspect(&key).await.active();
        app.introspect(&format!("unknown-{n}")).await.inactive();
        app.get(&format!("/settings/keys/key_{n}")).await.status(303);
        app.get(&format!("/nowhere/{n}")).await.status(404);
    };
    one(0).await;
    scrape(&app).await;
    let before = scrape(&app).await.lines;
    for n in 1..10 {
        one(n).await;
    }
    assert_eq!(scrape(&app).await.lines, before);
}

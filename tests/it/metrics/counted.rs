//! Owns tests that each metric counts what its help says.

use grantd::model::reason::Reason;

use super::{TOKEN, everything, scrape, traffic};
use crate::harness::TestApp;

#[tokio::test]
async fn events_are_counted_in_their_metrics() {
    let app = everything().await;
    traffic(&app).await;
    let page = scrape(&app).await;
    let engine = if app.database.is_postgres() { "postgres" } else { "sqlite" };
    for (family, labels, value) in [
        ("grantd_build_info", &[("version", env!("CARGO_PKG_VERSION")), ("database", engine)][..], 1.0),
        // The key: introspected twice, used twice at the gateway. From the second time on, it is cached.
        ("grantd_credentials_checked_total", &[("kind", "api_key"), ("outcome", "accepted")], 4.0),
        ("grantd_credentials_checked_total", &[("kind", "api_key"), ("outcome", "expired")], 1.0),
        ("grantd_credentials_checked_total", &[("kind", "api_key"), ("outcome", "revoked")], 1.0),
        ("grantd_credentials_checked_total", &[("kind", "access_token"), ("outcome", "accepted")], 1.0),
        ("grantd_credentials_checked_total", &[("kind", "unknown"), ("outcome", "unknown")], 1.0),
        ("grantd_credential_cache_entries", &[], 2.0),
        ("grantd_credential_cache_capacity_bytes", &[], f64::from(32 << 20)),
        ("grantd_plan_limited_total", &[("plan", "pro")], 1.0),
        ("grantd_guard_refusals_total", &[("guard", "account")], 1.0),
        ("grantd_refusals_total", &[("reason", "limited")], 1.0),
        ("grantd_refusals_total", &[("reason", "unknown")], 1.0),
        ("grantd_refusals_total", &[("reason", "scope")], 0.0),
        ("grantd_sign_ins_total", &[("outcome", "success")], 1.0),
        ("grantd_sign_ins_total", &[("outcome", "wrong")], 1.0),
        ("grantd_sign_ins_total", &[("outcome", "limited")], 1.0),
        ("grantd_shared_limits_up", &[], 0.0),
        ("grantd_api_keys", &[("state", "active")], 1.0),
        ("grantd_api_keys", &[("state", "expired")], 1.0),
        ("grantd_api_keys", &[("state", "revoked")], 1.0),
        ("grantd_grants", &[("state", "active")], 1.0),
        ("grantd_grants", &[("state", "pending")], 1.0),
        ("grantd_signing_key_age_seconds", &[("algorithm", "ES256")], 60.0),
        ("grantd_http_requests_total", &[("route", "unmatched"), ("status", "4xx")], 1.0),
        ("grantd_database_errors_total", &[], 0.0),
        ("grantd_records_dropped_total", &[], 0.0),
    ] {
        assert_eq!(page.value(family, labels), value, "{family} {labels:?}");
    }
    let lookups = |outcome| page.value("grantd_credential_cache_lookups_total", &[("outcome", outcome)]);
    assert!(lookups("hit") >= 1.0 && lookups("hit") + lookups("miss") == 8.0, "{} {}", lookups("hit"), lookups("miss"));
    for operation in ["read", "feed", "write", "commit"] {
        assert!(page.value("grantd_database_duration_seconds", &[("operation", operation)]) > 0.0, "{operation}");
    }
    assert!(page.value("grantd_process_resident_memory_bytes", &[]) > 1e6);
    assert!(page.value("grantd_process_open_fds", &[]) > 3.0);
    assert!(page.value("grantd_process_start_time_seconds", &[]) > 1.7e9);
}

#[tokio::test]
async fn credential_cache_stays_within_its_memory_limit() {
    let changes = [("metrics_token", TOKEN), ("limits.credential_cache_mebibytes", "1")];
    let app = TestApp::with(&changes).await;
    let user = app.user("alice@example.com").await;
    let scopes: Vec<String> = (10..50).map(|number| format!("{number}{}", "s".repeat(90))).collect();
    let names: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let api = app.api("Large", "https://large.example.com", &names).await;
    // About 10 KB each, three times as much as the limit.
    for _ in 0..300 {
        let (_, key) = app.key(&user, &scopes.join(" ")).await;
        assert_eq!(app.post_as(&api, "/oauth/introspect", &[("token", &key)]).await.json()["active"], true);
    }
    let page = scrape(&app).await;
    let bytes = page.value("grantd_credential_cache_bytes", &[]);
    assert!(bytes > 500_000.0 && bytes <= f64::from(1 << 20), "{bytes}");
    let entries = page.value("grantd_credential_cache_entries", &[]);
    assert!((60.0..150.0).contains(&entries), "{entries}");
}

#[tokio::test]
async fn refusal_reasons_are_listed_before_they_occur() {
    let app = TestApp::with(&[("metrics_token", TOKEN)]).await;
    let page = scrape(&app).await;
    for denial in Reason::WORDS {
        assert_eq!(page.value("grantd_refusals_total", &[("reason", denial)]), 0.0);
    }
    app.get("/gateway/verify/example-api").await.status(401);
    assert_eq!(scrape(&app).await.value("grantd_refusals_total", &[("reason", "missing")]), 1.0);
}

#[tokio::test]
async fn ages_use_the_servers_clock() {
    let app = TestApp::with(&[("metrics_token", TOKEN)]).await;
    app.app.background.census.advance(&app.app.store, app.now()).await.expect("counted");
    app.advance(90);
    let page = scrape(&app).await;
    assert_eq!(page.value("grantd_signing_key_age_seconds", &[("algorithm", "ES256")]), 90.0);
    assert_eq!(page.value("grantd_count_age_seconds", &[("of", "api_keys")]), 90.0);
}

#[tokio::test]
async fn refusals_beyond_the_limit_count_as_dropped() {
    let app = TestApp::with(&[("metrics_token", TOKEN)]).await;
    // 60 alike of one sender are stored within an hour.
    for _ in 0..70 {
        app.get("/gateway/verify/example-api").await.status(401);
    }
    let page = scrape(&app).await;
    assert_eq!(page.value("grantd_refusals_total", &[("reason", "missing")]), 70.0);
    let dropped = page.value("grantd_records_dropped_total", &[("record", "refusal")]);
    assert!(dropped >= 1.0, "{dropped}");
}

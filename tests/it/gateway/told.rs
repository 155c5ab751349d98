//! Owns tests of what owners see of their keys' use: counts, last use, unusual use, reasons of refusals.

use grantd::{
    model::{
        network::Networks,
        usage::{HourUsage, days},
    },
    store::KeyUse,
};

use super::{app, ask_from};
use crate::harness::{Reply, TestApp};

const TARGET: &str = "/gateway/verify/example-api";

async fn ask(app: &TestApp, key: &str, path: &str, peer: &str) -> Reply {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", path),
        ("x-forwarded-for", peer),
        ("user-agent", "tests/1.0"),
    ];
    ask_from(app, super::PROXY, TARGET, &headers).await
}

/// Status and reason of the refusals of this response, as its user sees them.
async fn why(app: &TestApp, reply: &Reply, user: &str) -> Vec<(u16, String)> {
    let id = reply.header("x-request-id");
    let found = app.app.denials.of_request(&app.app.store, id, Some(user)).await.expect("found");
    found.into_iter().map(|record| (record.status, record.reason)).collect()
}

async fn plan(app: &TestApp, per_hour: u32) {
    let plan = grantd::model::plan::Plan { name: "pro".to_owned(), per_hour: Some(per_hour), burst: 1000 };
    app.app.store.set_plan(app.now(), Default::default(), plan).await.expect("a plan");
    app.app.catalog.reload().await.expect("a catalog");
}

#[tokio::test]
async fn requests_are_counted_by_hour_and_outcome() {
    // THREATS: AK17
    let app = app().await;
    app.route("example-api", "*", "/read", "read", false).await;
    app.route("example-api", "*", "/write", "write", false).await;
    plan(&app, 3).await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    for (path, status) in [("/read", 200), ("/write", 403), ("/read", 200), ("/read", 200), ("/read", 429)] {
        ask(&app, &key, path, "192.0.2.7").await.status(status);
    }
    app.app.background.flush().await.expect("flushed");
    app.advance(3600);
    ask(&app, &key, "/read", "192.0.2.7").await.status(200);
    app.app.background.flush().await.expect("flushed");
    let hours = app.app.store.key_usage(&id, app.now().plus_seconds(-86_400)).await.expect("usage");
    let counts = |usage: &HourUsage| (usage.allowed, usage.denied, usage.limited);
    assert_eq!(hours.iter().map(counts).collect::<Vec<_>>(), [(3, 1, 1), (1, 0, 0)]);
    assert_eq!(days(&hours).iter().map(counts).collect::<Vec<_>>(), [(4, 1, 1)]);
    let kept = app.app.store.find_key(&id).await.expect("found").expect("a key");
    assert_eq!(kept.last_used_at, Some(app.now()));
    assert_eq!((kept.last_address.as_deref(), kept.last_agent.as_deref()), (Some("192.0.2.7"), Some("tests/1.0")));
    // Requests with an expired key are counted too.
    assert!(app.app.store.revoke_key(app.now(), Default::default(), id.clone(), None).await.expect("revoked"));
    ask(&app, &key, "/read", "192.0.2.7").await.status(401);
    app.app.background.flush().await.expect("flushed");
    let hours = app.app.store.key_usage(&id, app.now()).await.expect("usage");
    assert_eq!(hours.iter().map(counts).collect::<Vec<_>>(), [(1, 1, 0)]);
}

#[tokio::test]
async fn unusual_usage_is_reported_once() {
    let app = app().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let used_from = async |peer: &str, expected: &[&str]| {
        let before = app.audit().await;
        ask(&app, &key, "/", peer).await.status(200);
        app.app.background.flush().await.expect("flushed");
        let mut new = app.audit().await;
        for event in before {
            new.swap_remove(new.iter().position(|one| *one == event).expect("nothing is forgotten"));
        }
        assert_eq!(new, expected, "from {peer}");
    };
    used_from("192.0.2.7", &["key.first_use"]).await;
    // The same network is not a new one.
    used_from("192.0.2.200", &[]).await;
    used_from("198.51.100.1", &["key.new_network"]).await;
    used_from("192.0.2.9", &[]).await;
    used_from("2001:db8:1:2::3", &["key.new_network"]).await;
    used_from("2001:db8:1:9::3", &[]).await;
    app.advance(61 * 86_400);
    used_from("192.0.2.7", &["key.long_sleep"]).await;
    used_from("192.0.2.7", &[]).await;
    let entries = app.app.store.key_networks(&id).await.expect("networks");
    let networks: Vec<&str> = entries.iter().map(|(network, _)| network.as_str()).collect();
    assert_eq!(networks.len(), 3, "{networks:?}");
}

#[tokio::test]
async fn spikes_are_relative_to_the_keys_own_week() {
    let app = app().await;
    let user = app.user("alice@example.com").await;
    let (id, _) = app.key(&user, "read").await;
    let use_it = async |times: i64| {
        let of = KeyUse { key_id: id.clone(), allowed: times, last_used_at: Some(app.now()), ..KeyUse::default() };
        app.app.store.flush_key_uses(app.now(), vec![of]).await.expect("flushed");
        app.audit().await.iter().filter(|event| *event == "key.spike").count()
    };
    // A new key has no history to compare with.
    assert_eq!(use_it(5000).await, 0);
    app.advance(8 * 86_400);
    for _ in 0..4 {
        assert_eq!(use_it(60).await, 0);
        app.advance(3600);
    }
    assert_eq!(use_it(299).await, 0);
    assert_eq!(use_it(1).await, 1, "five times the mean of its hours");
    assert_eq!(use_it(500).await, 1, "once an hour");
}

#[tokio::test]
async fn key_for_another_api_counts_as_denied() {
    let app = app().await;
    app.api("Other API", "https://other.example.test", &["other"]).await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "other").await;
    let at_the_gateway = ask(&app, &key, "/read", "192.0.2.7").await;
    let introspected = app.introspect(&key).await;
    at_the_gateway.status(401);
    introspected.inactive();
    for (reply, status) in [(&at_the_gateway, 401), (&introspected, 200)] {
        assert_eq!(why(&app, reply, &user).await, [(status, "the credential is for another API".to_owned())]);
    }
    app.app.background.flush().await.expect("flushed");
    let hours = app.app.store.key_usage(&id, app.now()).await.expect("usage");
    assert_eq!(hours.iter().map(|hour| (hour.allowed, hour.denied)).collect::<Vec<_>>(), [(0, 2)]);
}

#[tokio::test]
async fn only_the_owner_sees_the_reason() {
    // THREATS: AK13
    let app = app().await;
    app.route("example-api", "*", "/write", "write", false).await;
    app.route("example-api", "*", "/read", "read", false).await;
    plan(&app, 1).await;
    let (user, other) = (app.user("alice@example.com").await, app.user("bob@example.com").await);
    let (_, key) = app.key_with(&user, "read", |key| key.expires_in_seconds = Some(3600)).await;
    let (id, gone) = app.key(&user, "read").await;
    let networks = Networks::parse("203.0.113.0/24").expect("networks");
    let (_, bound) = app.key_with(&user, "read", |key| key.networks = networks).await;
    assert!(app.app.store.revoke_key(app.now(), Default::default(), id, None).await.expect("revoked"));
    let scope = ask(&app, &key, "/write", "192.0.2.7").await;
    let address = ask(&app, &bound, "/read", "192.0.2.7").await;
    ask(&app, &key, "/read", "192.0.2.7").await.status(200);
    let limited = ask(&app, &key, "/read", "192.0.2.7").await;
    app.advance(3 * 3600);
    let revoked = ask(&app, &gone, "/read", "192.0.2.7").await;
    app.advance(3600);
    let expired = ask(&app, &key, "/read", "192.0.2.7").await;
    // Before they are written and after: nothing waits for the flush.
    for _ in 0..2 {
        for (reply, status, reason) in [
            (&scope, 403, "missing scope write"),
            (&address, 401, "the sender's address is not in the key's allowed networks"),
            (&limited, 429, "over the plan's limit; try again in 3600 s"),
            (&revoked, 401, "revoked 3 h ago"),
            (&expired, 401, "expired 3 h ago"),
        ] {
            reply.status(status);
            assert_eq!(why(&app, reply, &user).await, [(status, reason.to_owned())]);
            assert!(why(&app, reply, &other).await.is_empty(), "another user");
        }
        app.app.background.flush().await.expect("flushed");
    }
    // To the sender they all look alike.
    for refused in [&address, &revoked, &expired] {
        assert_eq!(refused.body, ask(&app, "gd_live_unknown", "/read", "192.0.2.7").await.body);
    }
}

#[tokio::test]
async fn requests_no_rule_allows_are_shown_only_to_the_owner() {
    // THREATS: AK13
    let app = app().await;
    app.route("example-api", "*", "/read", "read", false).await;
    app.api("Second", "https://second.example.test", &["other"]).await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let (_, others) = app.key(&user, "other").await;
    for (path, status, reason) in [
        ("/nowhere", 403, "no rule of the API allows this request"),
        ("/read/../x", 400, "The path is ambiguous."),
        ("/read?api_key=x", 400, "Credentials belong in a header, not in the URL. Revoke this one."),
    ] {
        let reply = ask(&app, &key, path, "192.0.2.7").await;
        reply.status(status);
        assert_eq!(reply.header("x-ratelimit-remaining"), "10000", "told, and not counted");
        assert_eq!(why(&app, &reply, &user).await, [(status, reason.to_owned())]);
        // With an invalid credential, the rules cannot be explored.
        for stranger in ["gd_live_unknown", &others] {
            assert_eq!(ask(&app, stranger, path, "192.0.2.7").await.status(401).text("error"), "invalid_api_key");
        }
    }
    app.app.background.flush().await.expect("flushed");
    let hours = app.app.store.key_usage(&id, app.now()).await.expect("usage");
    assert_eq!(hours.iter().map(|hour| (hour.allowed, hour.denied)).collect::<Vec<_>>(), [(0, 3)]);
}

#[tokio::test]
async fn anonymous_callers_cannot_map_the_rules() {
    // THREATS: FA6
    let app = app().await;
    app.route("example-api", "GET", "/read", "read", false).await;
    app.route("example-api", "*", "/public/*", "", true).await;
    let asked = async |path: &str| {
        let said = [("x-forwarded-method", "GET"), ("x-forwarded-uri", path), ("x-forwarded-for", "192.0.2.7")];
        ask_from(&app, super::PROXY, TARGET, &said).await
    };
    let there = asked("/read").await;
    assert_eq!(there.status(401).text("error"), "missing_api_key");
    let nowhere = asked("/nowhere").await;
    assert_eq!(nowhere.status(401).body, there.body);
    assert_eq!(nowhere.header("www-authenticate"), there.header("www-authenticate"));
    asked("/public/a").await.status(200);
    asked("/public/../a").await.status(400);
    // An administrator can look one up; the audit log is not filled with them.
    let found = app.app.denials.of_request(&app.app.store, nowhere.header("x-request-id"), None).await.expect("found");
    assert_eq!(found.iter().map(|record| record.reason.as_str()).collect::<Vec<_>>(), ["no credential was sent"]);
    let before = app.audit().await.len();
    app.app.background.flush().await.expect("flushed");
    assert_eq!(app.audit().await.len(), before);
}

#[tokio::test]
async fn refusals_are_logged_and_counted_once() {
    // THREATS: AU1
    let app = app().await;
    app.route("example-api", "*", "/write", "write", false).await;
    app.route("example-api", "*", "/read", "read", false).await;
    plan(&app, 1).await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    for (path, status) in [("/write", 403), ("/write", 403), ("/read", 200), ("/read", 429)] {
        ask(&app, &key, path, "192.0.2.7").await.status(status);
    }
    app.get_as("/api/v1/keys", &key).await.status(403);
    assert!(app.app.store.revoke_key(app.now(), Default::default(), id, None).await.expect("revoked"));
    app.introspect(&key).await.inactive();
    app.app.background.flush().await.expect("flushed");
    let entries = app.entries(200).await;
    let mut told: Vec<(&str, &str, i64)> = entries
        .iter()
        .filter(|entry| ["credential", "introspect"].contains(&entry.event.as_str()))
        .map(|entry| (entry.event.as_str(), entry.reason.as_deref().unwrap_or_default(), entry.times))
        .collect();
    told.sort_unstable();
    let counted = [("credential", "audience", 1), ("credential", "limited", 1), ("credential", "scope", 2)];
    assert_eq!(told, [&counted[..], &[("introspect", "revoked", 1)]].concat());
}

#[tokio::test]
async fn flood_of_refusals_is_counted_but_not_stored() {
    // THREATS: AU5
    let app = app().await;
    let user = app.user("alice@example.com").await;
    for at in 0..700 {
        ask(&app, &format!("gd_live_garbage{at}"), "/", "192.0.2.7").await.status(401);
    }
    let (id, key) = app.key(&user, "read").await;
    assert!(app.app.store.revoke_key(app.now(), Default::default(), id, None).await.expect("revoked"));
    let reply = ask(&app, &key, "/", "192.0.2.7").await;
    // Anonymous refusals do not displace the owner's.
    assert_eq!(why(&app, &reply, &user).await.len(), 1);
    let before = app.audit().await.len();
    app.app.background.flush().await.expect("flushed");
    assert!(app.audit().await.len() - before <= 3, "a row for each kind, not for each request");
    let kept = app.app.store.denials_of_user(&user, None).await.expect("denials");
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn owner_sees_request_required_scope_and_advice() {
    let app = app().await;
    app.route("example-api", "GET", "/v1/berths", "read", false).await;
    app.route("example-api", "*", "/v1/docks", "write", false).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let empty = browser.get("/settings/denied").await.body;
    assert!(empty.contains("None recently"), "{empty}");
    let refused = ask(&app, &key, "/v1/docks?api=1&who=alice", "192.0.2.7").await;
    refused.status(403);
    ask(&app, &key, "/v1/elsewhere", "192.0.2.7").await.status(403);
    let networks = Networks::parse("203.0.113.0/24").expect("networks");
    let (_, bound) = app.key_with(&user, "read", |key| key.networks = networks).await;
    let elsewhere = ask(&app, &bound, "/v1/berths", "192.0.2.7").await;
    elsewhere.status(401);
    app.user("eve@example.com").await;
    let eve = app.browser();
    eve.log_in("eve@example.com").await;
    let scope = "This key has read. GET /v1/docks needs write. Create a key with this permission.";
    let route = "GET /v1/elsewhere is not allowed by this API. Check the method and the path.";
    // Before they are written and after.
    for _ in 0..2 {
        let all = browser.get("/settings/denied").await.body;
        assert!(all.contains(scope) && all.contains(route) && !all.contains("who=alice"), "{all}");
        let one = browser.get(&format!("/settings/denied?request_id={}", refused.header("x-request-id"))).await.body;
        assert!(one.contains(scope) && !one.contains(route), "{one}");
        // A caller outside the key's networks sees an invalid key; the owner sees which address was used.
        let one = browser.get(&format!("/settings/denied?request_id={}", elsewhere.header("x-request-id"))).await.body;
        assert!(one.contains("Send it from an allowed network") && one.contains("192.0.2.7"), "{one}");
        assert!(!eve.get("/settings/denied").await.body.contains("/v1/docks"), "nobody else's");
        app.app.background.flush().await.expect("flushed");
    }
}

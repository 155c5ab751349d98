//! Owns tests of the audit log: what is in it, what must not be, and that nothing happens without it: AU1, AU2, AU3.

use std::collections::BTreeSet;

use axum::{body::Body, http::Request};
use grantd::model::audit::Origin;
use serde_json::json;

use super::story;
use crate::harness::{
    TestApp,
    app::{START, encode},
    flow,
};

#[tokio::test]
async fn relevant_events_are_audited() {
    // THREATS: AU1 AU2
    let app = TestApp::new().await;
    let secrets = story::tell(&app).await;
    app.app.background.flush().await.expect("flushed");
    let entries = app.entries(1000).await;
    let told: BTreeSet<(&str, &str)> =
        entries.iter().map(|entry| (entry.event.as_str(), entry.outcome.as_str())).collect();
    for expected in [
        ("login", "ok"),
        ("login", "denied"),
        ("logout", "ok"),
        ("consent", "ok"),
        ("consent", "denied"),
        ("consent.withdraw", "ok"),
        ("code.issue", "ok"),
        ("code.redeem", "ok"),
        ("code.reuse", "denied"),
        ("grant.wrong_client", "denied"),
        ("token.issue", "ok"),
        ("refresh", "ok"),
        ("refresh.reuse", "denied"),
        ("token.revoke", "ok"),
        ("grant.revoke", "ok"),
        ("introspect", "denied"),
        ("credential", "denied"),
        ("credential_in_url", "denied"),
        ("client.authenticate", "denied"),
        ("key.create", "ok"),
        ("key.first_use", "ok"),
        ("key.regenerate", "ok"),
        ("key.revoke", "ok"),
        ("client.create", "ok"),
        ("client.update", "ok"),
        ("client.secret", "ok"),
        ("client.delete", "ok"),
        ("client.disable", "ok"),
        ("client.enable", "ok"),
        ("api.create", "ok"),
        ("user.create", "ok"),
        ("user.disable", "ok"),
        ("user.enable", "ok"),
        ("user.password", "ok"),
        ("signing_key.create", "ok"),
        ("signing_key.drop", "ok"),
    ] {
        assert!(told.contains(&expected), "{expected:?} is missing: {told:?}");
    }
    // A lock-out differs from a wrong password.
    let reasons: BTreeSet<&str> =
        entries.iter().filter(|e| e.event == "login").filter_map(|e| e.reason.as_deref()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    // Wrong client credentials count wherever they are sent.
    let wrong = entries.iter().filter(|e| e.event == "client.authenticate").map(|e| e.times).sum::<i64>();
    let at_token = i64::try_from(wrong_at_token(&secrets)).expect("a count");
    assert_eq!(wrong, at_token + 2, "one each at introspection and revocation");
    for entry in &entries {
        assert!(entry.at >= START && entry.at <= app.now());
        assert!(!entry.actor.is_empty() || entry.request_id.is_empty(), "{entry:?}");
        assert!(entry.times >= 1);
        assert_eq!(entry.outcome == "denied", entry.reason.is_some(), "{entry:?}");
    }
    // No secret in any column.
    let log = serde_json::to_string(&entries).expect("JSON");
    for (what, secret) in &secrets {
        assert!(!log.contains(secret.as_str()), "{what}");
    }
}

/// How many secrets existed when the story tried each as a client's.
fn wrong_at_token(secrets: &story::Secrets) -> usize {
    secrets.iter().position(|(what, _)| *what == "form token").expect("the form token comes after")
}

#[tokio::test]
async fn audit_entries_have_actor_event_object_and_address() {
    // THREATS: AU2
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let mut browser = app.browser();
    browser.address = "203.0.113.9".to_owned();
    browser.log_in("alice@example.com").await;
    app.advance(5);
    let (_, refresh) = flow::tokens(&browser, &client).await;
    let revoked = app.post_as(&client, "/oauth/revoke", &[("token", &refresh)]).await;
    let entries = app.entries(100).await;
    let entry = |event: &str| {
        let mut found = entries.iter().filter(|entry| entry.event == event);
        let entry = found.next().unwrap_or_else(|| panic!("no {event}"));
        assert!(found.next().is_none(), "{event} twice");
        serde_json::to_value(entry).expect("JSON")
    };
    let grant = entry("code.issue")["object"].clone();
    assert!(grant.as_str().is_some_and(|id| id.len() == 22), "{grant}");
    let by_user = |event: &str, object: &serde_json::Value| {
        let told = entry(event);
        json!({
            "at": app.now(), "event": event, "actor": user, "user_id": user, "client_id": client.id, "object": object,
            "outcome": "ok", "reason": null, "address": "203.0.113.9", "request_id": told["request_id"], "times": 1,
        })
    };
    assert_eq!(entry("consent"), by_user("consent", &json!("read write")));
    assert_eq!(entry("code.issue"), by_user("code.issue", &grant));
    assert!(entry("consent")["request_id"].as_str().is_some_and(|id| id.starts_with("req_")));
    assert_ne!(entry("consent")["request_id"], entry("code.issue")["request_id"]);
    // The client acts on behalf of the user.
    let told = entry("code.redeem");
    assert_eq!((&told["actor"], &told["user_id"]), (&json!(client.id), &json!(user)));
    assert_eq!((&told["address"], &told["object"]), (&json!("192.0.2.1"), &grant));
    let told = entry("grant.revoke");
    assert_eq!(told["request_id"], revoked.header("x-request-id"));
    assert_eq!((&told["actor"], &told["client_id"], &told["object"]), (&json!(client.id), &json!(client.id), &grant));
    let told = entry("login");
    assert_eq!((&told["at"], &told["client_id"]), (&json!(START), &json!(null)));
}

#[tokio::test]
async fn changes_that_cannot_be_audited_fail() {
    // THREATS: AU3
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let code = flow::code(&browser, &client).await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let (key_id, key) = app.key(&user, "read").await;
    let page = browser.get("/settings/keys").await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let before = app.database.dump_tables().await;
    app.database.run("ALTER TABLE audit RENAME TO hidden").await;

    browser.post("/settings/keys", &[("csrf", &csrf), ("form", &form), ("scope", "read")]).await.page(503);
    browser.post(&format!("/settings/keys/{key_id}/revoke"), &[("csrf", &csrf)]).await.page(503);
    browser.post(&format!("/settings/apps/{}/revoke", client.id), &[("csrf", &csrf)]).await.page(503);
    browser.post("/logout", &[("csrf", &csrf)]).await.page(503);
    browser.get(&flow::authorize_url(&client, &[])).await.page(503);
    for reply in [
        flow::exchange(&app, &client, &code).await,
        flow::refresh(&app, &client, &refresh).await,
        app.post_as(&client, "/oauth/revoke", &[("token", &refresh)]).await,
        app.post_as(&client, "/oauth/revoke", &[("token", &access)]).await,
        app.post_as(&app.api, "/oauth/revoke", &[("token", &key)]).await,
    ] {
        reply.status(503);
        assert_eq!(reply.json()["error"], "temporarily_unavailable");
    }
    let (store, now) = (&app.app.store, app.now());
    store.set_user_active(now, Origin::default(), user.clone(), false).await.expect_err("not disabled");
    store.set_client_active(now, Origin::default(), client.id.clone(), false).await.expect_err("not disabled");
    store.delete_client(now, Origin::default(), client.id.clone(), None).await.expect_err("not deleted");
    store.set_password(now, Origin::default(), user.clone(), "x".to_owned()).await.expect_err("not set");
    let rotated = app.app.signing.rotate(now, Origin::default(), grantd::model::api::Algorithm::ES256, true).await;
    rotated.expect_err("not rotated");

    app.database.run("ALTER TABLE hidden RENAME TO audit").await;
    assert_eq!(app.database.dump_tables().await, before);
    app.introspect(&access).await.active();
    app.introspect(&key).await.active();
    flow::refresh(&app, &client, &refresh).await.status(200);
    flow::exchange(&app, &client, &code).await.status(200);
}

#[tokio::test]
async fn flood_writes_few_entries_and_counts_each_refusal() {
    // THREATS: AU5
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    let (id, key) = app.key(&alice, "read").await;
    app.app.store.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked");
    let form = [("grant_type", "client_credentials"), ("client_id", "client_x"), ("client_secret", "wrong")];
    for sender in 0..300 {
        let peer = format!("2001:db8:0:{sender:x}::1");
        let bearer = Request::get("/v1/users/me").header("authorization", format!("Bearer garbage{sender}"));
        app.send_from(&peer, bearer.body(Body::empty()).expect("a request")).await.status(401);
        let client = Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
        app.send_from(&peer, client.body(encode(&form)).expect("a request")).await.oauth_error("invalid_client");
    }
    // The owner's own refusal is recorded despite the flood.
    let refused = app.get_as("/v1/users/me", &key).await;
    app.app.background.flush().await.expect("flushed");
    let id = refused.status(401).header("x-request-id");
    let noted = app.app.denials.of_request(&app.app.store, id, Some(alice.as_str())).await.expect("a look");
    assert_eq!(noted.len(), 1);
    let entries = app.entries(1000).await;
    for (event, reason) in [("credential", "unknown"), ("client.authenticate", "wrong client credentials")] {
        let of = entries.iter().filter(|entry| entry.event == event && entry.reason.as_deref() == Some(reason));
        let (count, times) = of.fold((0, 0), |(count, times), entry| (count + 1, times + entry.times));
        // Sixteen senders individually and all others together; twice if the background flush ran in between.
        assert!(count <= 34, "{count} entries of {event}");
        assert_eq!(times, 300, "{event}");
    }
}

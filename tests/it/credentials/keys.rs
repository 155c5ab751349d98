//! Owns tests of API keys as credentials: form, storage, revocation: AK1, AK3, AK6, AK8, AK9, AK12, AK14, AK17.

use std::{collections::BTreeSet, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::Body,
    http::{Request, header},
};
use data_encoding::BASE64URL_NOPAD;
use grantd::{
    config::Config,
    engine::new_key::{self, NewKey},
    model::{audit::Origin, key::ApiKey, scope::Scopes, secret::Secret},
    store::{self, Replacement},
};

use super::introspect_as;
use crate::harness::{OAuthClient, TestApp, flow, wait};

fn new_key(user_id: &str, environment: &str) -> NewKey {
    let scopes = Scopes::parse("read").expect("scopes");
    NewKey { environment: Some(environment.to_owned()), ..NewKey::of(user_id, "Test key", scopes) }
}

fn like(app: &TestApp, old: &ApiKey) -> (Secret, ApiKey) {
    new_key::create(app.now(), &app.app.config, NewKey::like(old, None)).expect("a key")
}

#[tokio::test]
async fn keys_are_random_and_checked_before_any_query() {
    // THREATS: AK1
    // Tested here: length, alphabet, no repetition, checksum. No test can show where the bytes come from; `tidy` checks
    // that all of them have one source, the operating system's (`rand` is used in `model::secret` alone).
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let mut seen = BTreeSet::new();
    let mut letters = BTreeSet::new();
    for environment in ["live", "test"] {
        for _ in 0..100 {
            let (secret, _) = new_key::create(app.now(), &app.app.config, new_key(&user, environment)).expect("a key");
            let body = secret.expose().strip_prefix(&format!("gd_{environment}_")).expect("the prefix").to_owned();
            // The pattern of secret scanners: `gd_(live|test)_[0-9A-Za-z]{42}`.
            assert!(body.len() == 42 && body.bytes().all(|b| b.is_ascii_alphanumeric()), "{body}");
            letters.extend(body[..36].chars());
            assert!(seen.insert(body));
        }
    }
    // 36 characters of an alphabet whose 62 characters all occur.
    assert_eq!(letters.len(), 62);
    assert!(36.0 * 62f64.log2() >= 192.0);

    let (_, key) = app.key(&user, "read").await;
    app.introspect(&key).await.active();
    let (_, fresh) = app.key(&user, "read").await;
    app.database.run("ALTER TABLE api_keys RENAME TO hidden").await;
    // A well-formed key needs a query; one with a wrong checksum does not.
    app.introspect(&fresh).await.status(503);
    let mut typo = fresh.clone();
    for at in 0..typo.len() {
        let right = typo[at..=at].to_owned();
        typo.replace_range(at..=at, if right == "x" { "y" } else { "x" });
        app.introspect(&typo).await.inactive();
        typo.replace_range(at..=at, &right);
    }
    app.introspect(&format!("{fresh}0")).await.inactive();
    app.introspect(&fresh[..fresh.len() - 1]).await.inactive();
}

#[tokio::test]
async fn keys_have_the_configured_prefix_and_survive_its_change() {
    // THREATS: AK1
    let app = TestApp::with(&[("key_prefix", "acme")]).await;
    let user = app.user("alice@example.com").await;
    let before = Config { key_prefix: "gd".to_owned(), ..app.app.config.clone() };
    let (older, key) = new_key::create(app.now(), &before, new_key(&user, "live")).expect("a key");
    app.app.store.insert_key(app.now(), Origin::default(), older.digest(), key).await.expect("kept");
    let (_, newer) = app.key_with(&user, "read", |key| key.environment = Some("test".to_owned())).await;
    assert!(newer.starts_with("acme_test_"));
    assert_eq!(app.introspect(&newer).await.active()["environment"], "test");
    let older = older.expose().to_owned();
    assert!(older.starts_with("gd_live_"));
    app.introspect(&older).await.active();
}

#[tokio::test]
async fn keys_are_stored_as_sha_256_only() {
    // THREATS: AK3
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let kept = app.database.column(&format!("SELECT digest FROM api_keys WHERE id = '{id}'")).await;
    // One SHA-256: no salt to look up, and no slow hash on the path of every request.
    assert_eq!(kept, [BASE64URL_NOPAD.encode(digest(&SHA256, key.as_bytes()).as_ref())]);
    assert!(!app.database.dump().await.contains(&key["gd_live_".len()..]));
    let found = app.app.store.find_key(&id).await.expect("found").expect("a key");
    let (secret, other) = like(&app, &found);
    let same = grantd::model::secret::Digest::of(&key);
    let conflict = app.app.store.insert_key(app.now(), Origin::default(), same, other.clone()).await;
    assert!(matches!(conflict, Err(store::Error::Conflict)), "{conflict:?}");
    app.app.store.insert_key(app.now(), Origin::default(), secret.digest(), other).await.expect("kept");
}

#[tokio::test]
async fn keys_are_not_sessions_clients_or_grants() {
    // THREATS: AK6 AK8
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let client = app.confidential().await;
    let (id, key) = app.key(&user, "read write").await;
    let request = |method: &str, path: &str, name: &str, value: String| {
        Request::builder()
            .method(method)
            .uri(path)
            .header(name, value)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from("name=x&scope=read&csrf=x&form=x&environment=live&expires_in=never&decision=allow"))
            .expect("a request")
    };
    for (method, path) in [
        ("GET", "/settings/keys".to_owned()),
        ("POST", "/settings/keys".to_owned()),
        ("POST", format!("/settings/keys/{id}/revoke")),
        ("GET", "/settings/apps".to_owned()),
        ("POST", format!("/settings/apps/{}/revoke", client.id)),
        ("GET", "/apps".to_owned()),
        ("POST", "/apps".to_owned()),
    ] {
        for (name, value) in [
            ("authorization", format!("Bearer {key}")),
            ("x-api-key", key.clone()),
            ("cookie", format!("__Host-grantd_session={key}")),
        ] {
            let reply = app.send(request(method, &path, name, value)).await;
            assert_eq!(reply.location(), "/login", "{method} {path} {name}");
            let cookies = reply.headers.get_all("set-cookie");
            let begins =
                |value: &axum::http::HeaderValue| value.to_str().is_ok_and(|text| text.contains("grantd_session"));
            assert!(!cookies.iter().any(begins), "{method} {path} {name}");
        }
    }
    let url = flow::authorize_url(&client, &[]);
    let reply = app.send(request("GET", &url, "authorization", format!("Bearer {key}"))).await;
    assert!(reply.location().starts_with("/login?interaction="));
    assert_eq!(app.database.column("SELECT id FROM api_keys").await, [id], "no key made another");

    flow::exchange(&app, &client, &key).await.oauth_error("invalid_grant");
    flow::refresh(&app, &client, &key).await.oauth_error("invalid_grant");
    let impostor = OAuthClient { secret: Some(key.clone()), ..client.clone() };
    app.post_as(&impostor, "/oauth/token", &[("grant_type", "client_credentials")]).await.oauth_error("invalid_client");
    introspect_as(&app, &impostor, &key).await.oauth_error("invalid_client");
    let token = Request::post("/oauth/token")
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let reply = app.send(token.body(Body::from("grant_type=client_credentials")).expect("a request")).await;
    reply.oauth_error("invalid_client");
    app.introspect(&key).await.active();
}

#[tokio::test]
async fn disabling_the_owner_stops_keys_and_enabling_revives_no_revoked_one() {
    // THREATS: AK9
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (kept_id, kept) = app.key(&user, "read").await;
    let (revoked_id, revoked) = app.key(&user, "read").await;
    for key in [&kept, &revoked] {
        app.introspect(key).await.active();
    }
    let (store, now) = (&app.app.store, app.now());
    assert!(store.revoke_key(now, Origin::default(), revoked_id, None).await.expect("revoked"));
    store.set_user_active(now, Origin::default(), user.clone(), false).await.expect("disabled");
    for key in [&kept, &revoked] {
        app.introspect(key).await.inactive();
        app.get_as("/v1/users/me", key).await.status(401);
    }
    store.set_user_active(now, Origin::default(), user, true).await.expect("enabled");
    app.introspect(&kept).await.active();
    app.introspect(&revoked).await.inactive();
    app.get_as("/v1/users/me", &revoked).await.status(401);
    assert!(store.revoke_key(now, Origin::default(), kept_id, None).await.expect("revoked"));
    app.introspect(&kept).await.inactive();
}

#[tokio::test]
async fn replaced_key_works_only_during_the_overlap() {
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (first_id, first) = app.key(&user, "read").await;
    let rotate = async |old: &str, overlap: i64| {
        let found = app.app.store.find_key(old).await.expect("found").expect("a key");
        let (secret, new) = like(&app, &found);
        let id = new.id.clone();
        let old_ends_at = Some(app.now().plus_seconds(overlap)).filter(|_| overlap > 0);
        let replacement =
            Replacement { old_id: old.to_owned(), old_ends_at, user_id: None, digest: secret.digest(), new };
        let done = app.app.store.replace_key(app.now(), Origin::default(), replacement).await;
        (done, id, secret.expose().to_owned())
    };
    // THREATS: AK11
    let (done, second_id, second) = rotate(&first_id, 3600).await;
    assert!(done.expect("asked"));
    app.introspect(&first).await.active();
    app.introspect(&second).await.active();
    // It already has a successor: nothing is created, and the overlap does not get longer.
    let (again, _, none) = rotate(&first_id, 86_400).await;
    assert!(matches!(again, Err(store::Error::Refused(_))), "{again:?}");
    app.introspect(&none).await.inactive();
    app.advance(1800);
    app.introspect(&first).await.active();
    // Rotating the successor ends the first overlap early.
    let (done, third_id, third) = rotate(&second_id, 3600).await;
    assert!(done.expect("asked"));
    app.introspect(&first).await.inactive();
    app.introspect(&second).await.active();
    app.introspect(&third).await.active();
    // An overlap ends to the second; an expired key cannot be rotated, and so not revived.
    app.advance(3599);
    app.introspect(&second).await.active();
    app.advance(1);
    app.introspect(&second).await.inactive();
    app.introspect(&third).await.active();
    // Without an overlap: the key has leaked, and so may have its predecessor.
    let (done, fourth_id, fourth) = rotate(&third_id, 3600).await;
    assert!(done.expect("asked"));
    let (done, _, fifth) = rotate(&fourth_id, 0).await;
    assert!(done.expect("asked"));
    for ended in [&third, &fourth] {
        app.introspect(ended).await.inactive();
    }
    app.introspect(&fifth).await.active();
}

#[tokio::test]
async fn key_scopes_are_enforced_at_every_endpoint() {
    // THREATS: AK12
    let app = TestApp::new().await;
    let other_api = app.api("Other API", "https://other.example.test", &["other"]).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key_with(&user, "other", |key| key.expires_in_seconds = Some(10)).await;
    let (_, nowhere) = app.key(&user, "vanished").await;
    app.introspect(&key).await.inactive();
    assert_eq!(introspect_as(&app, &other_api, &key).await.active()["scope"], "other");
    app.get_as("/v1/users/me", &key).await.status(200);
    // A key whose scopes no longer exist is useless.
    introspect_as(&app, &other_api, &nowhere).await.inactive();
    app.introspect(&nowhere).await.inactive();
    app.get_as("/v1/users/me", &nowhere).await.status(401);
    // A scope removed from the catalog disappears from every response, also from cached ones.
    let (_, both) = app.key(&user, "read other").await;
    assert_eq!(app.get_as("/v1/users/me", &both).await.json()["scope"], "other read");
    app.database.run("DELETE FROM scopes WHERE name = 'other'").await;
    app.app.catalog.reload().await.expect("a catalog");
    let catalog = grantd::cache::Entity::new(grantd::cache::EntityKind::Catalog, "");
    app.app.store.freshness().apply([catalog]);
    assert_eq!(app.get_as("/v1/users/me", &both).await.json()["scope"], "read");
    introspect_as(&app, &other_api, &both).await.inactive();
    app.get_as("/v1/users/me", &key).await.status(401);
    app.advance(10);
    for path in ["/v1/users/me", "/health"] {
        app.get_as(path, &key).await.status(401);
    }
}

#[tokio::test]
async fn guesses_do_not_lock_out_the_holder() {
    // THREATS: AK14
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    for n in 0..600 {
        let guess = Secret::with_checksum("gd_live_", &format!("{n:036}"));
        app.get_as("/v1/users/me", guess.expose()).await.status(401);
        app.get_as("/v1/users/me", &format!("{id}{n}")).await.status(401);
    }
    app.get_as("/v1/users/me", &key).await.status(200);
    app.introspect(&key).await.active();
}

#[tokio::test]
async fn key_uses_are_counted_in_memory_and_written_within_a_minute() {
    // THREATS: AK17
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let counted = format!("SELECT uses FROM api_keys WHERE id = '{id}'");
    let last_used = format!("SELECT last_used_at FROM api_keys WHERE id = '{id}'");
    app.app.background.flush().await.expect("flushed");
    let before = app.database.column("SELECT COUNT(*) FROM audit").await;
    app.advance(7);
    for _ in 0..50 {
        app.introspect(&key).await.active();
        app.get_as("/v1/users/me", &key).await.status(200);
    }
    assert_eq!(app.database.column(&counted).await, ["0"], "no write for a request");
    assert_eq!(app.database.column("SELECT COUNT(*) FROM audit").await, before);
    // The flusher's clock advances by a minute.
    wait::advance(Duration::from_secs(60)).await;
    wait::until("the count", async || (app.database.column(&counted).await != ["0"]).then_some(())).await;
    assert_eq!(app.database.column(&counted).await, ["100"]);
    assert_eq!(app.database.column(&last_used).await, [app.now().0.to_string()]);
    // What cannot be written is kept for the next attempt.
    app.get_as("/v1/users/me", &key).await.status(200);
    app.database.run("ALTER TABLE api_keys RENAME TO hidden").await;
    app.app.background.flush().await.expect_err("nowhere to write");
    app.database.run("ALTER TABLE hidden RENAME TO api_keys").await;
    app.app.background.flush().await.expect("flushed");
    assert_eq!(app.database.column(&counted).await, ["101"]);
    // Displayed times do not go backwards.
    assert_eq!(app.audit().await.iter().filter(|event| *event == "key.first_use").count(), 1);
}

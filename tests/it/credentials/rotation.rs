//! Owns tests of signing keys and of the master key: JW9, JW10, JW11.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::hmac;
use grantd::{
    app::App,
    config::Config,
    engine::{
        master::{MasterKey, Purpose},
        signing::JWKS_MAX_AGE_SECONDS,
    },
    model::{api::Algorithm, audit::Origin, clock::Clock},
};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{api_signed_by, assert_refused, look, machine, members, part};
use crate::harness::{TestApp, app::START, flow, wait};

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

async fn published(app: &TestApp) -> BTreeSet<String> {
    let keys = app.get("/.well-known/jwks.json").await.json();
    let kids = keys["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned());
    kids.collect()
}

#[tokio::test]
async fn new_signing_key_is_published_early_and_the_old_kept_until_its_tokens_expire() {
    // THREATS: JW9
    let app = TestApp::with(&[("lifetimes.signing_key_seconds", "86400")]).await;
    let client = machine(&app, "read").await;
    app.database.run("UPDATE apis SET access_token_seconds = 86400").await;
    app.app.catalog.reload().await.expect("a catalog");
    let mut first_seen: BTreeMap<String, i64> = BTreeMap::new();
    let mut last_signed: BTreeMap<String, i64> = BTreeMap::new();
    let mut alive: Vec<(i64, String)> = Vec::new();
    let mut gone_after = None;
    // Every half hour for five days: a rotation each day, and its effects.
    for step in 0..(5 * 48) {
        let now = app.now();
        app.app.signing.maintain(now).await.expect("tended");
        look(&app).await;
        let kids = published(&app).await;
        for kid in &kids {
            first_seen.entry(kid.clone()).or_insert(now.seconds());
        }
        if step % 4 == 0 {
            let token = app.client_token(&client).await;
            let kid = part(&token, 0)["kid"].as_str().expect("a kid").to_owned();
            // A client that caches the JWKS as long as allowed knows the key before it signs.
            let announced = now.seconds() - first_seen[&kid];
            assert!(first_seen.len() == 1 || announced >= JWKS_MAX_AGE_SECONDS, "{kid} signs after {announced} s");
            last_signed.insert(kid.clone(), now.seconds());
            alive.push((now.seconds() + DAY, token));
        }
        alive.retain(|(ends, _)| *ends > now.seconds());
        for (ends, token) in alive.first().into_iter().chain(alive.last()) {
            let reply = app.introspect(token).await;
            assert_eq!(reply.active()["exp"], json!(ends));
        }
        if kids.len() < first_seen.len() && gone_after.is_none() {
            let (_, signed_at) = last_signed.iter().min_by_key(|(_, at)| **at).expect("a key");
            gone_after = Some(now.seconds() - signed_at);
        }
        app.advance(HOUR / 2);
    }
    // The sixth has just been published and has signed nothing yet.
    assert_eq!(first_seen.len(), 6, "{first_seen:?}");
    let gone_after = gone_after.expect("a key that was dropped");
    assert!(gone_after > DAY && gone_after < 2 * DAY, "{gone_after}");
    assert_eq!(last_signed.len(), 5);
}

#[tokio::test]
async fn compromised_signing_key_is_dropped_on_every_node() {
    // THREATS: JW9
    let app = TestApp::new().await;
    let second = app.beside().await;
    let client = app.confidential().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    second.introspect(&access).await.active();
    let before = published(&app).await;
    app.app.signing.rotate(app.now(), Origin::default(), Algorithm::ES256, true).await.expect("rotated");
    look(&app).await;
    assert_refused(&app, &access, "of a dropped key").await;
    let is_inactive = async || (second.introspect(&access).await.body == r#"{"active":false}"#).then_some(());
    wait::until("the other node's look at the keys", is_inactive).await;
    assert!(published(&app).await.is_disjoint(&before));
    // Nothing else is invalidated: the next token is signed with the new key, and both nodes accept it.
    let fresh = flow::refresh(&app, &client, &refresh).await.text("access_token");
    app.introspect(&fresh).await.active();
    second.introspect(&fresh).await.active();
    assert!(!before.contains(part(&fresh, 0)["kid"].as_str().expect("a kid")));
    // A normal rotation invalidates nothing, and signs with the old key until every client can know the new one.
    app.app.signing.rotate(app.now(), Origin::default(), Algorithm::ES256, false).await.expect("rotated");
    let still = app.client_token(&client).await;
    assert_eq!(part(&still, 0), part(&fresh, 0));
    app.advance(HOUR);
    look(&second).await;
    let later = app.client_token(&client).await;
    assert_ne!(part(&later, 0), part(&fresh, 0));
    second.advance(HOUR);
    second.introspect(&later).await.active();
}

#[tokio::test]
async fn jwks_has_only_public_members_and_one_key_per_algorithm() {
    // THREATS: JW10
    let app = TestApp::new().await;
    api_signed_by(&app, Algorithm::RS256, "https://rsa.example.test", "sign").await;
    api_signed_by(&app, Algorithm::EdDSA, "https://ed.example.test", "edit").await;
    let document = app.get("/.well-known/jwks.json").await.json();
    assert_eq!(members(&document), ["keys"]);
    let mut seen = BTreeSet::new();
    for key in document["keys"].as_array().expect("keys") {
        let expected: &[&str] = match key["kty"].as_str().expect("kty") {
            "EC" => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            "OKP" => &["alg", "crv", "kid", "kty", "use", "x"],
            _ => &["alg", "e", "kid", "kty", "n", "use"],
        };
        assert_eq!(members(key), expected);
        assert_eq!(key["use"], "sig");
        assert!(seen.insert(key["alg"].as_str().expect("alg").to_owned()));
    }
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), ["ES256", "EdDSA", "RS256"]);
    assert_eq!(published(&app).await.len(), 3);
    // Each API's tokens are signed with its algorithm's key, and accepted.
    let client = machine(&app, "read sign edit").await;
    for (scope, alg) in [("read", "ES256"), ("sign", "RS256"), ("edit", "EdDSA")] {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let token = app.post_as(&client, "/oauth/token", &form).await.text("access_token");
        assert_eq!(part(&token, 0)["alg"], alg, "{scope}");
        app.post_as(&client, "/oauth/introspect", &[("token", &token)]).await.active();
    }
}

#[tokio::test]
async fn derived_keys_differ_by_purpose() {
    // THREATS: JW10 JW11
    let app = TestApp::new().await;
    let purposes = [
        Purpose::Code,
        Purpose::Refresh,
        Purpose::Forms,
        Purpose::Device,
        Purpose::Limits,
        Purpose::Audit,
        Purpose::SigningKeys,
        Purpose::Responses,
        Purpose::Cursors,
        Purpose::Check,
    ];
    // A new purpose does not compile here until it is added to the list.
    let place = |purpose: Purpose| match purpose {
        Purpose::Code => 0,
        Purpose::Refresh => 1,
        Purpose::Forms => 2,
        Purpose::Device => 3,
        Purpose::Limits => 4,
        Purpose::Audit => 5,
        Purpose::SigningKeys => 6,
        Purpose::Responses => 7,
        Purpose::Cursors => 8,
        Purpose::Check => 9,
    };
    assert_eq!(purposes.map(place), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let mut tags = BTreeSet::new();
    for purpose in purposes {
        let key = app.master.mac(purpose).expect("a key");
        assert!(tags.insert(hmac::sign(&key, b"message").as_ref().to_vec()), "{purpose:?}");
    }
    assert_eq!(tags.len(), purposes.len());
}

#[tokio::test]
async fn sealed_data_is_bound_to_its_use() {
    // THREATS: JW11
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let user = app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, refresh) = flow::tokens(&browser, &client).await;
    let code = flow::code(&browser, &client).await;
    let page = browser.get("/settings/keys").await;
    let scopes = "grantd:keys:read read";
    let keys = [app.key(&user, scopes).await.1, app.key(&user, scopes).await.1];
    let listed = app.get_as("/api/v1/keys?limit=1", &keys[0]).await;
    let cursor = listed.status(200).text("next");
    let cookies: Vec<(String, String)> = browser.cookies.lock().expect("cookies").clone().into_iter().collect();
    assert!(cookies.len() >= 2, "{cookies:?}");
    let mut sealed: Vec<&str> = cookies.iter().map(|(_, value)| value.as_str()).collect();
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    sealed.extend([cursor.as_str(), &csrf, &form]);
    for text in &sealed {
        app.introspect(text).await.inactive();
        app.get_as("/v1/users/me", text).await.status(401);
        app.get_as("/api/v1/keys", text).await.status(401);
        flow::refresh(&app, &client, text).await.oauth_error("invalid_grant");
        flow::exchange(&app, &client, text).await.oauth_error("invalid_grant");
    }
    // It is not a cursor or a session either.
    sealed.retain(|text| *text != cursor);
    for text in sealed.into_iter().chain([access.as_str(), &refresh, &code, &keys[0]]) {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("cursor", text).finish();
        app.get_as(&format!("/api/v1/keys?{query}"), &keys[0]).await.status(400);
    }
    let session = cookies.iter().find(|(name, _)| name.contains("session")).expect("a session").0.clone();
    for text in [&cursor, &csrf, &form, &access, &refresh, &code, &keys[0]] {
        browser.cookies.lock().expect("cookies").insert(session.clone(), text.clone());
        assert!(browser.get("/settings/keys").await.location().starts_with("/login"), "{session}");
    }
    // All of it was valid in its place.
    app.introspect(&access).await.active();
    let next = form_urlencoded::Serializer::new(String::new()).append_pair("cursor", &cursor).finish();
    app.get_as(&format!("/api/v1/keys?{next}"), &keys[0]).await.status(200);
    flow::exchange(&app, &client, &code).await.status(200);
}

#[tokio::test]
async fn nodes_learn_new_signing_keys_by_polling_and_not_from_unknown_kids() {
    // THREATS: MN5
    let app = TestApp::new().await;
    let second = app.beside().await;
    let client = app.confidential().await;
    let old = app.client_token(&client).await;
    second.introspect(&old).await.active();
    app.app.signing.rotate(app.now(), Origin::default(), Algorithm::ES256, true).await.expect("rotated");
    look(&app).await;
    let fresh = app.client_token(&client).await;
    assert_ne!(part(&fresh, 0)["kid"], part(&old, 0)["kid"]);
    // After one poll of the feed, which happens five times a second, it knows the key.
    look(&second).await;
    second.introspect(&fresh).await.active();
    second.introspect(&old).await.inactive();
    assert_eq!(published(&second).await, published(&app).await);
    // A token with an unknown kid costs no query: the table is gone, and the response is the same.
    app.database.run("ALTER TABLE signing_keys RENAME TO hidden").await;
    for n in 0..50 {
        let header = data_encoding::BASE64URL_NOPAD
            .encode(json!({ "alg": "ES256", "typ": "at+jwt", "kid": format!("unknown{n}") }).to_string().as_bytes());
        let (_, rest) = fresh.split_once('.').expect("a token");
        second.introspect(&format!("{header}.{rest}")).await.inactive();
    }
}

#[tokio::test]
async fn start_requires_the_right_master_key() {
    // THREATS: JW11
    let app = TestApp::new().await;
    let config = app.app.config.clone();
    let other = App::new(config.clone(), MasterKey::generate(), Clock::manual(START)).await;
    assert!(other.expect_err("another key").to_string().contains("the master key does not match"));
    App::new(config, app.master.clone(), Clock::manual(START)).await.expect("the same key");
    // No key is built in, and sample keys are refused; see `edge::process` for nodes without one.
    assert!(Config::load(None, [], &[]).expect("embedded").master_key.expose_secret().is_empty());
    for sample in ["", "change-me", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "c2VjcmV0"] {
        assert!(MasterKey::parse(sample).is_err(), "{sample}");
    }
}

//! Owns tests of single refreshes: rotation, scope, expiry, ownership, invalid requests.
//! Tokens used twice are tested in `refresh_reuse`.

use grantd::{
    model::{
        audit::Origin,
        client::{ClientType, GrantType},
        redirect_uri::RedirectUri,
        scope::Scopes,
    },
    store::ClientChanges,
};

use super::{assert_refused, first_party, once, signed_in, token};
use crate::harness::{
    OAuthClient, Reply, TestApp,
    app::{API, CALLBACK},
    flow::{self, authorize_url, exchange, exchange_for, refresh},
};

const SECOND: &str = "https://second.example.test";

/// A client without a grace window.
async fn strict(app: &TestApp, scopes: &str) -> OAuthClient {
    app.client(ClientType::Confidential, |client| {
        client.refresh_grace_ms = 0;
        client.scopes = Scopes::parse(scopes).expect("scopes");
    })
    .await
}

/// Refreshes with more parameters.
async fn refresh_with(app: &TestApp, client: &OAuthClient, refresh_token: &str, more: &[(&str, &str)]) -> Reply {
    token(app, client, &[&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)], more].concat()).await
}

#[tokio::test]
async fn refresh_rotates_the_token() {
    // THREATS: RT1
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let public = app.client(ClientType::Public, |client| client.refresh_grace_ms = 0).await;
    for client in [public, strict(&app, "read write").await] {
        let (first_access, first) = flow::tokens(&browser, &client).await;
        let mut seen = vec![first.clone()];
        for _ in 0..3 {
            let reply = refresh(&app, &client, &seen[seen.len() - 1]).await;
            assert_ne!(reply.status(200).text("access_token"), first_access);
            let next = reply.text("refresh_token");
            assert!(!seen.contains(&next));
            seen.push(next);
        }
        assert_refused(&refresh(&app, &client, &seen[2]).await, "invalid_grant", &[&seen[2], &seen[3]]);
    }
}

#[tokio::test]
async fn refresh_tokens_are_refused_to_another_client() {
    // THREATS: RT6
    let app = TestApp::new().await;
    let (client, browser) = (strict(&app, "read write").await, signed_in(&app, "alice@example.com").await);
    let (access_token, first) = flow::tokens(&browser, &client).await;
    let second = refresh(&app, &client, &first).await.text("refresh_token");
    for other in [app.confidential().await, app.public().await] {
        // The current and the used token: another client's replay must not revoke what the owner uses.
        for refresh_token in [&second, &first] {
            assert_refused(&refresh(&app, &other, refresh_token).await, "invalid_grant", &[refresh_token]);
        }
    }
    assert_eq!(app.audit().await.iter().filter(|event| *event == "grant.wrong_client").count(), 4);
    app.introspect(&access_token).await.active();
    refresh(&app, &client, &second).await.status(200);
}

#[tokio::test]
async fn refresh_requires_client_authentication() {
    // THREATS: RT7
    let app = TestApp::new().await;
    let (client, browser) = (strict(&app, "read write").await, signed_in(&app, "alice@example.com").await);
    let (_, refresh_token) = flow::tokens(&browser, &client).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    let named = ("client_id", client.id.as_str());
    for proof in [&[][..], &[named], &[named, ("client_secret", "")], &[named, ("client_secret", "wrong")]] {
        let reply = app.post("/oauth/token", &[&form, proof].concat()).await;
        assert_refused(&reply, "invalid_client", &[&refresh_token]);
    }
    refresh(&app, &client, &refresh_token).await.status(200);
}

#[tokio::test]
async fn refresh_can_narrow_the_scope_and_never_widen_it() {
    // THREATS: RT8
    let app = TestApp::new().await;
    app.api("Second API", SECOND, &["other"]).await;
    let (client, browser) = (strict(&app, "read write other").await, signed_in(&app, "alice@example.com").await);
    let reply = flow::authorize(&browser, &client, &[("scope", "read write")]).await;
    let mut current = exchange(&app, &client, &once(&reply, "code")).await.text("refresh_token");
    for scope in ["read write other", "other", "nosuch", "READ", " ", "read\"write"] {
        let reply = refresh_with(&app, &client, &current, &[("scope", scope)]).await;
        assert_refused(&reply, "invalid_scope", &[&current]);
    }
    for (scope, given) in [("read", "read"), ("", "read write"), ("write", "write"), ("write read", "read write")] {
        let reply = refresh_with(&app, &client, &current, &[("scope", scope)]).await;
        assert_eq!(reply.status(200).text("scope"), given);
        assert_eq!(app.introspect(&reply.text("access_token")).await.active()["scope"], given);
        current = reply.text("refresh_token");
    }
}

#[tokio::test]
async fn refresh_respects_changes_since_the_grant() {
    // THREATS: RT9
    let app = TestApp::new().await;
    let store = &app.app.store;
    let owner = app.user("owner@example.com").await;
    let client = app.client(ClientType::Confidential, |client| client.owner_id = Some(owner.clone())).await;
    for what in ["nothing", "disabled", "consent", "password", "scope"] {
        let email = format!("{what}@example.com");
        let (user, browser) = (app.user(&email).await, app.browser());
        browser.log_in(&email).await;
        let (access_token, refresh_token) = flow::tokens(&browser, &client).await;
        let (now, origin) = (app.now(), Origin::default());
        let done = match what {
            "disabled" => store.set_user_active(now, origin, user, false).await,
            "consent" => store.withdraw_consent(now, origin, user, client.id.clone()).await,
            "password" => {
                let hash = app.hash("another horse battery").await;
                store.set_password(now, origin, user, hash).await
            }
            "scope" => {
                let redirect_uris = vec![RedirectUri::register(CALLBACK).expect("a URI")];
                let scopes = Scopes::parse("read").expect("scopes");
                let to = ClientChanges {
                    redirect_uris: Some(redirect_uris),
                    scopes: Some(scopes),
                    ..ClientChanges::default()
                };
                store.update_client(now, origin, client.id.clone(), owner.clone(), to).await
            }
            _ => Ok(true),
        };
        assert!(done.expect("done"), "{what}");
        let reply = refresh(&app, &client, &refresh_token).await;
        if what == "nothing" {
            reply.status(200);
        } else {
            assert_refused(&reply, "invalid_grant", &[&refresh_token]);
            // Requesting less does not help either.
            let reply = refresh_with(&app, &client, &refresh_token, &[("scope", "read")]).await;
            assert_refused(&reply, "invalid_grant", &[&refresh_token]);
        }
        if ["disabled", "consent", "password"].contains(&what) {
            app.introspect(&access_token).await.inactive();
        }
    }
}

#[tokio::test]
async fn access_of_first_party_apps_can_be_removed() {
    // THREATS: RT9
    let app = TestApp::new().await;
    let (client, browser) = (first_party(&app).await, signed_in(&app, "alice@example.com").await);
    let (access_token, refresh_token) = flow::tokens(&browser, &client).await;
    // Cached as active.
    app.introspect(&access_token).await.active();
    let leave = format!("/settings/apps/{}/revoke", client.id);
    browser.submit("/settings/apps", &leave, &[]).await.status(303);
    app.introspect(&access_token).await.inactive();
    assert_refused(&refresh(&app, &client, &refresh_token).await, "invalid_grant", &[&refresh_token]);
    browser.submit("/settings/apps", &leave, &[]).await.page(404);
}

#[tokio::test]
async fn grants_expire_when_idle_and_at_their_end() {
    // THREATS: RT10
    let app = TestApp::with(&[("lifetimes.refresh_idle_seconds", "100"), ("lifetimes.grant_seconds", "250")]).await;
    let (client, browser) = (strict(&app, "read write").await, signed_in(&app, "alice@example.com").await);
    let (_, idle) = flow::tokens(&browser, &client).await;
    let (_, mut used) = flow::tokens(&browser, &client).await;
    for step in [99, 99, 51] {
        app.advance(step);
        let reply = refresh(&app, &client, &used).await;
        used = reply.status(200).text("refresh_token");
        // No access token outlives the grant, whatever its API allows.
        let left = 250 - app.now().0.saturating_sub(crate::harness::app::START.0) / 1000;
        assert_eq!(reply.json()["expires_in"], left);
        if step == 51 {
            app.introspect(&reply.text("access_token")).await.active();
        }
    }
    assert_refused(&refresh(&app, &client, &idle).await, "invalid_grant", &[&idle]);
    app.advance(1);
    assert_refused(&refresh(&app, &client, &used).await, "invalid_grant", &[&used]);
    // Idle expiry is exact to the second.
    let (_, early) = flow::tokens(&browser, &client).await;
    let (_, late) = flow::tokens(&browser, &client).await;
    app.advance(99);
    refresh(&app, &client, &early).await.status(200);
    app.advance(1);
    assert_refused(&refresh(&app, &client, &late).await, "invalid_grant", &[&late]);
}

#[tokio::test]
async fn invalid_refresh_requests_do_not_use_up_the_token() {
    // THREATS: RT12
    let app = TestApp::new().await;
    app.api("Second API", SECOND, &["other"]).await;
    let (client, browser) = (strict(&app, "read other").await, signed_in(&app, "alice@example.com").await);
    let reply = flow::authorize(&browser, &client, &[("scope", "read other")]).await;
    let refresh_token = exchange_for(&app, &client, &once(&reply, "code"), API).await.text("refresh_token");
    for (more, error) in [
        // Both APIs are granted, but a token is for one.
        (&[][..], "invalid_target"),
        (&[("resource", API), ("resource", SECOND)], "invalid_target"),
        (&[("resource", "not a URI")], "invalid_target"),
        (&[("resource", "https://nowhere.test")], "invalid_target"),
        (&[("resource", SECOND), ("resource", "https://nowhere.test")], "invalid_target"),
        (&[("scope", "read write")], "invalid_scope"),
        (&[("scope", "re\"ad")], "invalid_scope"),
        // Both are granted, but the scope is not of that API.
        (&[("scope", "read"), ("resource", SECOND)], "invalid_target"),
        (&[("scope", "read"), ("scope", "read")], "invalid_request"),
    ] {
        assert_refused(&refresh_with(&app, &client, &refresh_token, more).await, error, &[&refresh_token]);
    }
    let reply = refresh_with(&app, &client, &refresh_token, &[("scope", "read"), ("resource", API)]).await;
    assert_eq!(reply.status(200).text("scope"), "read");
}

#[tokio::test]
async fn token_kinds_are_not_interchangeable() {
    // THREATS: RT13
    let app = TestApp::new().await;
    let (client, alice) = (app.confidential().await, app.user("alice@example.com").await);
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access_token, refresh_token) = flow::tokens(&browser, &client).await;
    let (_, key) = app.key(&alice, "read").await;
    let code = flow::code(&browser, &client).await;
    let own = app.client_token(&client).await;
    let secret = client.secret.clone().expect("a secret");
    let resealed = format!("gd_rt_{}", code.trim_start_matches("gd_code_"));
    for other in [&access_token, &own, &key, &code, &resealed, &secret] {
        assert_refused(&refresh(&app, &client, other).await, "invalid_grant", &[other]);
    }
    for other in [&refresh_token, &code, &secret] {
        let reply = app.get_as("/v1/users/me", other).await;
        assert!(reply.status(401).header("www-authenticate").contains("error=\"invalid_token\""));
        app.introspect(other).await.inactive();
    }
    exchange(&app, &client, &code).await.status(200);
    refresh(&app, &client, &refresh_token).await.status(200);
}

#[tokio::test]
async fn clients_without_the_grant_type_get_no_refresh_token() {
    // THREATS: RT14
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let without =
        app.client(ClientType::Confidential, |client| client.grant_types = vec![GrantType::AuthorizationCode]);
    let without = without.await;
    let code = flow::code(&browser, &without).await;
    let body = exchange(&app, &without, &code).await.status(200).json();
    assert_eq!((body.get("refresh_token"), body["token_type"].as_str()), (None, Some("Bearer")));
    // Requesting it by scope does not help.
    let url = authorize_url(&without, &[("scope", "read write offline_access")]);
    let reply = exchange(&app, &without, &once(&browser.get(&url).await, "code")).await;
    assert_eq!((reply.status(200).json().get("refresh_token"), reply.text("scope").as_str()), (None, "read write"));
    let (_, others) = flow::tokens(&browser, &app.confidential().await).await;
    assert_refused(&refresh(&app, &without, &others).await, "unauthorized_client", &[&others]);
}

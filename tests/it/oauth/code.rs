//! Owns tests of the code exchange: once, by its own client, in time, for what was granted. For PKCE, see `pkce`.

use std::sync::Arc;

use grantd::{
    model::{audit::Origin, client::ClientType, redirect_uri::RedirectUri, scope::Scopes, secret::CODE},
    store::ClientChanges,
};

use super::{assert_refused, first_party, once, race, signed_in, token};
use crate::harness::{
    Browser, OAuthClient, Reply, TestApp,
    app::{API, CALLBACK},
    flow::{self, VERIFIER, authorize_url, exchange},
};

/// Exchanges a code with more parameters.
async fn exchange_with(app: &TestApp, client: &OAuthClient, code: &str, more: &[(&str, &str)]) -> Reply {
    let form =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    token(app, client, &[&form, more].concat()).await
}

#[tokio::test]
async fn code_reuse_revokes_the_grant() {
    // THREATS: CE1
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let browser = signed_in(&app, "alice@example.com").await;
    // Immediately, late within the code's lifetime, long after it, and each after a purge.
    for seconds in [0, 30, 61, 86_400] {
        let code = flow::code(&browser, &client).await;
        let reply = exchange(&app, &client, &code).await;
        let refresh = flow::refresh(&app, &client, &reply.status(200).text("refresh_token")).await;
        let issued = [reply.text("access_token"), refresh.text("access_token")];
        app.advance(seconds);
        app.app.store.purge_expired(app.now(), app.app.config.lifetimes.audit_seconds).await.expect("purged");
        for access_token in issued.iter().filter(|_| seconds < 3600) {
            app.introspect(access_token).await.active();
        }
        let live = flow::refresh(&app, &client, &refresh.text("refresh_token")).await.status(200).text("refresh_token");
        let newest = flow::refresh(&app, &client, &live).await;
        for _ in 0..2 {
            assert_refused(&exchange(&app, &client, &code).await, "invalid_grant", &[&code, VERIFIER]);
        }
        for access_token in issued.iter().chain([&newest.text("access_token")]) {
            app.introspect(access_token).await.inactive();
        }
        flow::refresh(&app, &client, &newest.text("refresh_token")).await.oauth_error("invalid_grant");
    }
    assert_eq!(app.audit().await.iter().filter(|event| *event == "code.reuse").count(), 4);
}

#[tokio::test]
async fn code_is_refused_to_another_client_without_effect() {
    // THREATS: CE2
    let app = TestApp::new().await;
    let (owner, browser) = (app.confidential().await, signed_in(&app, "alice@example.com").await);
    let others = [app.confidential().await, app.public().await];
    let code = flow::code(&browser, &owner).await;
    for other in &others {
        assert_refused(&exchange(&app, other, &code).await, "invalid_grant", &[&code]);
    }
    assert_eq!(app.audit().await.iter().filter(|event| *event == "grant.wrong_client").count(), 2);
    let issued = exchange(&app, &owner, &code).await;
    issued.status(200);
    // Used meanwhile: for another client, that is no replay either.
    for other in &others {
        assert_refused(&exchange(&app, other, &code).await, "invalid_grant", &[&code]);
    }
    // A code with one letter changed is refused too.
    let forged = format!("{}{}", &code[..code.len() - 8], &code[code.len() - 8..].to_uppercase());
    if forged != code {
        exchange(&app, &owner, &forged).await.oauth_error("invalid_grant");
    }
    app.introspect(&issued.text("access_token")).await.active();
    flow::refresh(&app, &owner, &issued.text("refresh_token")).await.status(200);
}

#[tokio::test]
async fn expired_codes_are_refused() {
    // THREATS: CE3
    let app = TestApp::new().await;
    let (client, other) = (first_party(&app).await, first_party(&app).await);
    let browser = signed_in(&app, "alice@example.com").await;
    let life = app.app.config.lifetimes.code_seconds;
    let (late, early, swept) =
        (flow::code(&browser, &client).await, flow::code(&browser, &client).await, flow::code(&browser, &client).await);
    app.advance(life - 1);
    exchange(&app, &other, &early).await.oauth_error("invalid_grant");
    exchange(&app, &client, &early).await.status(200);
    app.advance(1);
    for client in [&client, &other] {
        assert_refused(&exchange(&app, client, &late).await, "invalid_grant", &[&late]);
    }
    app.advance(app.app.config.lifetimes.grant_seconds);
    app.app.store.purge_expired(app.now(), app.app.config.lifetimes.audit_seconds).await.expect("purged");
    assert_refused(&exchange(&app, &client, &swept).await, "invalid_grant", &[&swept]);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_exchanges_redeem_the_code_once() {
    // THREATS: CE4
    let app = Arc::new(TestApp::new().await);
    let client = app.public().await;
    let code = {
        let browser = signed_in(&app, "alice@example.com").await;
        flow::code(&browser, &client).await
    };
    let replies = race(|| {
        let (app, client, code) = (Arc::clone(&app), client.clone(), code.clone());
        async move { exchange(&app, &client, &code).await }
    })
    .await;
    let (won, lost): (Vec<Reply>, Vec<Reply>) = replies.into_iter().partition(|reply| reply.status.as_u16() == 200);
    assert_eq!((won.len(), lost.len()), (1, super::RACERS - 1));
    for reply in &lost {
        assert_refused(reply, "invalid_grant", &[&code]);
    }
    // The losers were second redemptions, so the winner's tokens are revoked.
    app.introspect(&won[0].text("access_token")).await.inactive();
    flow::refresh(&app, &client, &won[0].text("refresh_token")).await.oauth_error("invalid_grant");
}

#[tokio::test]
async fn other_secrets_are_not_codes() {
    // THREATS: CE5
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let alice = app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access_token, refresh_token) = flow::tokens(&browser, &client).await;
    let body = refresh_token.trim_start_matches("gd_rt_");
    let grant = app.database.column("SELECT id FROM grants").await.remove(0);
    let client_secret = client.secret.clone().expect("a secret");
    for other in [
        refresh_token.as_str(),
        &format!("{CODE}{body}"),
        &access_token,
        &app.key(&alice, "read").await.1,
        &client_secret,
        &browser.cookie("__Host-grantd_session").expect("a session"),
        &grant,
        &format!("{CODE}{grant}"),
        "urn:ietf:params:oauth:request_uri:x",
        CODE,
        "x",
    ] {
        assert_refused(&exchange(&app, &client, other).await, "invalid_grant", &[&refresh_token, &client_secret]);
    }
    // None of these guesses revoked the grant.
    app.introspect(&access_token).await.active();
    flow::refresh(&app, &client, &refresh_token).await.status(200);
}

#[tokio::test]
async fn code_respects_changes_since_it_was_issued() {
    // THREATS: CE6
    let app = TestApp::new().await;
    let store = &app.app.store;
    let origin = Origin::default;
    let owner = app.user("owner@example.com").await;
    for what in ["nothing", "disabled", "consent", "password", "scope", "address"] {
        let client = app.client(ClientType::Confidential, |client| client.owner_id = Some(owner.clone())).await;
        let email = format!("{what}@example.com");
        let user = app.user(&email).await;
        let browser = app.browser();
        browser.log_in(&email).await;
        let code = flow::code(&browser, &client).await;
        let done = match what {
            "disabled" => store.set_user_active(app.now(), origin(), user.clone(), false).await,
            "consent" => store.withdraw_consent(app.now(), origin(), user.clone(), client.id.clone()).await,
            "password" => {
                let hash = app.hash("another horse battery").await;
                store.set_password(app.now(), origin(), user.clone(), hash).await
            }
            "scope" | "address" => {
                let (scope, uri) =
                    if what == "scope" { ("read", CALLBACK) } else { ("read write", "https://a.example/cb") };
                let to = ClientChanges {
                    name: None,
                    redirect_uris: Some(vec![RedirectUri::register(uri).expect("a URI")]),
                    scopes: Some(Scopes::parse(scope).expect("scopes")),
                    allowed_for: None,
                };
                store.update_client(app.now(), origin(), client.id.clone(), owner.clone(), to).await
            }
            _ => Ok(true),
        };
        assert!(done.expect("done"), "{what}");
        let reply = exchange(&app, &client, &code).await;
        if what == "nothing" {
            reply.status(200);
        } else {
            assert_refused(&reply, "invalid_grant", &[&code]);
        }
    }
}

#[tokio::test]
async fn exchange_cannot_exceed_the_grant() {
    // THREATS: CE7
    let app = TestApp::new().await;
    let second = "https://second.example.test";
    app.api("Second API", second, &["other"]).await;
    let client = app.client(ClientType::Confidential, |client| {
        client.first_party = true;
        client.scopes = Scopes::parse("read write other").expect("scopes");
    });
    let client = client.await;
    let browser = signed_in(&app, "alice@example.com").await;
    let granted = async |browser: &Browser<'_>, change: &[(&str, &str)]| {
        once(&browser.get(&authorize_url(&client, change)).await, "code")
    };
    let code = granted(&browser, &[("scope", "read")]).await;
    let reply = exchange_with(&app, &client, &code, &[("scope", "read write other")]).await;
    assert_eq!(reply.status(200).text("scope"), "read");
    assert_eq!(app.introspect(&reply.text("access_token")).await.active()["scope"], "read");
    // Not a resource at all, an unknown one, one of no granted scope, and one outside the requested resource.
    for (change, resource) in [
        ([("scope", "read"), ("resource", "")], "not a URI"),
        ([("scope", "read"), ("resource", "")], "https://api.example.test#x"),
        ([("scope", "read"), ("resource", "")], "https://nowhere.test"),
        ([("scope", "read"), ("resource", "")], second),
        ([("scope", "read other"), ("resource", API)], second),
    ] {
        let code = granted(&browser, &change).await;
        assert_refused(
            &exchange_with(&app, &client, &code, &[("resource", resource)]).await,
            "invalid_target",
            &[&code],
        );
    }
    // Of two granted resources, one can be requested alone.
    let code = granted(&browser, &[("scope", "read other")]).await;
    let reply = exchange_with(&app, &client, &code, &[("resource", second)]).await;
    assert_eq!(reply.status(200).text("scope"), "other");
    app.introspect(&reply.text("access_token")).await.inactive();
}

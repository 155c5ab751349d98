//! Owns tests of PKCE, from the challenge in the authorization request to the verifier in the exchange.

use grantd::model::{client::ClientType, secret::Digest};

use super::{assert_refused, assert_sent_back, first_party, once, signed_in, token};
use crate::harness::{
    Browser, OAuthClient, Reply, TestApp,
    app::CALLBACK,
    flow::{self, CHALLENGE, VERIFIER, authorize_url},
};

const BARE: [(&str, &str); 2] = [("code_challenge", ""), ("code_challenge_method", "")];

/// A client for which PKCE is not required.
async fn opted_out(app: &TestApp, kind: ClientType) -> OAuthClient {
    app.client(kind, |client| {
        client.first_party = true;
        client.require_pkce = false;
    })
    .await
}

/// Exchanges a code with this verifier, or none.
async fn exchange(app: &TestApp, client: &OAuthClient, code: &str, verifier: &str) -> Reply {
    let form =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", verifier)];
    token(app, client, &form).await
}

async fn ask(browser: &Browser<'_>, client: &OAuthClient, challenge: &str, method: &str) -> Reply {
    let change = [("code_challenge", challenge), ("code_challenge_method", method)];
    browser.get(&authorize_url(client, &change)).await
}

#[tokio::test]
async fn pkce_is_required_unless_disabled_for_a_confidential_client() {
    // THREATS: PK1
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let (confidential, public) = (app.confidential().await, app.public().await);
    // A public client always needs PKCE, which alone binds the code to it.
    let excused = opted_out(&app, ClientType::Public).await;
    for client in [&first_party(&app).await, &confidential, &public, &excused] {
        assert_sent_back(&browser.get(&authorize_url(client, &BARE)).await, "invalid_request");
    }
    let optout = opted_out(&app, ClientType::Confidential).await;
    let code = once(&browser.get(&authorize_url(&optout, &BARE)).await, "code");
    exchange(&app, &optout, &code, "").await.status(200);
    // A method without a challenge means that the challenge was lost.
    assert_sent_back(&ask(&browser, &optout, "", "S256").await, "invalid_request");
}

#[tokio::test]
async fn s256_is_the_only_method() {
    // THREATS: PK2
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    for client in [first_party(&app).await, opted_out(&app, ClientType::Confidential).await] {
        for method in ["plain", "", "s256", "S256 ", "S512", "none"] {
            assert_sent_back(&ask(&browser, &client, CHALLENGE, method).await, "invalid_request");
            assert_sent_back(&ask(&browser, &client, VERIFIER, method).await, "invalid_request");
        }
        once(&ask(&browser, &client, CHALLENGE, "S256").await, "code");
    }
    let metadata = app.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
}

#[tokio::test]
async fn malformed_challenges_are_refused() {
    // THREATS: PK3
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let padded = format!("{CHALLENGE}=");
    let standard = CHALLENGE.replace('-', "+");
    let slashed = format!("{}/", &CHALLENGE[..42]);
    let longer = format!("{CHALLENGE}A");
    // Its last letter has two bits that no digest sets.
    let loose = format!("{}N", &CHALLENGE[..42]);
    let hex = "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3";
    let wrong = [&CHALLENGE[..42], &padded, &standard, &slashed, &longer, &loose, hex, "x", " ", "\u{1f511}"];
    for client in [first_party(&app).await, opted_out(&app, ClientType::Confidential).await] {
        for challenge in wrong {
            assert_sent_back(&ask(&browser, &client, challenge, "S256").await, "invalid_request");
        }
        // `code_challenge=` is sent, and empty.
        let url = format!("{}&code_challenge=", authorize_url(&client, &[("code_challenge", "")]));
        assert_sent_back(&browser.get(&url).await, "invalid_request");
    }
}

#[tokio::test]
async fn wrong_verifier_invalidates_the_code() {
    // THREATS: PK4
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let client = first_party(&app).await;
    let reversed: String = VERIFIER.chars().rev().collect();
    for wrong in ["", &reversed, &VERIFIER.to_lowercase(), CHALLENGE, &format!("{VERIFIER}A"), &format!("{VERIFIER} ")]
    {
        let code = flow::code(&browser, &client).await;
        assert_refused(&exchange(&app, &client, &code, wrong).await, "invalid_grant", &[VERIFIER, &code, CHALLENGE]);
        assert_refused(&exchange(&app, &client, &code, VERIFIER).await, "invalid_grant", &[VERIFIER, &code]);
    }
    // Malformed verifiers are refused although they hash to the challenge.
    let (shortest, longest, overlong) = ("a".repeat(43), "a".repeat(128), "a".repeat(129));
    let odd = format!("{}+/", &VERIFIER[..41]);
    let unicode = "\u{e9}".repeat(43);
    for (verifier, right) in [
        (&shortest[1..], false),
        (shortest.as_str(), true),
        (longest.as_str(), true),
        (overlong.as_str(), false),
        (odd.as_str(), false),
        (unicode.as_str(), false),
    ] {
        let challenge = Digest::of(verifier).text();
        let code = once(&ask(&browser, &client, &challenge, "S256").await, "code");
        let reply = exchange(&app, &client, &code, verifier).await;
        if right {
            reply.status(200);
        } else {
            assert_refused(&reply, "invalid_grant", &[verifier, &code]);
        }
    }
}

#[tokio::test]
async fn verifier_without_a_challenge_is_refused() {
    // THREATS: PK5
    let app = TestApp::new().await;
    let browser = signed_in(&app, "alice@example.com").await;
    let client = opted_out(&app, ClientType::Confidential).await;
    let code = once(&browser.get(&authorize_url(&client, &BARE)).await, "code");
    assert_refused(&exchange(&app, &client, &code, VERIFIER).await, "invalid_grant", &[VERIFIER, &code]);
    assert_refused(&exchange(&app, &client, &code, "").await, "invalid_grant", &[&code]);
    // A challenge that was sent must be verified, even if PKCE is not required.
    let code = once(&browser.get(&authorize_url(&client, &[])).await, "code");
    assert_refused(&exchange(&app, &client, &code, "").await, "invalid_grant", &[&code]);
}

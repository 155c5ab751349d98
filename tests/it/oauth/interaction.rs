//! Owns tests of the steps from an authorization request to its code: sign-in, consent, and what may be skipped.
//! For sign-in itself, see `web::login`.

use grantd::model::audit::Origin;

use super::{assert_sent_back, first_party, once, signed_in};
use crate::harness::{
    Browser, OAuthClient, Reply, TestApp,
    app::{CALLBACK, PASSWORD},
    flow::{self, CHALLENGE, authorize_url},
};

/// The interaction in a redirect to one of grantd's pages.
#[track_caller]
fn interaction(reply: &Reply, page: &str) -> String {
    assert!(reply.location().starts_with(&format!("{page}?interaction=")), "{}", reply.location());
    once(reply, "interaction")
}

/// Signs in for a waiting request; `extra` fields are added.
async fn sign_in(browser: &Browser<'_>, interaction: &str, email: &str, extra: &[(&str, &str)]) -> Reply {
    let page = browser.get(&format!("/login?interaction={interaction}&switch=1")).await;
    let csrf = page.status(200).input("csrf");
    let form = [("csrf", csrf.as_str()), ("interaction", interaction), ("email", email), ("password", PASSWORD)];
    browser.post("/login", &[&form, extra].concat()).await
}

async fn grants(app: &TestApp) -> usize {
    app.database.column("SELECT id FROM grants").await.len()
}

#[tokio::test]
async fn sign_in_and_consent_redirect_with_303() {
    // THREATS: AZ8
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    for (decision, result) in [("deny", "error"), ("allow", "code")] {
        let browser = app.browser();
        let id = interaction(&browser.get(&authorize_url(&client, &[])).await, "/login");
        let signed_in = sign_in(&browser, &id, "alice@example.com", &[]).await;
        assert_eq!(signed_in.status(303).header("location"), format!("/oauth/authorize?interaction={id}"));
        let to_consent = browser.get(&signed_in.location()).await;
        let consent = browser.get(&to_consent.status(303).location()).await;
        let form = [("csrf", consent.input("csrf")), ("interaction", id.clone()), ("decision", decision.to_owned())];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let decided = browser.post("/consent", &form).await;
        assert_eq!(decided.status(303).header("location"), format!("/oauth/authorize?interaction={id}"));
        let reply = browser.get(&decided.location()).await;
        once(reply.status(303), result);
        if decision == "deny" {
            assert_sent_back(&reply, "access_denied");
        }
    }
}

#[tokio::test]
async fn prompt_none_shows_no_page_and_requires_consent() {
    // THREATS: AZ11
    let app = TestApp::new().await;
    let (client, public) = (app.confidential().await, app.public().await);
    let silent = async |browser: &Browser<'_>, client: &OAuthClient, change: &[(&str, &str)]| {
        browser.get(&authorize_url(client, &[&[("prompt", "none")], change].concat())).await
    };
    assert_sent_back(&silent(&app.browser(), &client, &[]).await, "login_required");
    let browser = signed_in(&app, "alice@example.com").await;
    let read = [("scope", "read")];
    assert_sent_back(&silent(&browser, &client, &read).await, "consent_required");
    once(&flow::authorize(&browser, &client, &read).await, "code");
    once(&silent(&browser, &client, &read).await, "code");
    // Consent covers what was shown; another user, or a public client that anybody can imitate, has none.
    assert_sent_back(&silent(&browser, &client, &[]).await, "consent_required");
    assert_sent_back(
        &silent(&browser, &client, &[("scope", "read"), ("resource", "https://api.example.test")]).await,
        "consent_required",
    );
    assert_sent_back(&silent(&signed_in(&app, "bob@example.com").await, &client, &read).await, "consent_required");
    once(&flow::authorize(&browser, &public, &read).await, "code");
    assert_sent_back(&silent(&browser, &public, &read).await, "consent_required");
    for prompt in ["none login", "none consent", "consent none", "none select_account", "bogus", "NONE"] {
        assert_sent_back(&silent(&browser, &client, &[("scope", "read"), ("prompt", prompt)]).await, "invalid_request");
    }
}

#[tokio::test]
async fn prompt_login_and_max_age_force_a_new_sign_in() {
    // THREATS: AZ12
    let app = TestApp::new().await;
    let client = first_party(&app).await;
    let browser = signed_in(&app, "alice@example.com").await;
    // Zero means now, even in the same moment as a sign-in.
    interaction(&browser.get(&authorize_url(&client, &[("max_age", "0")])).await, "/login");
    app.advance(100);
    once(&browser.get(&authorize_url(&client, &[("max_age", "100")])).await, "code");
    assert_eq!(app.database.column("SELECT auth_time FROM grants").await, [(app.now().0 - 100_000).to_string()]);
    for (step, change) in
        [("max_age", "99"), ("max_age", "0"), ("prompt", "login"), ("prompt", "select_account")].into_iter().enumerate()
    {
        let id = interaction(&browser.get(&authorize_url(&client, &[change])).await, "/login");
        let again = format!("/oauth/authorize?interaction={id}");
        interaction(&browser.get(&again).await, "/login");
        if change.0 == "prompt" {
            // Signing in for another request does not count for this one.
            let csrf = browser.get("/settings/keys").await.input("csrf");
            let form = [("csrf", csrf.as_str()), ("email", "alice@example.com"), ("password", PASSWORD)];
            browser.post("/login", &form).await.status(303);
            interaction(&browser.get(&again).await, "/login");
        }
        let page = format!("/login?interaction={id}");
        let wrong = [("interaction", id.as_str()), ("email", "alice@example.com"), ("password", "wrong password")];
        browser.submit(&page, "/login", &wrong).await.status(401);
        interaction(&browser.get(&again).await, "/login");
        app.advance(1);
        sign_in(&browser, &id, "alice@example.com", &[]).await.status(303);
        once(&browser.get(&again).await, "code");
        let times = app.database.column("SELECT auth_time FROM grants ORDER BY auth_time DESC").await;
        assert_eq!((times.len(), times[0].as_str()), (step + 2, app.now().0.to_string().as_str()));
        app.advance(100);
    }
    for max_age in ["99", "0"] {
        let reply = browser.get(&authorize_url(&client, &[("prompt", "none"), ("max_age", max_age)])).await;
        assert_sent_back(&reply, "login_required");
    }
    for max_age in ["-1", "1.5", "x", "99999999999", "+1"] {
        assert_sent_back(&browser.get(&authorize_url(&client, &[("max_age", max_age)])).await, "invalid_request");
    }
}

#[tokio::test]
async fn login_hint_of_another_user_gives_no_silent_tokens() {
    // THREATS: AZ13
    let app = TestApp::new().await;
    let client = first_party(&app).await;
    let browser = signed_in(&app, "bob@example.com").await;
    for prompt in ["none", "", "login"] {
        let change = [("id_token_hint", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln"), ("prompt", prompt)];
        assert_sent_back(&browser.get(&authorize_url(&client, &change)).await, "invalid_request");
    }
    assert_eq!(grants(&app).await, 0);
}

#[tokio::test]
async fn waiting_request_cannot_be_changed() {
    // THREATS: AZ14
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let (client, other) = (first_party(&app).await, first_party(&app).await);
    let browser = app.browser();
    let id = interaction(&browser.get(&authorize_url(&client, &[("scope", "read")])).await, "/login");
    let tampered = [
        ("client_id", other.id.as_str()),
        ("redirect_uri", "https://evil.test/cb"),
        ("response_type", "token"),
        ("scope", "write"),
        ("state", "evil"),
        ("prompt", "none"),
        ("code_challenge", &CHALLENGE.replace('E', "F")),
    ];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(tampered).finish();
    let reply = browser.get(&format!("/oauth/authorize?interaction={id}&{query}")).await;
    assert_eq!(interaction(&reply, "/login"), id);
    browser.get(&format!("/login?interaction={id}&{query}")).await.status(200);
    sign_in(&browser, &id, "alice@example.com", &tampered).await.status(303);
    let reply = browser.get(&format!("/oauth/authorize?interaction={id}&{query}")).await;
    assert!(reply.location().starts_with(&format!("{CALLBACK}?code=")), "{}", reply.location());
    assert_eq!(once(&reply, "state"), "st4te");
    let code = once(&reply, "code");
    flow::exchange(&app, &other, &code).await.oauth_error("invalid_grant");
    let reply = flow::exchange(&app, &client, &code).await;
    assert_eq!(reply.status(200).text("scope"), "read");
    // Used, altered or expired: each shows a page, and nothing is redirected.
    let over = interaction(&browser.get(&authorize_url(&client, &[("prompt", "login")])).await, "/login");
    let changed = format!("{}{}", &over[..over.len() - 1], if over.ends_with('a') { 'b' } else { 'a' });
    let gone = async |id: &str| {
        for page in ["/oauth/authorize", "/login", "/consent"] {
            browser.get(&format!("{page}?interaction={id}&{query}")).await.page(400);
        }
    };
    gone(&id).await;
    gone(&changed).await;
    gone("%00'").await;
    app.advance(app.app.config.lifetimes.interaction_seconds);
    gone(&over).await;
}

#[tokio::test]
async fn request_is_bound_to_its_browser() {
    // THREATS: AZ15
    let app = TestApp::new().await;
    app.user("alice@example.com").await;
    let client = app.confidential().await;
    let (alice, stranger) = (app.browser(), app.browser());
    let bob = signed_in(&app, "bob@example.com").await;
    let id = interaction(&alice.get(&authorize_url(&client, &[])).await, "/login");
    let alices = alice.get(&format!("/login?interaction={id}")).await.input("csrf");
    let strangers = stranger.get("/login").await.input("csrf");
    let bobs = bob.get("/settings/keys").await.input("csrf");
    for (browser, own) in [(&stranger, &strangers), (&bob, &bobs), (&app.browser(), &String::new())] {
        let session = browser.cookie("__Host-grantd_session");
        for csrf in [own, &alices] {
            let form = [("csrf", csrf.as_str()), ("interaction", &id)];
            let proof = [("email", "bob@example.com"), ("password", PASSWORD)];
            browser.post("/login", &[form, proof].concat()).await.page(403);
            browser.post("/consent", &[form.as_slice(), &[("decision", "allow")]].concat()).await.page(403);
        }
        for page in ["/oauth/authorize", "/login", "/consent"] {
            browser.get(&format!("{page}?interaction={id}")).await.page(403);
        }
        assert_eq!(browser.cookie("__Host-grantd_session"), session, "nobody was signed in");
    }
    sign_in(&alice, &id, "alice@example.com", &[]).await.status(303);
    let consent = alice.follow(alice.get(&format!("/oauth/authorize?interaction={id}")).await).await;
    let csrf = consent.status(200).input("csrf");
    for csrf in [&bobs, &csrf] {
        let form = [("csrf", csrf.as_str()), ("interaction", &id), ("decision", "allow")];
        bob.post("/consent", &form).await.page(403);
    }
    bob.get(&format!("/oauth/authorize?interaction={id}")).await.page(403);
    assert_eq!(grants(&app).await, 0);
    once(&flow::decide(&alice, &consent, "allow").await, "code");
}

#[tokio::test]
async fn code_requires_sign_in_and_consent() {
    // THREATS: AZ16
    // The steps are signing in, and consent.
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    // A public client, so that an earlier consent is never enough.
    let client = app.public().await;
    let browser = app.browser();
    let id = interaction(&browser.get(&authorize_url(&client, &[])).await, "/login");
    let again = format!("/oauth/authorize?interaction={id}");
    // Consent before sign-in leads back to sign-in, and an invalid decision does not count.
    browser.get(&format!("/consent?interaction={id}")).await.status(303);
    let csrf = browser.get(&format!("/login?interaction={id}")).await.input("csrf");
    browser.post("/consent", &[("csrf", &csrf), ("interaction", &id), ("decision", "allow")]).await.status(303);
    interaction(&browser.get(&again).await, "/login");
    sign_in(&browser, &id, "alice@example.com", &[]).await.status(303);
    for _ in 0..2 {
        interaction(&browser.get(&again).await, "/consent");
    }
    let csrf = browser.get(&format!("/consent?interaction={id}")).await.input("csrf");
    for decision in ["", "yes", "ALLOW"] {
        let form = [("csrf", csrf.as_str()), ("interaction", &id), ("decision", decision)];
        browser.post("/consent", &form).await.page(400);
    }
    interaction(&browser.get(&again).await, "/consent");
    // A decision counts for the user who made it, until somebody signs in for this request or in another tab.
    app.user("bob@example.com").await;
    for (beside, email) in [(false, "alice@example.com"), (false, "bob@example.com"), (true, "alice@example.com")] {
        let csrf = browser.get(&format!("/consent?interaction={id}")).await.input("csrf");
        browser.post("/consent", &[("csrf", &csrf), ("interaction", &id), ("decision", "allow")]).await.status(303);
        if beside {
            browser.post("/login", &[("csrf", &csrf), ("email", email), ("password", PASSWORD)]).await.status(303);
        } else {
            sign_in(&browser, &id, email, &[]).await.status(303);
        }
        interaction(&browser.get(&again).await, "/consent");
    }
    let store = &app.app.store;
    assert!(store.set_user_active(app.now(), Origin::default(), alice, false).await.expect("disabled"));
    interaction(&browser.get(&again).await, "/login");
    assert_eq!(grants(&app).await, 0);
}

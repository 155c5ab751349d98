//! Owns tests of how sign-ins affect others: what counts as a guess, how many succeed, fair queues. For the page
//! itself, see `login`.

use grantd::{engine::limit::Throttle, model::audit::Origin};

use crate::harness::{Browser, TestApp, app::PASSWORD, wait::until};

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn unchecked_password_does_not_count_as_a_guess() {
    // THREATS: SE7
    let app = TestApp::new().await;
    app.user(ADA).await;
    let mut browser = app.browser();
    for attempt in 0..12 {
        browser.address = format!("198.51.100.{attempt}");
        // Every place in the queue is taken by others.
        let queue: Vec<_> =
            (0..).map_while(|from| app.app.passwords.turn(None, &format!("sender {from}")).ok()).collect();
        let reply = browser.submit("/login", "/login", &[("email", ADA), ("password", PASSWORD)]).await;
        reply.status(503);
        drop(queue);
    }
    browser.log_in(ADA).await;
}

#[tokio::test]
async fn flooding_account_waits_while_others_sign_in() {
    // THREATS: SE7
    let app = TestApp::new().await;
    app.user(ADA).await;
    app.user("bob@example.com").await;
    let flood: Vec<_> =
        (0..75).map(|_| app.app.passwords.turn(Some(&format!("account:{ADA}")), "192.0.2.99")).collect();
    let mut browser = app.browser();
    let refused = browser.submit("/login", "/login", &[("email", ADA), ("password", PASSWORD)]).await;
    refused.page(429);
    assert!(refused.body.contains("try again in a few seconds"), "{}", refused.body);
    browser.address = "203.0.113.5".to_owned();
    browser.log_in("bob@example.com").await;
    drop(flood);
    let again = app.browser();
    again.log_in(ADA).await;
}

#[tokio::test]
async fn successful_sign_ins_are_limited_per_account() {
    // THREATS: SE7
    let app = TestApp::new().await;
    app.user(ADA).await;
    app.user("bob@example.com").await;
    let guard = Throttle::SIGN_INS_OF_ACCOUNT;
    for _ in 0..99 {
        assert_eq!(app.app.limiter.hit(app.now(), guard, &format!("account:{ADA}")).await, None);
    }
    app.browser().log_in(ADA).await;
    let refused = app.browser().submit("/login", "/login", &[("email", ADA), ("password", PASSWORD)]).await;
    assert_eq!(refused.page(429).header("retry-after"), "901");
    app.browser().log_in("bob@example.com").await;
    app.advance(901);
    app.browser().log_in(ADA).await;
}

#[tokio::test]
async fn failures_per_address_are_limited_and_not_reset_by_success() {
    // THREATS: SE7
    let app = TestApp::new().await;
    app.user(ADA).await;
    let browser = app.browser();
    let guess = async |number: usize| {
        let email = format!("user{number}@example.com");
        browser.submit("/login", "/login", &[("email", &email), ("password", "guess")]).await
    };
    for number in 0..49 {
        guess(number).await.status(401);
    }
    browser.log_in(ADA).await;
    let page = browser.get("/settings/keys").await;
    browser.post("/logout", &[("csrf", &page.input("csrf"))]).await.status(303);
    guess(49).await.status(401);
    let refused = browser.submit("/login", "/login", &[("email", ADA), ("password", PASSWORD)]).await;
    assert_eq!(refused.page(429).header("retry-after"), "901");
}

#[tokio::test]
async fn old_password_is_refused_after_a_reset() {
    let app = TestApp::new().await;
    let user = app.user(ADA).await;
    let browser = app.browser();
    browser.log_in(ADA).await;
    let hash = app.hash("another horse battery").await;
    assert!(app.app.store.set_password(app.now(), Origin::default(), user, hash).await.expect("set"));
    assert_eq!(browser.get("/settings/keys").await.location(), "/login");
    browser.submit("/login", "/login", &[("email", ADA), ("password", PASSWORD)]).await.page(401);
}

#[tokio::test]
async fn disconnecting_during_a_check_does_not_change_the_counts() {
    // THREATS: SE7
    let bounds = [("limits.login_failures_per_address", "3"), ("limits.login_failures_per_account", "1")];
    let app = TestApp::with(&bounds).await;
    app.user(ADA).await;
    let mut browser = app.browser();
    let csrf = browser.get("/login").await.input("csrf");
    let (by_account, by_address) = (Throttle::account(1), Throttle::address(3));
    let wait = async |guard, name: &str| app.app.limiter.retry_after(app.now(), guard, name).await;
    // Sends the form, and disconnects as soon as the attempt is counted for its account.
    let hang_up = async |browser: &Browser<'_>, email: &str, password: &str| {
        let form = [("csrf", csrf.as_str()), ("email", email), ("password", password)];
        let account = format!("account:{email}");
        tokio::select! {
            biased;
            _ = browser.post("/login", &form) => {}
            _ = until("the attempt is counted", async || wait(by_account, &account).await) => {}
        }
    };
    for attempt in 0..3 {
        hang_up(&browser, &format!("nobody{attempt}@example.com"), "guess").await;
    }
    until("its address is refused", async || wait(by_address, "192.0.2.7").await).await;
    browser.submit("/login", "/login", &[("email", ADA), ("password", PASSWORD)]).await.page(429);
    // The right password is not a failure either.
    browser.address = "203.0.113.5".to_owned();
    hang_up(&browser, ADA, PASSWORD).await;
    let account = format!("account:{ADA}");
    until("it is no failure", async || wait(by_account, &account).await.is_none().then_some(())).await;
    browser.log_in(ADA).await;
}

//! Owns tests of plans at the gateway and in introspection: quota, burst, and the rate-limit headers.

use grantd::model::{audit::Origin, plan::Plan};

use super::{app, ask};
use crate::harness::TestApp;

async fn plan(app: &TestApp, per_hour: Option<u32>, burst: u32) {
    let plan = Plan { name: "pro".to_owned(), per_hour, burst };
    app.app.store.set_plan(app.now(), Origin::default(), plan).await.expect("a plan");
    app.app.catalog.reload().await.expect("a catalog");
}

#[tokio::test]
async fn responses_show_the_remaining_quota_and_excess_is_429() {
    // THREATS: AK15 RL1
    let app = app().await;
    plan(&app, Some(2), 50).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let bearer = format!("Bearer {key}");
    let first = ask(&app, &[("authorization", &bearer)]).await;
    first.status(200);
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("2", "1"));
    assert_eq!(first.header("x-ratelimit-reset"), (app.now().seconds() + 3600).to_string());
    assert_eq!(
        (first.header("ratelimit-policy"), first.header("ratelimit")),
        ("\"hour\";q=2;w=3600", "\"hour\";r=1;t=3600")
    );
    ask(&app, &[("authorization", &bearer)]).await.status(200);
    let refused = ask(&app, &[("authorization", &bearer)]).await;
    assert_eq!(refused.status(429).text("error"), "rate_limit_exceeded");
    assert_eq!(refused.text("message"), "Rate limit exceeded. Try again in 3600 seconds.");
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-remaining")), ("3600", "0"));
    app.advance(3600);
    ask(&app, &[("authorization", &bearer)]).await.status(200);
}

#[tokio::test]
async fn bursts_last_a_second_and_are_shared_by_a_users_keys() {
    let app = app().await;
    plan(&app, None, 1).await;
    let user = app.user("alice@example.com").await;
    let (one, two) = (app.key(&user, "read").await.1, app.key(&user, "read").await.1);
    ask(&app, &[("authorization", &format!("Bearer {one}"))]).await.status(200);
    let refused = ask(&app, &[("authorization", &format!("Bearer {two}"))]).await;
    refused.status(429);
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-limit")), ("1", ""));
    app.advance(1);
    ask(&app, &[("authorization", &format!("Bearer {two}"))]).await.status(200);
}

#[tokio::test]
async fn introspection_shows_the_quota_and_counts_only_if_configured() {
    let app = app().await;
    plan(&app, Some(10), 50).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    for _ in 0..2 {
        let answer = app.introspect(&key).await.active();
        assert_eq!(
            answer["rate_limit"],
            serde_json::json!({ "limit": 10, "remaining": 10, "reset": app.now().seconds() + 3600, "exceeded": false })
        );
    }
    ask(&app, &[("authorization", &format!("Bearer {key}"))]).await.status(200);
    assert_eq!(app.introspect(&key).await.active()["rate_limit"]["remaining"], 9);
}

#[tokio::test]
async fn client_credentials_are_limited_by_the_configured_plan() {
    // THREATS: RL1
    let app = app().await;
    plan(&app, Some(2), 50).await;
    let client = app.confidential().await;
    let bearer = format!("Bearer {}", app.client_token(&client).await);
    let first = ask(&app, &[("authorization", &bearer)]).await;
    first.status(200);
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("2", "1"));
    assert_eq!((first.header("x-auth-plan"), first.header("ratelimit-policy")), ("pro", "\"hour\";q=2;w=3600"));
    // A new token belongs to the same client.
    let another = app.client_token(&client).await;
    ask(&app, &[("authorization", &format!("Bearer {another}"))]).await.status(200);
    let refused = ask(&app, &[("authorization", &bearer)]).await;
    assert_eq!(refused.status(429).header("retry-after"), "3600");
    let told = app.introspect(&another).await.active();
    assert_eq!((&told["plan"], &told["rate_limit"]["limit"]), (&"pro".into(), &2.into()));
    assert_eq!((&told["rate_limit"]["remaining"], &told["rate_limit"]["exceeded"]), (&0.into(), &true.into()));
    let other = app.client_token(&app.confidential().await).await;
    ask(&app, &[("authorization", &format!("Bearer {other}"))]).await.status(200);
    // Without a configured plan there is no limit, and no headers.
    let changes = [("limits.client_plan", ""), ("GRANTD_TRUSTED_PROXIES", "10.0.0.0/8")];
    let app = TestApp::with(&changes).await;
    let token = app.client_token(&app.confidential().await).await;
    let free = ask(&app, &[("authorization", &format!("Bearer {token}"))]).await;
    assert_eq!(free.status(200).header("x-ratelimit-limit"), "");
    let told = app.introspect(&token).await.active();
    assert_eq!((told.get("plan"), told.get("rate_limit")), (None, None));
}

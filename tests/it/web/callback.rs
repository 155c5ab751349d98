//! Owns tests of `/apps/callback`.

use super::element;
use crate::harness::{ISSUER, TestApp};

#[tokio::test]
async fn callback_shows_the_response_and_how_to_exchange_the_code() {
    let app = TestApp::new().await;
    let reply =
        app.get(&format!("/apps/callback?code=gd_code_abc&state=xyz&iss={}", "https%3A%2F%2Fauth.example.test")).await;
    reply.page(200);
    assert_eq!(element(&reply, "code"), "gd_code_abc");
    let curl = element(&reply, "exchange");
    assert!(
        curl.contains(&format!("{ISSUER}/oauth/token"))
            && curl.contains(&format!("redirect_uri={ISSUER}/apps/callback")),
        "{curl}"
    );
    assert!(reply.body.contains("xyz"));
}

#[tokio::test]
async fn query_of_the_callback_is_escaped() {
    // THREATS: AZ10
    let app = TestApp::new().await;
    let evil = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for query in [
        format!("error={evil}&error_description={evil}&state={evil}"),
        format!("code={evil}&state={evil}"),
        format!("code=a&iss={evil}&state={evil}"),
        format!("code=gd_code_a&state={evil}"),
    ] {
        let reply = app.get(&format!("/apps/callback?{query}")).await;
        reply.page(200);
        assert!(!reply.body.contains("<script>alert") && reply.body.contains("&#60;script&#62;"), "{}", reply.body);
    }
    let reply = app.get("/apps/callback?code=%24(id)%60id%60%27").await;
    assert!(reply.body.contains("not a code") && !reply.body.contains("curl"), "{}", reply.body);
    app.get("/apps/callback?code=%ff").await.page(400);
    assert!(app.get("/apps/callback").await.body.contains("No response"));
}

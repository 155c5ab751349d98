//! Owns the shortest test that all parts work together.

use crate::harness::TestApp;

#[tokio::test]
async fn introspection_answers_tokens_and_keys() {
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let token = app.client_token(&client).await;
    let answer = app.introspect(&token).await.active();
    assert_eq!((&answer["credential"], &answer["sub"]), (&"access_token".into(), &client.id.clone().into()));
    let user = app.user("alice@example.com").await;
    let (key_id, key) = app.key(&user, "read").await;
    let answer = app.introspect(&key).await.active();
    assert_eq!(
        (&answer["credential"], &answer["key_id"], &answer["sub"]),
        (&"api_key".into(), &key_id.into(), &user.into())
    );
}

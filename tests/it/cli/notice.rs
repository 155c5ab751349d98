//! Owns tests that a running server sees changes by the command line, on either engine. That this takes at most a
//! second is tested with a test clock in `credentials::spread`.

use crate::harness::{Installation, OAuthClient, Reply, process::Server, wait};

#[tokio::test]
async fn running_server_sees_changes_on_sqlite() {
    notices(&Installation::new()).await;
}

#[cfg(feature = "services")]
#[tokio::test]
async fn running_server_sees_changes_on_postgres() {
    notices(&Installation::on_postgres().await).await;
}

async fn notices(here: &Installation) {
    // THREATS: AK10
    let server = here.serve().await;
    let api = here.api();
    here.user("alice@example.com");
    let machine = here.client(&["--grant-type", "client_credentials"]);
    // The catalog, the client and the key are new to the server.
    let (id, key) = here.key("alice@example.com");
    until(async || server.introspect(&api, &key).await, |reply| reply.body.contains("\"active\":true")).await;
    until(async || ask(&server, &machine).await, |reply| reply.status == 200).await;
    let token = server.client_token(&machine).await;
    server.introspect(&api, &token).await.active();

    here.json(&["key", "revoke", &id]);
    until(async || server.introspect(&api, &key).await, is_inactive).await;
    here.json_with(&["token", "revoke"], &token);
    until(async || server.introspect(&api, &token).await, is_inactive).await;

    let (_, key) = here.key("alice@example.com");
    server.introspect(&api, &key).await.active();
    here.json(&["user", "disable", "--email", "alice@example.com"]);
    until(async || server.introspect(&api, &key).await, is_inactive).await;
    here.json(&["user", "enable", "--email", "alice@example.com"]);
    until(async || server.introspect(&api, &key).await, |reply| reply.body.contains("\"active\":true")).await;

    let token = server.client_token(&machine).await;
    server.introspect(&api, &token).await.active();
    here.json(&["client", "disable", &machine.id]);
    until(async || ask(&server, &machine).await, |reply| reply.status == 401).await;
    until(async || server.introspect(&api, &token).await, is_inactive).await;
    here.json(&["client", "enable", &machine.id]);
    until(async || server.introspect(&api, &token).await, |reply| reply.body.contains("\"active\":true")).await;

    let rotated = here.json(&["client", "rotate-secret", &machine.id, "--overlap", "0s"]);
    until(async || ask(&server, &machine).await, |reply| reply.status == 401).await;
    let machine = OAuthClient { secret: rotated["client_secret"].as_str().map(ToOwned::to_owned), ..machine };
    ask(&server, &machine).await.status(200);

    here.json(&["signing-key", "rotate", "--compromised"]);
    until(async || server.introspect(&api, &token).await, is_inactive).await;
    let token = server.client_token(&machine).await;
    server.introspect(&api, &token).await.active();
}

async fn ask(server: &Server, client: &OAuthClient) -> Reply {
    server.post_as(client, "/oauth/token", &[("grant_type", "client_credentials")]).await
}

fn is_inactive(reply: &Reply) -> bool {
    reply.body == r#"{"active":false}"#
}

/// Repeats the request until the response is right.
#[track_caller]
fn until<F: Future<Output = Reply>>(
    ask: impl Fn() -> F,
    is_right: impl Fn(&Reply) -> bool,
) -> impl Future<Output = ()> {
    wait::until("what the command line changed", async move || is_right(&ask().await).then_some(()))
}

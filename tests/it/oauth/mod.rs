//! Owns tests of issuing: `/oauth/authorize` with its pages, and `/oauth/token`, with a file for each topic.
//! Reading and revoking tokens is tested in `credentials`.

mod absent;
mod audience;
mod authorize;
mod client_auth;
mod client_credentials;
mod client_end;
mod code;
mod interaction;
mod limits;
mod open_redirect;
mod pkce;
mod redirect_uri;
mod refresh;
mod refresh_reuse;
mod token;

use std::future::Future;

use grantd::model::client::ClientType;
use tokio::task::JoinSet;

use crate::harness::{Browser, ISSUER, OAuthClient, Reply, TestApp, app::CALLBACK};

/// Concurrent requests of one race.
const RACERS: usize = 64;

/// A confidential first-party client: users are not asked for consent, so a signed-in browser gets its code immediately,
/// and a test that expects a refusal would see a code if the check were missing.
async fn first_party(app: &TestApp) -> OAuthClient {
    app.client(ClientType::Confidential, |client| client.first_party = true).await
}

/// A browser with a new user signed in.
async fn signed_in<'a>(app: &'a TestApp, email: &str) -> Browser<'a> {
    app.user(email).await;
    let browser = app.browser();
    browser.log_in(email).await;
    browser
}

/// POST to the token endpoint by this client.
async fn token(app: &TestApp, client: &OAuthClient, form: &[(&str, &str)]) -> Reply {
    app.post_as(client, "/oauth/token", form).await
}

/// The same request many times at once, on all threads.
async fn race<F>(request: impl Fn() -> F) -> Vec<Reply>
where
    F: Future<Output = Reply> + Send + 'static,
{
    let mut racers = JoinSet::new();
    for _ in 0..RACERS {
        racers.spawn(request());
    }
    racers.join_all().await
}

/// Parameters of the URL of a 303, in order.
#[track_caller]
fn params(reply: &Reply) -> Vec<(String, String)> {
    let location = reply.location();
    let query = location.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The value of a parameter that occurs exactly once in the URL of a 303.
#[track_caller]
fn once(reply: &Reply, name: &str) -> String {
    let mut values: Vec<String> = params(reply).into_iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect();
    assert_eq!(values.len(), 1, "{name}: {}", reply.location());
    values.remove(0)
}

/// Asserts a redirected error: to the client's address with error, state and issuer, each once, and nothing issued.
#[track_caller]
fn assert_sent_back(reply: &Reply, error: &str) {
    let location = reply.location();
    assert!(location.starts_with(&format!("{CALLBACK}?")) && !location.contains('#'), "{location}");
    assert_eq!((once(reply, "error").as_str(), once(reply, "state").as_str()), (error, "st4te"), "{location}");
    assert_eq!(once(reply, "iss"), ISSUER);
    let known = ["error", "error_description", "state", "iss"];
    assert!(params(reply).iter().all(|(name, _)| known.contains(&name.as_str())), "{location}");
}

/// Asserts an RFC 6749 §5.2 error: its members and no others, and nothing of the presented credentials.
#[track_caller]
fn assert_refused(reply: &Reply, error: &str, presented: &[&str]) {
    reply.oauth_error(error);
    let body = reply.json();
    let mut members: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["error", "error_description"], "{}", reply.body);
    for secret in presented {
        assert!(!reply.body.contains(secret), "{secret} is echoed: {}", reply.body);
    }
}

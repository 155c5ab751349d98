//! Owns tests of client authentication, at every endpoint that has it.

use axum::{
    body::Body,
    http::{Request, header},
};
use data_encoding::BASE64;
use grantd::{
    engine::clients::new_secret,
    model::{
        audit::Origin,
        client::{AuthMethod, ClientType, GrantType},
        secret::Digest,
    },
};

use super::{assert_refused, token};
use crate::harness::{Captured, OAuthClient, Reply, TestApp, app::encode};

/// Endpoints with client authentication.
const ENDPOINTS: [&str; 3] = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"];
const OWN: (&str, &str) = ("grant_type", "client_credentials");

/// The Basic header of these texts, encoded as RFC 6749 §2.3.1 says.
fn basic(id: &str, secret: &str) -> String {
    let form = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    raw_basic(&format!("{}:{}", form(id), form(secret)))
}

fn raw_basic(pair: &str) -> String {
    format!("Basic {}", BASE64.encode(pair.as_bytes()))
}

/// POST with these Authorization headers.
async fn post(app: &TestApp, path: &str, authorization: &[&str], form: &[(&str, &str)]) -> Reply {
    let mut request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("x-request-id", "same");
    for value in authorization {
        request = request.header(header::AUTHORIZATION, *value);
    }
    app.send(request.body(encode(&[&[OWN, ("token", "x")], form].concat())).expect("a request")).await
}

#[tokio::test]
async fn wrong_secret_and_unknown_client_look_alike() {
    // THREATS: CA1
    // Tested here: the responses are the same. Not measured: that they take the same time, since that would depend on the
    // machine. It holds by construction: either way the presented secret is hashed once and, unless cached,
    // one indexed row is read; digests are compared in constant time. There is no slow hash to skip.
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let disabled = app.confidential().await;
    let origin = Origin::default();
    app.app.store.set_client_active(app.now(), origin, disabled.id.clone(), false).await.expect("disabled");
    let secret = client.secret.clone().expect("a secret");
    let right_elsewhere = app.confidential().await.secret.expect("a secret");
    let mut bare = OAuthClient { id: "client_unknown".to_owned(), secret: Some(secret.clone()) };
    for path in ENDPOINTS {
        let mut replies = Vec::new();
        for wrong in
            ["x", &secret[..secret.len() - 1], &secret.to_uppercase(), &right_elsewhere, &Digest::of(&secret).text()]
        {
            replies.push(post(&app, path, &[&basic(&client.id, wrong)], &[]).await);
            replies.push(post(&app, path, &[], &[("client_id", &client.id), ("client_secret", wrong)]).await);
        }
        for id in ["client_unknown", &disabled.id, "a'--", "\u{1f511}", "x".repeat(200).as_str()] {
            id.clone_into(&mut bare.id);
            replies.push(post(&app, path, &[&basic(id, &secret)], &[]).await);
            replies.push(post(&app, path, &[], &[("client_id", id), ("client_secret", &secret)]).await);
            replies.push(post(&app, path, &[], &[("client_id", id)]).await);
        }
        // A disabled client with the right secret may still revoke what it holds, and nothing else.
        let disabled = post(&app, path, &[&disabled.basic()], &[]).await;
        if path == "/oauth/revoke" {
            disabled.status(200);
        } else {
            replies.push(disabled);
        }
        for reply in &replies {
            assert_refused(reply, "invalid_client", &[&secret]);
            reply.same_as(&replies[0]);
        }
    }
    token(&app, &client, &[OWN]).await.status(200);
}

#[tokio::test]
async fn basic_credentials_are_form_encoded_and_strict() {
    // THREATS: CA2
    let app = TestApp::new().await;
    for secret in ["a:b", "100%", "%41", "a+b c", "p\u{e4}ss\u{1f511}", "a%3Ab&c=d"] {
        let client = app.client(ClientType::Confidential, |client| {
            client.grant_types = GrantType::ALL.to_vec();
            client.secrets[0].digest = Digest::of(secret);
        });
        let client = client.await;
        let authorization = basic(&client.id, secret);
        post(&app, "/oauth/token", &[&authorization], &[]).await.status(200);
        post(&app, "/oauth/token", &[&authorization.replace("Basic", "bASIC")], &[]).await.status(200);
        // More encoding than necessary is still the same name.
        let escaped = client.id.replace('_', "%5F").replace('c', "%63");
        let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        post(&app, "/oauth/token", &[&raw_basic(&format!("{escaped}:{encoded}"))], &[]).await.status(200);
        // Without encoding, it is another secret, or malformed.
        if secret.contains(['%', '+']) {
            let reply = post(&app, "/oauth/token", &[&raw_basic(&format!("{}:{secret}", client.id))], &[]).await;
            assert_refused(&reply, "invalid_client", &[]);
        }
    }
    let client = app.confidential().await;
    let (right, id) = (client.basic(), client.id.clone());
    let secret = client.secret.clone().expect("a secret");
    let encoded = &right["Basic ".len()..];
    for sloppy in [
        raw_basic(&format!("{id}{secret}")),
        raw_basic(&format!("{id}:")),
        raw_basic(&format!(":{secret}")),
        raw_basic(":"),
        raw_basic(&format!("{id}:{secret}\n")),
        raw_basic(&format!("{id}:{secret}:")),
        raw_basic(&format!(" {id}:{secret}")),
        raw_basic(&format!("{id}:{secret}%")),
        raw_basic(&format!("{id}:{secret}%00")),
        format!("{right} {encoded}"),
        format!("{right},"),
        format!("{right}; x=y"),
        format!("{right}="),
        format!("Basic  {encoded}"),
        format!("Basic{encoded}"),
        format!("Basic {}", encoded.trim_end_matches('=')).replace(encoded, "!!!"),
        format!("Bearer {encoded}"),
        format!("Basic {secret}"),
        "Basic".to_owned(),
        "Basic !!!".to_owned(),
        "Digest username=\"x\"".to_owned(),
    ] {
        for path in ["/oauth/token", "/oauth/introspect"] {
            assert_refused(&post(&app, path, &[&sloppy], &[]).await, "invalid_client", &[&secret]);
        }
    }
    assert_refused(&post(&app, "/oauth/token", &[&right, &right], &[]).await, "invalid_client", &[&secret]);
    post(&app, "/oauth/token", &[&right], &[]).await.status(200);
}

#[tokio::test]
async fn two_authentication_methods_at_once_are_refused() {
    // THREATS: CA3
    let app = TestApp::new().await;
    let (client, other) = (app.confidential().await, app.confidential().await);
    let (secret, others) = (client.secret.clone().expect("a secret"), other.secret.clone().expect("a secret"));
    for path in ENDPOINTS {
        for body in [
            &[("client_id", client.id.as_str()), ("client_secret", &secret)][..],
            &[("client_secret", &secret)],
            &[("client_id", &other.id)],
            &[("client_id", &other.id), ("client_secret", &others)],
            &[("client_id", &client.id), ("client_secret", "wrong")],
            &[("client_id", "client_unknown")],
        ] {
            assert_refused(&post(&app, path, &[&client.basic()], body).await, "invalid_request", &[&secret, &others]);
        }
        // Repeating the client id proves nothing.
        let reply = post(&app, path, &[&client.basic()], &[("client_id", &client.id), ("client_secret", "")]).await;
        reply.status(200);
    }
}

#[tokio::test]
async fn clients_must_use_their_registered_method() {
    // THREATS: CA4
    let app = TestApp::new().await;
    let with = async |kind, methods: &[AuthMethod]| {
        app.client(kind, |client| {
            client.grant_types = GrantType::ALL.to_vec();
            client.auth_methods = methods.to_vec();
        })
        .await
    };
    let by_basic = with(ClientType::Confidential, &[AuthMethod::ClientSecretBasic]).await;
    let by_post = with(ClientType::Confidential, &[AuthMethod::ClientSecretPost]).await;
    let public = with(ClientType::Public, &[AuthMethod::None]).await;
    // Changed to public, with a secret that was not deleted.
    let (shown, kept) = new_secret(app.now());
    let was_confidential = app.client(ClientType::Public, |client| client.secrets = vec![kept]).await;
    let in_body = async |path, client: &OAuthClient, secret: &str| {
        post(&app, path, &[], &[("client_id", &client.id), ("client_secret", secret)]).await
    };
    for path in ENDPOINTS {
        let secret = |client: &OAuthClient| client.secret.clone().expect("a secret");
        let refused = [
            in_body(path, &by_basic, &secret(&by_basic)).await,
            post(&app, path, &[&by_post.basic()], &[]).await,
            in_body(path, &by_basic, "").await,
            in_body(path, &by_post, "").await,
            post(&app, path, &[], &[]).await,
            post(&app, path, &[], &[("client_secret", &secret(&by_post))]).await,
            in_body(path, &public, "x").await,
            in_body(path, &public, shown.expose()).await,
            post(&app, path, &[&basic(&public.id, "x")], &[]).await,
            post(&app, path, &[&raw_basic(&format!("{}:", public.id))], &[]).await,
            in_body(path, &was_confidential, shown.expose()).await,
            post(&app, path, &[&basic(&was_confidential.id, shown.expose())], &[]).await,
        ];
        for reply in &refused {
            assert_refused(reply, "invalid_client", &[shown.expose()]);
        }
        post(&app, path, &[&by_basic.basic()], &[]).await.status(200);
        in_body(path, &by_post, &secret(&by_post)).await.status(200);
    }
    // A public client only names itself; that gives precise errors, but never introspection.
    assert_refused(&in_body("/oauth/token", &public, "").await, "unauthorized_client", &[]);
    in_body("/oauth/revoke", &public, "").await.status(200);
    assert_refused(&in_body("/oauth/introspect", &public, "").await, "invalid_client", &[]);
}

#[tokio::test]
async fn secrets_in_urls_are_refused_and_not_logged() {
    // THREATS: CA5
    let log = Captured::start();
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let secret = client.secret.clone().expect("a secret");
    for path in ENDPOINTS {
        for query in [
            format!("client_id={}&client_secret={secret}", client.id),
            format!("client_secret={secret}"),
            format!("grant_type=client_credentials&client_id={}&client_secret={secret}", client.id),
        ] {
            let target = format!("{path}?{query}");
            assert_refused(&post(&app, &target, &[], &[]).await, "invalid_request", &[&secret]);
            assert_refused(&post(&app, &target, &[&client.basic()], &[]).await, "invalid_request", &[&secret]);
            let get = Request::get(&target).body(Body::empty()).expect("a request");
            app.send(get).await.status(405);
        }
    }
    let log = log.text();
    assert!(log.contains("request refused") && log.contains("/oauth/token"), "{log}");
    assert!(!log.contains(&secret), "{log}");
}

#[tokio::test]
async fn old_secret_works_only_during_the_overlap() {
    // THREATS: CA10
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let rotate = async |overlap: i64| {
        let (shown, kept) = new_secret(app.now());
        let ends = app.now().plus_seconds(overlap);
        let done = app.app.store.rotate_secret(app.now(), Origin::default(), client.id.clone(), None, kept, ends).await;
        assert!(done.expect("rotated"));
        OAuthClient { id: client.id.clone(), secret: Some(shown.expose().to_owned()) }
    };
    let status = async |client: &OAuthClient| {
        let reply = token(&app, client, &[OWN]).await;
        if reply.status.as_u16() != 200 {
            assert_refused(&reply, "invalid_client", &[]);
        }
        reply.status.as_u16()
    };
    assert_eq!(status(&client).await, 200);
    let second = rotate(3600).await;
    app.advance(3599);
    assert_eq!([status(&client).await, status(&second).await], [200, 200]);
    app.advance(1);
    assert_eq!([status(&client).await, status(&second).await], [401, 200]);
    // Compromised: all active secrets end immediately.
    let third = rotate(3600).await;
    assert_eq!([status(&second).await, status(&third).await], [200, 200]);
    let fourth = rotate(0).await;
    let all = [status(&client).await, status(&second).await, status(&third).await, status(&fourth).await];
    assert_eq!(all, [401, 401, 401, 200]);
    // A longer overlap does not revive an expired one.
    let fifth = rotate(86_400).await;
    assert_eq!([status(&third).await, status(&fourth).await, status(&fifth).await], [401, 200, 200]);
}

#[tokio::test]
async fn secret_guessing_is_limited_without_locking_out_the_client() {
    // THREATS: CA12
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let guess = |peer: &'static str| {
        let request = Request::post("/oauth/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic(&client.id, "wrong"));
        app.send_from(peer, request.body(encode(&[OWN])).expect("a request"))
    };
    for _ in 0..100 {
        guess("203.0.113.9").await.oauth_error("invalid_client");
    }
    let limited = guess("203.0.113.9").await;
    assert_eq!(limited.status(429).text("error"), "too_many_requests");
    assert_eq!(limited.header("retry-after"), "901");
    // Another sender has its own count, and the right secret works from anywhere.
    guess("203.0.113.10").await.oauth_error("invalid_client");
    let right = Request::post("/oauth/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, client.basic());
    app.send_from("203.0.113.9", right.body(encode(&[OWN])).expect("a request")).await.status(200);
    app.advance(900);
    guess("203.0.113.9").await.oauth_error("invalid_client");
}

#[tokio::test]
async fn guesses_from_many_addresses_do_not_lock_out_the_client() {
    // THREATS: CA12
    let app = TestApp::new().await;
    let client = app.confidential().await;
    let send = async |peer: &str, header: &str| {
        let request = Request::post("/oauth/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, header);
        app.send_from(peer, request.body(encode(&[OWN])).expect("a request")).await
    };
    for sender in 0..200 {
        send(&format!("203.0.113.{sender}"), &basic(&client.id, "wrong")).await.oauth_error("invalid_client");
    }
    send("203.0.113.7", &client.basic()).await.status(200);
    send("192.0.2.9", &client.basic()).await.status(200);
    // Unregistered names have no secret to guess, so they use no memory, even if they are tried
    // often. Their sender is counted, whatever names it uses.
    let sender = "198.51.100.1";
    for _ in 0..200 {
        send(sender, &basic("client_invented", "wrong")).await.oauth_error("invalid_client");
    }
    for name in 200..1000 {
        send(sender, &basic(&format!("client_{name}"), "wrong")).await.oauth_error("invalid_client");
    }
    let limited = send(sender, &basic("client_1000", "wrong")).await;
    assert_eq!(
        (limited.status(429).header("retry-after"), limited.text("error").as_str()),
        ("901", "too_many_requests")
    );
    // The existing client is treated differently: the right secret works here too.
    send(sender, &client.basic()).await.status(200);
}

//! Owns tests of leaked keys: the public form, signed reports, and the mail to the owner.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use axum::{Json, Router, body::Body, http::Request, routing::get};
use data_encoding::BASE64;
use grantd::{config::Config, engine::mail::Mailer, store::AuditEntry};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::harness::{
    ISSUER, Reply, TestApp,
    mail::{next, server as mail_server},
    wait,
};

/// A reporter of leaks: a key pair, and a server that publishes its public half as GitHub does.
struct Reporter {
    pair: EcdsaKeyPair,
    url: String,
    /// How often its keys were fetched.
    asked: Arc<AtomicUsize>,
}

impl Reporter {
    async fn new() -> Self {
        Self::behind(Arc::new(Semaphore::new(1))).await
    }

    /// Its server answers while this is open.
    async fn behind(gate: Arc<Semaphore>) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key pair");
        let point = pair.public_key().as_ref();
        // SubjectPublicKeyInfo of a P-256 point (RFC 5480 §2): a fixed head, then the point.
        let head =
            data_encoding::HEXLOWER.decode(b"3059301306072a8648ce3d020106082a8648ce3d030107034200").expect("hex");
        let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", [head, point.to_vec()].concat()));
        let keys = json!({ "public_keys": [{ "key_identifier": "key-1", "key": pem, "is_current": true }] });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answer = async move || {
            count.fetch_add(1, Ordering::SeqCst);
            let _open = gate.acquire().await.expect("an open gate");
            Json(keys)
        };
        let routes = Router::new().route("/keys", get(answer));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { pair, url, asked }
    }

    fn signature(&self, body: &str) -> String {
        BASE64.encode(self.pair.sign(&SystemRandom::new(), body.as_bytes()).expect("a signature").as_ref())
    }
}

async fn report(app: &TestApp, identifier: &str, signature: &str, body: &str) -> Reply {
    let request = Request::post("/leaks/secret-scanning")
        .header("github-public-key-identifier", identifier)
        .header("github-public-key-signature", signature)
        .header("content-type", "application/json");
    let reply = app.send(request.body(Body::from(body.to_owned())).expect("a request")).await;
    let document = app.get("/openapi.json").await.json();
    let described = &document["paths"]["/leaks/secret-scanning"]["post"]["responses"][reply.status.as_str()];
    let mut schema = described["content"]["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{} is not described", reply.status);
    schema["components"] = document["components"].clone();
    assert!(jsonschema::validator_for(&schema).expect("a schema").is_valid(&reply.json()), "{}", reply.body);
    reply
}

#[tokio::test]
async fn finder_revokes_a_key_and_learns_nothing() {
    // THREATS: RV5
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let page = app.get("/leaked").await;
    page.page(200);
    assert!(page.body.contains("Revoke this leaked key"));
    let (_, other) = app.key(&user, "read").await;
    let mut typo = other.clone();
    typo.replace_range(20..21, if &other[20..21] == "x" { "y" } else { "x" });
    let real = app.post("/leaked", &[("key", &format!("  {key}\n"))]).await;
    real.page(200);
    assert!(!real.body.contains(&key) && !real.body.contains("alice") && !real.body.contains(&id));
    let rest = |reply: &Reply| reply.body.replace(reply.header("x-request-id"), "");
    let long = "x".repeat(10_000);
    for given in [key.as_str(), typo.as_str(), "", "garbage", "gd_code_x", "eyJ.x.y", long.as_str(), "\u{1F511}"] {
        let reply = app.post("/leaked", &[("key", given)]).await;
        assert_eq!((reply.status, rest(&reply)), (real.status, rest(&real)), "{given}");
    }
    app.introspect(&key).await.inactive();
    app.introspect(&other).await.active();
    let events = app.audit().await;
    assert_eq!(events.iter().filter(|event| *event == "key.leaked").count(), 1, "{events:?}");
}

#[tokio::test]
async fn attempts_are_limited() {
    // THREATS: RL1
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    for _ in 0..50 {
        app.post("/leaked", &[("key", "garbage")]).await.page(200);
    }
    app.post("/leaked", &[("key", &key)]).await.page(429);
    app.introspect(&key).await.active();
    app.advance(901);
    app.post("/leaked", &[("key", &key)]).await.page(200);
    app.introspect(&key).await.inactive();
}

#[tokio::test]
async fn mail_without_a_sender_prevents_the_start() {
    for from in ["", "nobody"] {
        let variables = [("GRANTD_MAIL__URL", "smtp://127.0.0.1:25"), ("GRANTD_MAIL__FROM", from)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let error = Config::load(None, variables, &[]).expect_err("no sender").to_string();
        assert!(error.contains("mail.from: the sender's address"), "{error}");
    }
}

#[tokio::test]
async fn signed_report_revokes_keys_and_notifies_owners() {
    // THREATS: RV5
    let (reporter, (mail_url, mut mails)) = (Reporter::new().await, mail_server().await);
    let app = mailing(&mail_url, &[("leaks.keys_url", &reporter.url)]).await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let (other, safe) = app.key(&user, "read").await;
    let body = json!([
        { "token": key, "type": "grantd_api_key", "url": "https://github.com/example/example/blob/x/y", "source": "content" },
        { "token": "gd_live_nothing", "type": "grantd_api_key", "url": "" },
    ])
    .to_string();
    let reply = report(&app, "key-1", &reporter.signature(&body), &body).await;
    let labels = reply.status(200).json();
    let said = |at: usize| labels[at]["label"].as_str().map(ToOwned::to_owned);
    assert_eq!((said(0).as_deref(), said(1).as_deref()), (Some("true_positive"), Some("false_positive")));
    assert!(!reply.body.contains(&key), "the key is not sent back");
    app.introspect(&key).await.inactive();
    app.introspect(&safe).await.active();
    let mail = next(&mut mails).await;
    assert!(mail.contains("alice@example.com") && mail.contains(&format!("{ISSUER}/settings/keys/{id}")), "{mail}");
    assert!(mail.contains("found in public at https://github.com/example/") && mail.contains("2026-11-21T"), "{mail}");
    assert!(mail.contains("@example.com>\nFrom:") && mail.contains("From: Example <keys@example.com>"), "{mail}");
    assert!(!mail.contains(&key), "{mail}");
    // Reported again, nothing is done again: the next mail is about the next key.
    report(&app, "key-1", &reporter.signature(&body), &body).await.status(200);
    assert_eq!(app.audit().await.iter().filter(|event| *event == "key.leaked").count(), 1);
    let body = json!([{ "token": safe, "type": "grantd_api_key", "url": "" }]).to_string();
    report(&app, "key-1", &reporter.signature(&body), &body).await.status(200);
    let mail = next(&mut mails).await;
    assert!(mail.contains(&format!("{ISSUER}/settings/keys/{other}")), "{mail}");
}

#[tokio::test]
async fn unsigned_report_changes_nothing() {
    let reporter = Reporter::new().await;
    let app = TestApp::with(&[("leaks.keys_url", &reporter.url)]).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let body = json!([{ "token": key, "type": "grantd_api_key", "url": "" }]).to_string();
    let good = reporter.signature(&body);
    let strangers = Reporter::new().await.signature(&body);
    for (identifier, signature, body) in [
        ("key-1", strangers.as_str(), body.clone()),
        ("key-1", good.as_str(), format!("{body} ")),
        ("key-2", good.as_str(), body.clone()),
        ("key-1", "", body.clone()),
        ("key-1", "not base64", body.clone()),
        ("", good.as_str(), body.clone()),
    ] {
        report(&app, identifier, signature, &body).await.status(403);
    }
    let unsigned = Request::post("/leaks/secret-scanning").body(Body::from(body.clone())).expect("a request");
    app.send(unsigned).await.status(403);
    // THREATS: AU1
    app.app.background.flush().await.expect("flushed");
    let entries = app.entries(100).await;
    let refused = entries.iter().filter(|entry| entry.event == "leak.report" && entry.outcome == "denied");
    assert_eq!(refused.map(|entry| entry.times).sum::<i64>(), 6, "each report with a wrong signature: {entries:?}");
    for (garbage, error) in [("{}", "invalid_request"), ("[{}]", "invalid_request"), ("\u{0}", "invalid_request")] {
        report(&app, "key-1", &reporter.signature(garbage), garbage).await.oauth_error(error);
    }
    let many: Vec<Value> = (0..101).map(|_| json!({ "token": key, "type": "x" })).collect();
    let many = json!(many).to_string();
    report(&app, "key-1", &reporter.signature(&many), &many).await.oauth_error("invalid_request");
    app.introspect(&key).await.active();
    // Without configuration there is no endpoint; if the reporter is unreachable, nothing is guessed.
    let silent = TestApp::new().await;
    report(&silent, "key-1", &good, &body).await.status(404);
    let away = Arc::new(TestApp::with(&[("leaks.keys_url", "http://127.0.0.1:1/keys")]).await);
    report(&away, "key-1", &good, &body).await.status(503);
}

#[tokio::test]
async fn unreadable_reporter_keys_cause_few_requests() {
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let broken = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            drop(stream.write_all(broken).await);
        }
    });
    let app = TestApp::with(&[("leaks.keys_url", &url)]).await;
    let reports = async |times: usize| {
        let mut waits = Vec::new();
        for _ in 0..times {
            let reply = report(&app, "key-1", "c2ln", "[]").await;
            waits.push(reply.status(503).header("retry-after").to_owned());
        }
        waits
    };
    assert_eq!(reports(5).await, ["1", "10", "10", "10", "10"]);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The pause doubles, up to a minute.
    let mut pause = 10;
    for reading in 2..12 {
        app.advance(pause - 1);
        reports(2).await;
        assert_eq!(asked.load(Ordering::SeqCst), reading - 1, "before the pause of {pause} s has ended");
        app.advance(1);
        reports(2).await;
        assert_eq!(asked.load(Ordering::SeqCst), reading, "after a pause of {pause} s");
        pause = (pause * 2).min(60);
    }
}

#[tokio::test]
async fn aborted_report_does_not_block_the_next() {
    let gate = Arc::new(Semaphore::new(0));
    let reporter = Reporter::behind(Arc::clone(&gate)).await;
    let app = TestApp::with(&[("leaks.keys_url", &reporter.url)]).await;
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let asked =
        wait::until("the keys are asked for", async || (reporter.asked.load(Ordering::SeqCst) > 0).then_some(()));
    tokio::select! {
        reply = report(&app, "key-1", "c2ln", "[]") => panic!("answered: {}", reply.body),
        () = asked => {}
    }
    gate.add_permits(1);
    let body = json!([{ "token": key, "type": "grantd_api_key", "url": "" }]).to_string();
    report(&app, "key-1", &reporter.signature(&body), &body).await.status(200);
    app.introspect(&key).await.inactive();
    assert_eq!(reporter.asked.load(Ordering::SeqCst), 1, "what was asked for is used");
}

#[tokio::test(start_paused = true)]
async fn dead_mail_server_delays_a_stop_by_five_seconds_at_most() {
    // It accepts connections and never answers; the clock is the test's own.
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", dead.local_addr().expect("an address"));
    let variables = [("GRANTD_MAIL__URL", url), ("GRANTD_MAIL__FROM", "keys@example.com".to_owned())];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let config = Config::load(None, variables, &[]).expect("a configuration");
    let mailer = Mailer::new(&config.mail).expect("a mailer");
    for _ in 0..3 {
        mailer.send("alice@example.com", "Hello", "Hello.".to_owned());
    }
    let (stop, began) = (CancellationToken::new(), Instant::now());
    let stops = async {
        wait::at_least(Duration::from_secs(1)).await;
        stop.cancel();
    };
    tokio::join!(mailer.run(&stop), stops);
    assert_eq!(began.elapsed().as_secs(), 6);
}

#[tokio::test]
async fn revocation_by_a_holder_notifies_the_owner() {
    // THREATS: RV5
    let (mail_url, mut mails) = mail_server().await;
    let app = mailing(&mail_url, &[]).await;
    let user = app.user("alice@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let by_bearer = |key: &str| {
        let request = Request::post("/oauth/revoke").header("authorization", format!("Bearer {key}"));
        app.send(request.body(Body::empty()).expect("a request"))
    };
    by_bearer(&key).await.status(200);
    app.introspect(&key).await.inactive();
    let mail = next(&mut mails).await;
    assert!(
        mail.contains("alice@example.com")
            && mail.contains("by someone who has the key, from 192.0.2.")
            && !mail.contains(&key),
        "{mail}"
    );
    by_bearer(&key).await.status(200);
    let (other, next_key) = app.key(&user, "read").await;
    by_bearer(&next_key).await.status(200);
    let mail = next(&mut mails).await;
    assert!(mail.contains(&format!("{ISSUER}/settings/keys/{other}")), "told once: {mail}");
    let entries = app.entries(10).await;
    let of_key = |entry: &&AuditEntry| entry.event == "key.revoke" && entry.object.as_ref() == Some(&id);
    let entry = entries.iter().find(of_key).expect("an entry");
    assert_eq!((entry.actor.as_str(), entry.user_id.as_deref()), (id.as_str(), Some(user.as_str())));
}

/// A server that sends mail.
async fn mailing(url: &str, more: &[(&str, &str)]) -> TestApp {
    let mail = [("mail.url", url), ("mail.from", "Example <keys@example.com>")];
    TestApp::with(&[&mail, more].concat()).await
}

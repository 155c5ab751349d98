//! Owns tests of tokens that grantd did not issue, however well they are forged: JW1, JW2, JW3, JW7, JW8.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use grantd::{engine::master::Purpose, model::api::Algorithm};
use serde_json::{Value, json};

use super::{api_signed_by, assert_refused, claims, jws, machine, signed};
use crate::harness::{OAuthClient, TestApp, app::API, flow};

/// The private key of a key id. An attacker does not have it; a test needs it to be wrong in one thing only.
async fn private_key(app: &TestApp, kid: &str) -> Vec<u8> {
    let rows = app.app.store.signing_keys().await.expect("keys");
    let row = rows.iter().find(|row| row.kid == kid).expect("the key");
    app.master.open(Purpose::SigningKeys, kid, &row.sealed).expect("opened").to_vec()
}

async fn kid_of(app: &TestApp, algorithm: Algorithm) -> String {
    let rows = app.app.store.signing_keys().await.expect("keys");
    rows.iter().find(|row| row.algorithm == algorithm.as_str()).expect("a key").kid.clone()
}

fn es256(private: &[u8], input: &[u8]) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).expect("a key");
    pair.sign(&SystemRandom::new(), input).expect("a signature").as_ref().to_vec()
}

fn rsa(private: &[u8], encoding: &'static dyn RsaEncoding, input: &[u8]) -> Vec<u8> {
    let pair = RsaKeyPair::from_pkcs8(private).expect("a key");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), input, &mut signature).expect("a signature");
    signature
}

/// A server, a client of it, the kid and private key of its ES256 key; checks that a forged token would be accepted.
async fn forge() -> (TestApp, OAuthClient, String, Vec<u8>) {
    let app = TestApp::new().await;
    let client = machine(&app, "read").await;
    let kid = kid_of(&app, Algorithm::ES256).await;
    let private = private_key(&app, &kid).await;
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
    let right = jws(&header, &claims(&app, &client), |input| es256(&private, input));
    app.introspect(&right).await.active();
    (app, client, kid, private)
}

#[tokio::test]
async fn algorithm_is_the_keys_and_not_the_headers() {
    // THREATS: JW1
    let (app, client, kid, private) = forge().await;
    let claims = claims(&app, &client);
    let header = |alg: &str| json!({ "typ": "at+jwt", "alg": alg, "kid": kid });
    for alg in ["none", "None", "NONE", "nOnE", "", "ES256 ", "es256"] {
        assert_refused(&app, &jws(&header(alg), &claims, |_| Vec::new()), alg).await;
        assert_refused(&app, &jws(&header(alg), &claims, |input| es256(&private, input)), alg).await;
    }
    // HMAC with everything that is public about the key.
    let keys: Value = app.get("/.well-known/jwks.json").await.json();
    let jwk = &keys["keys"][0];
    let coordinate = |name: &str| BASE64URL_NOPAD.decode(jwk[name].as_str().expect("text").as_bytes()).expect("bytes");
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    // RFC 5480: SubjectPublicKeyInfo of a point on P-256.
    let mut der =
        data_encoding::HEXLOWER.decode(b"3059301306072a8648ce3d020106082a8648ce3d030107034200").expect("hexadecimal");
    der.extend_from_slice(&point);
    let body = BASE64.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &body[..64], &body[64..]);
    for secret in [
        point,
        der,
        pem.trim_end().as_bytes().to_vec(),
        pem.into_bytes(),
        jwk.to_string().into_bytes(),
        keys.to_string().into_bytes(),
        kid.clone().into_bytes(),
        Vec::new(),
    ] {
        for (alg, hash) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
            let key = hmac::Key::new(hash, &secret);
            let token = jws(&header(alg), &claims, |input| hmac::sign(&key, input).as_ref().to_vec());
            assert_refused(&app, &token, alg).await;
        }
    }
    // Another curve, with the attacker's key; and a genuine signature under another curve's name.
    let own = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key");
    let sign = |input: &[u8]| own.sign(&SystemRandom::new(), input).expect("a signature").as_ref().to_vec();
    for alg in ["ES384", "ES256", "ES512", "ES256K"] {
        assert_refused(&app, &jws(&header(alg), &claims, sign), alg).await;
    }
    assert_refused(&app, &jws(&header("ES384"), &claims, |input| es256(&private, input)), "ES384").await;
    let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let sign = |input: &[u8]| stranger.sign(&SystemRandom::new(), input).expect("a signature").as_ref().to_vec();
    assert_refused(&app, &jws(&header("ES256"), &claims, sign), "a stranger's key").await;
}

#[tokio::test]
async fn rsa_keys_verify_only_rs256() {
    // THREATS: JW1
    let app = TestApp::new().await;
    api_signed_by(&app, Algorithm::RS256, "https://rsa.example.test", "sign").await;
    api_signed_by(&app, Algorithm::EdDSA, "https://ed.example.test", "edit").await;
    let client = machine(&app, "read sign edit").await;
    let claims = claims(&app, &client);
    let (rs256, es256_kid) = (kid_of(&app, Algorithm::RS256).await, kid_of(&app, Algorithm::ES256).await);
    let eddsa = kid_of(&app, Algorithm::EdDSA).await;
    let private = private_key(&app, &rs256).await;
    let header = |alg: &str, kid: &str| json!({ "typ": "at+jwt", "alg": alg, "kid": kid });
    let right = jws(&header("RS256", &rs256), &claims, |input| rsa(&private, &RSA_PKCS1_SHA256, input));
    app.introspect(&right).await.active();
    for (alg, kid, encoding) in [
        ("RS384", &rs256, &RSA_PKCS1_SHA384 as &'static dyn RsaEncoding),
        ("RS256", &rs256, &RSA_PKCS1_SHA384),
        ("RS512", &rs256, &RSA_PKCS1_SHA256),
        ("PS256", &rs256, &RSA_PSS_SHA256),
        ("RS256", &rs256, &RSA_PSS_SHA256),
        ("RS256", &es256_kid, &RSA_PKCS1_SHA256),
        ("ES256", &rs256, &RSA_PKCS1_SHA256),
        ("RS256", &eddsa, &RSA_PKCS1_SHA256),
        ("EdDSA", &rs256, &RSA_PKCS1_SHA256),
    ] {
        let token = jws(&header(alg, kid), &claims, |input| rsa(&private, encoding, input));
        assert_refused(&app, &token, &format!("{alg} {kid}")).await;
    }
    let public = RsaKeyPair::from_pkcs8(&private).expect("a key").public_key().as_ref().to_vec();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &public);
    let token = jws(&header("HS256", &rs256), &claims, |input| hmac::sign(&key, input).as_ref().to_vec());
    assert_refused(&app, &token, "HS256 by the RSA key").await;
}

#[tokio::test]
async fn header_keys_and_urls_are_ignored() {
    // THREATS: JW2
    let (app, client, kid, private) = forge().await;
    let claims = claims(&app, &client);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("not blocking");
    let url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
    let own = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let point = own.public_key().as_ref().to_vec();
    let (x, y) = (BASE64URL_NOPAD.encode(&point[1..33]), BASE64URL_NOPAD.encode(&point[33..]));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256" });
    for (name, value) in
        [("jwk", jwk), ("jku", json!(url)), ("x5u", json!(url)), ("x5c", json!(["MIIB"])), ("x5t", json!("AAAA"))]
    {
        for kid in [kid.as_str(), "mine", ""] {
            let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid, name: value });
            let sign = |input: &[u8]| own.sign(&SystemRandom::new(), input).expect("a signature").as_ref().to_vec();
            assert_refused(&app, &jws(&header, &claims, sign), name).await;
        }
        // Ignored, not refused: the genuine signature counts.
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid, name: value });
        app.introspect(&jws(&header, &claims, |input| es256(&private, input))).await.active();
    }
    assert!(listener.accept().is_err(), "nobody was asked for a key");

    // Critical extensions that are not understood, and key ids with a meaning elsewhere.
    let forged = |header: &Value| jws(header, &claims, |input| es256(&private, input));
    let header = |name: &str, value: Value| {
        let mut header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
        header[name] = value;
        header
    };
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!("b64")),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("kid", json!("../../../../etc/passwd")),
        ("kid", json!("/dev/null")),
        ("kid", json!("' OR '1'='1")),
        ("kid", json!(format!("{kid}\u{0}"))),
        ("kid", json!(format!("{kid} "))),
        ("kid", json!("\"'`;--")),
        ("kid", json!("k".repeat(10_000))),
        ("kid", json!("k".repeat(5_000))),
        ("kid", json!(0)),
        ("kid", json!([kid])),
        ("kid", Value::Null),
        ("kid", json!(url)),
    ] {
        assert_refused(&app, &forged(&header(name, value)), name).await;
    }
}

#[tokio::test]
async fn other_kinds_of_jwt_are_not_access_tokens() {
    // THREATS: JW3
    let (app, client, kid, private) = forge().await;
    let claims = claims(&app, &client);
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!("oauth-authz-req+jwt"),
        json!("token-introspection+jwt"),
        json!("AT+JWT"),
        json!("application/at+jwt"),
        json!("at+jwt "),
        json!(["at+jwt"]),
        Value::Null,
    ] {
        let header = json!({ "typ": typ, "alg": "ES256", "kid": kid });
        assert_refused(&app, &jws(&header, &claims, |input| es256(&private, input)), &typ.to_string()).await;
    }
    let header = json!({ "alg": "ES256", "kid": kid });
    assert_refused(&app, &jws(&header, &claims, |input| es256(&private, input)), "no typ").await;

    // The reverse: an access token is nothing else.
    let everything = app.confidential().await;
    app.user("alice@example.com").await;
    let browser = app.browser();
    browser.log_in("alice@example.com").await;
    let (access, refresh) = flow::tokens(&browser, &everything).await;
    flow::refresh(&app, &everything, &access).await.oauth_error("invalid_grant");
    flow::exchange(&app, &everything, &access).await.oauth_error("invalid_grant");
    flow::exchange(&app, &everything, &refresh).await.oauth_error("invalid_grant");
    let caller = OAuthClient { secret: Some(access.clone()), ..everything.clone() };
    app.post_as(&caller, "/oauth/token", &[("grant_type", "client_credentials")]).await.oauth_error("invalid_client");
    assert_refused(&app, &refresh, "a refresh token").await;
    assert_refused(&app, everything.secret.as_deref().expect("a secret"), "a client secret").await;
    app.introspect(&access).await.active();
}

#[tokio::test]
async fn oversized_tokens_are_not_parsed() {
    // THREATS: JW7
    let (app, client, kid, private) = forge().await;
    let claims = claims(&app, &client);
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
    let right = jws(&header, &claims, |input| es256(&private, input));
    let raw = |payload: String| {
        let input = format!("{}.{}", BASE64URL_NOPAD.encode(header.to_string().as_bytes()), payload);
        format!("{input}.{}", BASE64URL_NOPAD.encode(&es256(&private, input.as_bytes())))
    };
    let json = |text: &str| raw(BASE64URL_NOPAD.encode(text.as_bytes()));
    let text = claims.to_string();
    app.introspect(&json(&text)).await.active();
    // A repeated name: two parsers could use different ones.
    let twice = |name: &str, value: &str| format!("{{\"{name}\":{value},{}", &text[1..]);
    for (name, value) in [("sub", "\"x\""), ("scope", "\"admin\""), ("exp", "1"), ("iss", "\"x\""), ("aud", "[]")] {
        assert_refused(&app, &json(&twice(name, value)), &format!("{name} twice")).await;
    }
    // Nested deeper than a parser's stack, in the claims and in the header.
    let deep = |name: &str| format!("{{\"{name}\":{}{},{}", "[".repeat(2500), "]".repeat(2500), &text[1..]);
    assert_refused(&app, &json(&deep("nbf")), "a deep claim").await;
    // An unused member is skipped without descending into it.
    app.introspect(&json(&deep("x"))).await.active();
    let deep = format!("{{\"crit\":{}{}}}", "[".repeat(2500), "]".repeat(2500));
    assert_refused(&app, &format!("{}.e30.AAAA", BASE64URL_NOPAD.encode(deep.as_bytes())), "a deep header").await;
    let jwe =
        json!({ "alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 2_000_000_000u32, "p2s": "AAAA", "zip": "DEF" });
    let jwe = BASE64URL_NOPAD.encode(jwe.to_string().as_bytes());
    for shape in [
        format!("{jwe}.AAAA.AAAA.AAAA.AAAA"),
        format!("eyJ{}", ".".repeat(10_000)),
        format!("{right}."),
        format!("{right}.AAAA"),
        format!(".{right}"),
        right.replacen('.', "..", 1),
        format!("{right}="),
        right.rsplit_once('.').expect("parts").0.to_owned(),
        format!("eyJ{}", "A".repeat(50_000)),
        raw("not base64url!".replace([' ', '!'], "~")),
        json("[]"),
        json("null"),
        json(""),
    ] {
        assert_refused(&app, &shape, &shape[..20.min(shape.len())]).await;
    }
    // Larger than the body limit: nothing is read over the network, and a header that long is refused.
    let huge = format!("eyJ{}", "A".repeat(1 << 20));
    app.introspect(&huge).await.status(413);
    app.get_as("/v1/users/me", &huge).await.status(401);
}

#[tokio::test]
async fn degenerate_signatures_are_refused() {
    // THREATS: JW8
    let (app, client, kid, private) = forge().await;
    let claims = claims(&app, &client);
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
    let order = data_encoding::HEXLOWER
        .decode(b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
        .expect("the order of P-256");
    let one = [vec![0; 31], vec![1]].concat();
    let zero = vec![0; 32];
    for signature in [
        [zero.clone(), zero.clone()].concat(),
        [order.clone(), order.clone()].concat(),
        [one.clone(), zero.clone()].concat(),
        [zero.clone(), one.clone()].concat(),
        [one.clone(), order.clone()].concat(),
        [one.clone(), one].concat(),
        vec![0x30, 6, 2, 1, 0, 2, 1, 0],
        Vec::new(),
        vec![0; 4096],
    ] {
        assert_refused(&app, &jws(&header, &claims, |_| signature), "r and s").await;
    }
    // Ed25519: small-order points give a signature that a careless verifier accepts for any message.
    api_signed_by(&app, Algorithm::EdDSA, "https://ed.example.test", "edit").await;
    let eddsa = kid_of(&app, Algorithm::EdDSA).await;
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": eddsa });
    for first in [0u8, 1] {
        let mut signature = vec![0; 64];
        signature[0] = first;
        assert_refused(&app, &jws(&header, &claims, |_| signature), "small order").await;
    }
    // Other texts of the same token: the unused bits of base64url must be zero, and r, s has a twin r, n - s
    // that verifies too; a revoked token stays revoked in that form, because its `jti` was revoked.
    let right = signed(&app, &claims);
    let last = right.chars().last().expect("a character");
    for twin in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars().filter(|c| *c != last) {
        assert_refused(&app, &format!("{}{twin}", &right[..right.len() - 1]), "the last character").await;
    }
    let twin = mirrored(&right, &order);
    app.introspect(&right).await.active();
    app.post_as(&client, "/oauth/revoke", &[("token", &right)]).await.status(200);
    assert_refused(&app, &right, "revoked").await;
    assert_refused(&app, &twin, "revoked under its other signature").await;
    assert_eq!(claims["aud"], API);
    drop(private);
}

/// The same token with the signature (r, n - s).
fn mirrored(token: &str, order: &[u8]) -> String {
    let (input, signature) = token.rsplit_once('.').expect("parts");
    let mut signature = BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url");
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(order[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = u8::try_from(difference.rem_euclid(256)).expect("a byte");
    }
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
}

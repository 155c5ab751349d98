//! Owns the profiles that are shipped with grantd: each refusal of the five documents' profiles, byte for byte.

use grantd::model::{
    key::KeyForm,
    profile::{Dialect, Kind, LimitField, compile, shipped},
};

use super::{rejections, told};

const INVALID: &str = r#"{"error":"invalid_api_key","message":"The API key provided is invalid."}"#;
const CHALLENGE: &str = "Bearer realm=\"grantd\"";
const INVALID_TOKEN: &str = "Bearer realm=\"grantd\", error=\"invalid_token\"";
const SCOPE: &str = "Bearer realm=\"grantd\", error=\"insufficient_scope\", scope=\"read write\"";

#[test]
fn four_documents_share_one_error_format() {
    let forbidden = r#"{"error":"forbidden","message":"No rule of this API allows the request."}"#;
    for (name, header) in [
        ("bearer", "Authorization"),
        ("api-key-module", "X-API-Key"),
        ("telemetry-harbor", "X-API-Key"),
        ("iapm", "API-Key"),
    ] {
        let dialect = Dialect::shipped(name).expect("a profile");
        let missing =
            format!(r#"{{"error":"missing_api_key","message":"No API key provided in the {header} header."}}"#);
        let expected = [
            (401, missing.as_str(), CHALLENGE),
            (401, INVALID, INVALID_TOKEN),
            (401, r#"{"error":"token_expired","message":"The access token has expired."}"#, INVALID_TOKEN),
            (401, INVALID, INVALID_TOKEN),
            (401, INVALID, INVALID_TOKEN),
            (403, forbidden, ""),
            (403, r#"{"error":"insufficient_scope","message":"This needs the scope read write."}"#, SCOPE),
            (403, forbidden, ""),
            (429, r#"{"error":"rate_limit_exceeded","message":"Rate limit exceeded. Try again in 7 seconds."}"#, ""),
            (400, r#"{"error":"invalid_request","message":"The path is ambiguous."}"#, ""),
        ];
        for (rejection, (status, body, challenge)) in rejections().iter().zip(expected) {
            let expected = (status, body.to_owned(), challenge.to_owned());
            assert_eq!(told(&dialect, rejection), expected, "{name}: {rejection:?}");
        }
        let refusal = dialect.refusal(Kind::Missing);
        assert_eq!(refusal.content_type, "application/json");
    }
}

#[test]
fn ensemble_wraps_its_errors() {
    let dialect = Dialect::shipped("ensemble").expect("a profile");
    let wrapped =
        |code: &str, message: &str| format!(r#"{{"success":false,"error":{{"code":"{code}","message":"{message}"}}}}"#);
    let invalid = wrapped("UNAUTHORIZED", "Invalid API key");
    let forbidden = wrapped("FORBIDDEN", "Insufficient permissions for this resource");
    let expected = [
        (401, &invalid, CHALLENGE),
        (401, &invalid, INVALID_TOKEN),
        (401, &invalid, INVALID_TOKEN),
        (401, &invalid, INVALID_TOKEN),
        (401, &invalid, INVALID_TOKEN),
        (403, &forbidden, ""),
        (403, &forbidden, SCOPE),
        (403, &forbidden, ""),
        (429, &wrapped("RATE_LIMITED", "Rate limit exceeded. Try again in 7 seconds."), ""),
        (400, &wrapped("BAD_REQUEST", "The path is ambiguous."), ""),
    ];
    for (rejection, (status, body, challenge)) in rejections().iter().zip(expected) {
        assert_eq!(told(&dialect, rejection), (status, body.clone(), challenge.to_owned()), "{rejection:?}");
    }
}

#[test]
fn all_five_have_the_same_rate_limit_headers() {
    for name in ["bearer", "api-key-module", "ensemble", "iapm", "telemetry-harbor"] {
        let dialect = Dialect::shipped(name).expect("a profile");
        let limits: Vec<(&str, LimitField)> =
            dialect.limits.iter().map(|(name, field)| (name.as_str(), *field)).collect();
        let expected = [
            ("ratelimit-policy", LimitField::IetfPolicy),
            ("ratelimit", LimitField::Ietf),
            ("x-ratelimit-limit", LimitField::Limit),
            ("x-ratelimit-remaining", LimitField::Remaining),
            ("x-ratelimit-reset", LimitField::ResetEpoch),
        ];
        assert_eq!((limits.as_slice(), &dialect.upstream), (expected.as_slice(), &None), "{name}");
        let is_iapm = name == "iapm";
        assert_eq!((dialect.keys.form == KeyForm::Uuid, dialect.keys.one_live_key), (is_iapm, is_iapm));
        assert!(shipped().iter().any(|shipped| shipped.dialect.name == name));
    }
}

#[test]
fn profile_of_the_bench_uses_every_setting() {
    let text = include_str!("../../../benches/ratios/every-setting.toml");
    let dialect = compile("bench", text).unwrap_or_else(|error| panic!("{error}"));
    let upstream = dialect.upstream.iter().flatten().flatten().count();
    assert_eq!((dialect.limits.len(), upstream, dialect.places.warnings().len()), (7, 9, 2));
}

#[test]
fn other_presets_match_their_formats() {
    let of = |name: &str| Dialect::shipped(name).expect("a profile");
    let all = rejections();
    for (name, at, status, body, challenge) in [
        (
            "problem-json",
            6,
            403,
            r#"{"type": "about:blank","status": 403,"detail": "This needs the scope read write.","code": "insufficient_scope","scope": "read write","request_id": "req_1"}"#,
            SCOPE,
        ),
        (
            "json-api",
            1,
            401,
            r#"{"errors":[{"id":"req_1","status":"401","code":"invalid_api_key","detail":"The API key provided is invalid."}]}"#,
            INVALID_TOKEN,
        ),
        (
            "google",
            8,
            429,
            r#"{"error":{"code":429,"message":"Quota exceeded. Try again in 7 seconds.","status":"RESOURCE_EXHAUSTED"}}"#,
            "",
        ),
        (
            "google",
            7,
            404,
            r#"{"error":{"code":404,"message":"The requested path was not found on this server.","status":"NOT_FOUND"}}"#,
            "",
        ),
        (
            "stripe-like",
            1,
            401,
            r#"{"error":{"code":"invalid_api_key","message":"Invalid API key provided.","type":"invalid_request_error"}}"#,
            "Basic realm=\"grantd\"",
        ),
        (
            "xml",
            9,
            400,
            r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidRequest</Code><Message>The path is ambiguous.</Message><RequestId>req_1</RequestId></Error>"#,
            "",
        ),
    ] {
        assert_eq!(told(&of(name), &all[at]), (status, body.to_owned(), challenge.to_owned()), "{name}");
    }
    assert_eq!(of("google").places.warnings().len(), 1);
}

//! Owns tests with the formats of three providers: commands create a profile for each, as the provider's public pages
//! describe its API, and the provider's own curl commands run through a real nginx.
//!
//! Datadog (docs.datadoghq.com/api, "Rate limits"): `DD-API-KEY`, `{"errors":[…]}`, a reset in seconds. Chargebee
//! (apidocs.chargebee.com, "Authentication", "Errors"): the key is the user name of HTTP Basic, the password is empty.
//! Last.fm (last.fm/api/rest): `api_key` in the query, errors in XML.

use serde_json::{Value, json};

use crate::harness::{Installation, document::Reader, front::Front, proxy::Kind};

/// A provider's API behind nginx.
struct Provider {
    front: Front,
    reader: Reader,
}

impl Provider {
    /// With a copy of the profile `from` that has these settings.
    async fn new(name: &str, from: &str, settings: &[&str]) -> Self {
        let front = Front::with(Kind::Nginx, "bearer", |here: &Installation| {
            here.json(&["profile", "copy", from, name]);
            here.json(&[&["profile", "set", name], settings].concat());
            here.json(&["profile", "use", name, "--api", "example"]);
            here.json(&["api", "add-route", "example", "--method", "GET", "--path", "/api/v1/*", "--scope", "read"]);
            here.json(&["api", "add-route", "example", "--method", "GET", "--path", "/api/v2/*", "--scope", "read"]);
            here.json(&["api", "add-route", "example", "--method", "GET", "--path", "/2.0/", "--scope", "read"]);
            here.json(&["api", "add-route", "example", "--method", "POST", "--path", "/*", "--scope", "write"]);
        });
        Self { front: front.await, reader: Reader::new() }
    }

    /// What a command prints, with the provider's host and key replaced: the body, and the status behind it.
    fn run(&self, command: &str, host: &str, placeholder: &str, key: &str) -> (String, u16) {
        assert!(command.contains(host) && command.contains(placeholder), "{command}");
        let said = self.reader.bash(&command.replace(host, &self.front.proxy.base).replace(placeholder, key));
        let (body, status) = said.trim_end().rsplit_once(' ').unwrap_or_else(|| panic!("{said}"));
        (body.to_owned(), status.parse().unwrap_or_else(|_| panic!("{said}")))
    }

    /// A header of the answer to a request with this one.
    async fn told(&self, path: &str, header: (&str, &str), name: &str) -> String {
        self.front.ask("GET", path, &[header], "").await.header(name).to_owned()
    }
}

#[tokio::test]
async fn datadog_with_its_own_header_and_error_list() {
    let provider = Provider::new(
        "datadog",
        "bearer",
        &[
            r#"places=[{ header = "DD-API-KEY" }]"#,
            r#"body={"errors":["{message}"]}"#,
            "challenge=",
            "refusals.missing.status=403",
            "refusals.missing.message=Forbidden",
            "refusals.invalid.status=403",
            "refusals.invalid.message=Forbidden",
            "refusals.expired_token=",
            "refusals.limited.message=Rate limit of {retry_after} seconds in {api}",
            "rate_limits.period=X-RateLimit-Period",
            "rate_limits.reset_form=seconds",
        ],
    )
    .await;
    let (host, key) = ("https://api.datadoghq.com", "${DD_API_KEY}");
    let curl = r#"curl -X GET "https://api.datadoghq.com/api/v1/validate" -H "Accept: application/json" -H "DD-API-KEY: ${DD_API_KEY}""#;
    let (body, status) = provider.run(curl, host, key, &provider.front.key);
    assert_eq!(status, 200, "{body}");
    let seen = provider.front.upstream.one();
    assert_eq!(
        (seen.target.as_str(), seen.header("x-auth-subject")),
        ("/api/v1/validate", provider.front.user.as_str())
    );
    let forbidden = (r#"{"errors":["Forbidden"]}"#.to_owned(), 403);
    assert_eq!(provider.run(curl, host, key, "wrong"), forbidden);
    assert_eq!(provider.run(&curl.replace("DD-API-KEY:", "X-Other:"), host, key, "wrong"), forbidden);
    let post = curl.replace("-X GET", "-X POST");
    let scope = (r#"{"errors":["This needs the scope write."]}"#.to_owned(), 403);
    assert_eq!(provider.run(&post, host, key, &provider.front.key), scope);
    let header = ("DD-API-KEY", provider.front.key.as_str());
    let reset = provider.told("/api/v1/validate", header, "x-ratelimit-reset").await;
    assert!((1..=3600).contains(&reset.parse::<u32>().expect("seconds from now")), "{reset}");
}

#[tokio::test]
async fn chargebee_with_the_key_as_basic_user_name() {
    let provider = Provider::new(
        "chargebee",
        "stripe-like",
        &[
            r#"places=[{ basic = "username" }]"#,
            concat!(
                r#"body={"message":"{message}","type":"invalid_request","api_error_code":"{code}","#,
                r#""http_status_code":{status}}"#
            ),
            "challenge.realm=Chargebee",
            "refusals.missing.code=api_authentication_failed",
            "refusals.invalid.code=api_authentication_failed",
            "refusals.invalid.message=Sorry, authentication failed. Invalid API key.",
            "refusals.forbidden.code=api_authorization_failed",
            "refusals.limited.code=api_request_limit_exceeded",
            "refusals.expired_key=",
            "refusals.unavailable=",
        ],
    )
    .await;
    let (host, key) = ("https://{site}.chargebee.com", "{site_api_key}");
    let curl = "curl \"https://{site}.chargebee.com/api/v2/customers\" -u \"{site_api_key}:\"";
    let (body, status) = provider.run(curl, host, key, &provider.front.key);
    assert_eq!(status, 200, "{body}");
    assert_eq!(provider.front.upstream.one().header("x-auth-key-id"), provider.front.key_id);
    let (body, status) = provider.run(curl, host, key, "test_wrong");
    let expected = json!({
        "message": "Sorry, authentication failed. Invalid API key.", "type": "invalid_request",
        "api_error_code": "api_authentication_failed", "http_status_code": 401,
    });
    assert_eq!((serde_json::from_str::<Value>(&body).expect("JSON"), status), (expected, 401));
    let (body, status) = provider.run(&curl.replace("-u", "-X POST -u"), host, key, &provider.front.key);
    let refused: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&refused["api_error_code"], status), (&json!("api_authorization_failed"), 403));
    let challenge = provider.told("/api/v2/customers", ("accept", "*/*"), "www-authenticate").await;
    assert_eq!(challenge, "Basic realm=\"Chargebee\"");
}

#[tokio::test]
async fn last_fm_with_the_key_in_the_query_and_xml_errors() {
    let provider = Provider::new(
        "lastfm",
        "xml",
        &[
            r#"places=[{ query = "api_key" }]"#,
            r#"body=<lfm status="failed"><error code="{code}">{message}</error></lfm>"#,
            "content_type=text/xml; charset=utf-8",
            "challenge=",
            "refusals.missing.status=400",
            "refusals.missing.code=6",
            "refusals.missing.message=Invalid parameters - Your request is missing a required parameter",
            "refusals.invalid.status=403",
            "refusals.invalid.code=10",
            "refusals.invalid.message=Invalid API key - You must be granted a valid key by last.fm",
            "refusals.expired_token=",
            "refusals.revoked.status=403",
            "refusals.revoked.code=26",
            "refusals.revoked.message=Suspended API key",
            "refusals.limited.code=29",
            "refusals.unavailable.code=11",
        ],
    )
    .await;
    let (host, key) = ("http://ws.audioscrobbler.com", "YOUR_API_KEY");
    let curl = "curl \"http://ws.audioscrobbler.com/2.0/?method=artist.getSimilar&api_key=YOUR_API_KEY\"";
    let (body, status) = provider.run(curl, host, key, &provider.front.key);
    assert_eq!(status, 200, "{body}");
    let seen = provider.front.upstream.one();
    assert!(seen.target.starts_with("/2.0/?method=artist.getSimilar"), "{}", seen.target);
    assert_eq!(seen.header("x-auth-subject"), provider.front.user);
    let words = "Invalid API key - You must be granted a valid key by last.fm";
    let invalid = format!(r#"<lfm status="failed"><error code="10">{words}</error></lfm>"#);
    assert_eq!(provider.run(curl, host, key, "wrong"), (invalid, 403));
    let (body, status) = provider.run(&curl.replace("&api_key=", "&user="), host, key, "rj");
    assert!(status == 400 && body.contains(r#"<error code="6">"#), "{body}");
    let two = curl.replace("method=artist.getSimilar", "api_key=other");
    assert_eq!(provider.run(&two, host, key, &provider.front.key).1, 400);
    let media = provider.told("/2.0/?api_key=wrong", ("accept", "*/*"), "content-type").await;
    assert_eq!(media, "text/xml; charset=utf-8");
    let shown = provider.front.here.json(&["profile", "show", "lastfm"]);
    assert!(shown["warnings"][0].as_str().is_some_and(|words| words.contains("api_key")), "{shown}");
    provider.front.here.json(&["key", "revoke", &provider.front.key_id]);
    let suspended = r#"<lfm status="failed"><error code="26">Suspended API key</error></lfm>"#;
    let path = format!("/2.0/?api_key={}", provider.front.key);
    let ask = async || provider.front.ask("GET", &path, &[], "").await;
    crate::harness::wait::until(403, async || Some(ask().await).filter(|reply| reply.body == suspended)).await;
}

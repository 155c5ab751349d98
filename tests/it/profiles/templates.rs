//! Owns tests that no value escapes from its placeholder in JSON, XML, plain text and headers.

use grantd::model::{
    principal::Rejection,
    profile::{Details, Kind},
    reason::Reason,
};
use proptest::prelude::*;
use serde_json::Value;

use super::{compiled, rejections, told};

/// A profile with every placeholder in this form.
fn profile(content_type: &str, body: &str) -> String {
    format!(
        r#"
        places = [{{ header = "X-Key" }}]
        content_type = "{content_type}"
        docs_url = "https://docs.example.com/?a=1&b=<2>"
        body = '''
{body}'''
        [challenge]
        scheme = "Acme"
        realm = "My API"
        [refusals.missing]
        code = "say \"key\""
        message = "A key, please: <{{docs_url}}> & '{{code}}' \\ {{request_id}}"
        [refusals.missing.headers]
        X-Error = "{{code}} of {{api}}; {{scope}}{{reason}} {{retry_after}} {{message}}"
        [refusals.scope]
        code = 4031
        "#
    )
}

const JSON: &str = r#"{
  "code": {code},
  "text": "{code}: {message} ({status}) {request_id} {retry_after} {scope} {api} {docs_url} {reason}",
  "error": { "status": {status}, "message": {message}, "api": {api}, "scope": {scope}, "wait": {retry_after} }
}"#;
const XML: &str = r#"<?xml version="1.0"?>
<error code="{code}" api='{api}'>
  <message>{message}</message><status>{status}</status>
  <id>{request_id}</id><wait>{retry_after}</wait><scope>{scope}</scope><docs>{docs_url}</docs><why>{reason}</why>
</error>"#;
const TEXT: &str = "{code} {message} {status} {request_id} {retry_after} {scope} {api} {docs_url} {reason}";

#[test]
fn placeholders_are_filled_in() {
    let dialect = compiled(&profile("application/problem+json", JSON));
    let [missing, .., scope, _, limited, malformed] = &rejections()[..] else { panic!("kinds") };
    let (status, body, challenge) = told(&dialect, missing);
    let message = "A key, please: <https://docs.example.com/?a=1&b=<2>> & 'say \"key\"' \\ req_1";
    let json: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &json["code"], &json["error"]["message"]), (401, &"say \"key\"".into(), &message.into()));
    assert_eq!((&json["error"]["scope"], &json["error"]["wait"]), (&Value::Null, &Value::Null));
    assert_eq!((challenge.as_str(), &json["error"]["api"]), ("Acme realm=\"My API\"", &"My API".into()));
    assert!(!body.contains('\n'), "one line: {body}");
    let json: Value = serde_json::from_str(&told(&dialect, scope).1).expect("JSON");
    assert_eq!((&json["code"], &json["error"]["scope"]), (&4031.into(), &"read write".into()));
    let json: Value = serde_json::from_str(&told(&dialect, limited).1).expect("JSON");
    assert_eq!((&json["error"]["wait"], &json["error"]["status"]), (&7.into(), &429.into()));
    let json: Value = serde_json::from_str(&told(&dialect, malformed).1).expect("JSON");
    assert_eq!(json["error"]["message"], "The path is ambiguous.");

    let refusal = dialect.refusal(Kind::Missing);
    let details = Details { request_id: "req_1", api: "My API", ..Details::default() };
    let own = refusal.headers(&details).find(|(name, _)| *name == "x-error").map(|(_, value)| value);
    let expected = format!("say \"key\" of My API;   {message}");
    assert_eq!(own.expect("a header"), expected.as_str());
    assert_eq!(refusal.content_type, "application/problem+json");
}

#[test]
fn xml_is_one_line_and_well_formed() {
    let dialect = compiled(&profile("text/xml; charset=utf-8", XML));
    let (_, body, _) = told(&dialect, &rejections()[0]);
    let parsed = roxmltree::Document::parse(&body).expect("XML");
    let root = parsed.root_element();
    let of = |name: &str| root.children().find(|node| node.has_tag_name(name)).and_then(|node| node.text());
    assert_eq!((root.attribute("code"), of("status"), of("scope")), (Some("say \"key\""), Some("401"), None));
    assert_eq!(of("docs"), Some("https://docs.example.com/?a=1&b=<2>"));
    assert!(!body.contains('\n') && body.starts_with("<?xml version=\"1.0\"?><error code="), "{body}");
}

/// Texts that try to escape.
fn hostile() -> impl Strategy<Value = String> {
    const TRICKS: [&str; 14] =
        ["\"", "'", "\\", "</a>", "<b>", "&", "]]>", "-->", "\r\nX: y", "\n", "\0", "\u{202e}", "\u{2028}", "{code}"];
    prop::collection::vec(prop_oneof![prop::sample::select(&TRICKS[..]).prop_map(ToOwned::to_owned), ".{0,4}"], 0..6)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn values_cannot_break_out_of_their_placeholder(api in hostile(), id in hostile(), scope in hostile(), why in hostile()) {
        // THREATS: FA4
        let details = Details {
            request_id: &id,
            api: &api,
            scope: Some(&scope),
            retry_after: Some(7),
            reason: Some(why.as_str().into()),
        };
        let fits = |text: &str| axum::http::HeaderValue::from_bytes(text.as_bytes()).is_ok();
        let is_plain = |text: &str| !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}'));
        let (json, xml) = (compiled(&profile("application/json", JSON)), compiled(&profile("application/xml", XML)));
        let text = compiled(&profile("text/plain", TEXT));
        for kind in Kind::ALL {
            let body = json.refusal(kind).body(&details);
            let parsed: Value = serde_json::from_str(&body).expect("JSON");
            prop_assert_eq!(parsed.as_object().map(|all| all.len()), Some(3));
            prop_assert_eq!((&parsed["error"]["api"], &parsed["error"]["scope"]), (&api.as_str().into(), &scope.as_str().into()));
            prop_assert!(fits(&body) && is_plain(&body));

            let body = xml.refusal(kind).body(&details);
            let parsed = roxmltree::Document::parse(&body).expect("XML");
            let root = parsed.root_element();
            prop_assert_eq!(root.children().filter(|node| node.is_element()).count(), 7);
            prop_assert_eq!(root.attributes().count(), 2);
            prop_assert!(root.descendants().all(|node| node.is_element() || node.is_text()));
            prop_assert!(fits(&body) && is_plain(&body));

            let body = text.refusal(kind).body(&details);
            prop_assert!(fits(&body) && is_plain(&body));
            for (_, value) in json.refusal(kind).headers(&details) {
                prop_assert!(value.as_bytes().iter().all(|b| (0x20..0x7f).contains(b)));
            }
        }
    }
}

#[test]
fn placeholders_in_values_are_not_expanded() {
    let dialect = compiled(&profile("text/plain", TEXT));
    let rejection = Rejection::unknown(Reason::Scope("{message}{code}".to_owned()));
    assert!(told(&dialect, &rejection).1.contains("{message}{code}"));
}

//! Owns the description of everything outside the management API: OAuth, endpoints about the presented credential, the
//! gateway. Standards define their members and no single type holds them, so they are written out here, and tests check
//! every response against them.

use serde_json::{Map, Value, json};

use crate::{
    model::{
        client::GrantType,
        pkce,
        resource::RESOURCES_MAX,
        scope::{SCOPE_NAME_MAX, SCOPE_PARAMETER_MAX, Scopes},
    },
    oauth::{introspect::TOKENS_MAX, metadata},
    public::leaks::REPORTED_MAX,
};

/// The media types of parameters.
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Completes an operation: its body, and every answer it may give.
pub(super) fn complete(path: &str, operation: &mut Value) {
    match path {
        "/oauth/token" => {
            body(operation, &[FORM, JSON], &token_request());
            answers(operation, &token(), "OAuthError", &["400", "401", "413", "415", "429"]);
        }
        "/oauth/introspect" => {
            body(operation, &[FORM], &introspection_request());
            answers(operation, &introspection(), "OAuthError", &["400", "401", "413", "415", "429"]);
        }
        "/oauth/revoke" => {
            body(operation, &[FORM], &revocation_request());
            // A key as the Bearer credential is enough.
            operation["requestBody"]["required"] = false.into();
            answers(operation, &Value::Null, "OAuthError", &["400", "401", "413", "415", "429"]);
        }
        "/v1/users/me" => answers(operation, &me(), "Refusal", &["400", "401", "429"]),
        "/health" => answers(operation, &health(), "Refusal", &["400", "401", "429"]),
        "/gateway/verify/{api}" => {
            answers(operation, &Value::Null, "Refusal", &["400", "401", "403", "404", "429"]);
            operation["responses"]["404"]["content"] = content(JSON, &reference("OAuthError"));
        }
        "/gateway/verify" => {
            answers(operation, &Value::Null, "Refusal", &["400", "401", "403", "429"]);
            // Without any API, no API's error format applies.
            let either = json!({ "oneOf": [reference("Refusal"), reference("OAuthError")] });
            operation["responses"]["400"]["content"] = content(JSON, &either);
        }
        "/leaks/secret-scanning" => {
            body(operation, &[JSON], &reports());
            answers(operation, &labels(), "OAuthError", &["400", "403", "404", "413"]);
            operation["responses"]["403"]["description"] = "The report's signature is not valid".into();
            operation["responses"]["404"]["description"] = "Reports are not configured".into();
        }
        "/.well-known/oauth-authorization-server" => answers(operation, &metadata(), "OAuthError", &[]),
        "/.well-known/jwks.json" => answers(operation, &jwks(), "OAuthError", &[]),
        _ => {}
    }
}

/// RFC 6749 §5.2.
pub(super) fn oauth_error() -> Value {
    let codes = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "forbidden",
        "not_found",
        "content_too_large",
        "unsupported_media_type",
        "too_many_requests",
        "server_error",
        "temporarily_unavailable",
    ];
    object(&json!({
        "error": { "type": "string", "enum": codes },
        "error_description": { "type": "string", "description": "Error message" },
    }))
}

/// What API users are told; the gateway speaks as the API's profile does.
pub(super) fn refusal() -> Value {
    let plain = object(&json!({ "error": { "type": "string" }, "message": { "type": "string" } }));
    let inner = object(&json!({ "code": { "type": "string" }, "message": { "type": "string" } }));
    let wrapped = object(&json!({ "success": { "type": "boolean", "enum": [false] }, "error": inner }));
    let description = "The format depends on the API's profile; these are `bearer` and `ensemble`";
    json!({ "description": description, "oneOf": [plain, wrapped] })
}

/// Headers that answers of this status have.
pub(super) fn headers(status: &str) -> Value {
    let seconds = json!({ "description": "Seconds to wait", "schema": { "type": "integer", "minimum": 1 } });
    let challenge = json!({ "description": "RFC 6750 §3", "schema": { "type": "string" } });
    match status {
        "401" => json!({ "WWW-Authenticate": challenge }),
        "429" | "503" => json!({ "Retry-After": seconds }),
        _ => json!({}),
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn content(media: &str, schema: &Value) -> Value {
    json!({ media: { "schema": schema } })
}

/// An object that always has these members.
fn object(properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

/// An object that has some of these members, and `required` always.
fn some(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn body(operation: &mut Value, media: &[&str], schema: &Value) {
    let contents: Map<String, Value> =
        media.iter().map(|media| ((*media).to_owned(), json!({ "schema": schema }))).collect();
    let description = operation["requestBody"]["description"].clone();
    operation["requestBody"] = json!({ "description": description, "required": true, "content": contents });
}

/// What is answered: `ok` with 200, else an error. Everything may fail for reasons of ours.
fn answers(operation: &mut Value, ok: &Value, error: &str, statuses: &[&str]) {
    if !ok.is_null() {
        operation["responses"]["200"]["content"] = content(JSON, ok);
    }
    for status in statuses.iter().chain(&["500", "503"]) {
        let described = match *status {
            "400" => "Invalid request",
            "401" => "The credential is missing or not valid",
            "403" => "Insufficient scope, or no rule allows the request",
            "404" => "There is no such API",
            "413" => "The body is too large",
            "415" => "Unsupported media type",
            "429" => "Too many requests",
            "500" => "Internal server error",
            _ => "Temporarily unavailable; try again",
        };
        operation["responses"][*status] = json!({
            "description": described,
            "headers": headers(status),
            "content": content(JSON, &reference(error)),
        });
    }
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn seconds() -> Value {
    json!({ "type": "integer", "minimum": 0, "description": "Seconds since the epoch" })
}

fn scope() -> Value {
    let one = format!("[!#-\\[\\]-~]{{1,{SCOPE_NAME_MAX}}}");
    json!({ "type": "string", "pattern": format!("^({one}( {one})*)?$"), "description": "RFC 6749 §3.3" })
}

/// RFC 6749 §4.1.3, §4.4.2 and §6. Unknown parameters are ignored, as §3.2 wants it, and so are those of another grant.
fn token_request() -> Value {
    let some_text = json!({ "type": "string", "minLength": 1 });
    let verifier = format!("^[A-Za-z0-9._~-]{{{},{}}}$", pkce::VERIFIER_MIN, pkce::VERIFIER_MAX);
    let one = format!("[!#-\\[\\]-~]{{1,{SCOPE_NAME_MAX}}}");
    // Extra spaces are accepted.
    let scope = json!({ "pattern": format!("^ *({one}( +{one})* *)?$"), "maxLength": SCOPE_PARAMETER_MAX });
    let mut schema = some(
        &["grant_type"],
        &json!({
            "grant_type": { "type": "string", "enum": GrantType::ALL.map(GrantType::as_str) },
            "code": { "type": "string", "description": "For authorization_code" },
            "redirect_uri": { "type": "string", "description": "For authorization_code, as in the authorization request" },
            "code_verifier": { "type": "string", "description": "For authorization_code (RFC 7636 §4.1)" },
            "refresh_token": { "type": "string", "description": "For refresh_token" },
            "scope": { "type": "string", "description": "For refresh_token and client_credentials (RFC 6749 §3.3)" },
            "resource": {
                "description": "RFC 8707: an absolute URI without fragment; may be repeated",
                "type": "array",
                // Empty is the same as absent (RFC 6749 §3.1), here and elsewhere.
                "items": {
                    "type": "string",
                    "anyOf": [{ "maxLength": 0 }, { "format": "uri", "pattern": "^[^#]*$" }],
                },
                "maxItems": RESOURCES_MAX,
            },
            "client_id": { "type": "string", "description": "Required without a Basic authorization header" },
            "client_secret": { "type": "string" },
        }),
    );
    let of = |grant: &str, required: &[&str], properties: Value| {
        json!({
            "if": { "required": ["grant_type"], "properties": { "grant_type": { "const": grant } } },
            "then": { "required": required, "properties": properties },
        })
    };
    let by_code = json!({ "code": some_text, "code_verifier": { "pattern": verifier } });
    schema["allOf"] = json!([
        of("authorization_code", &["code"], by_code),
        of("refresh_token", &["refresh_token"], json!({ "refresh_token": some_text, "scope": scope })),
        of("client_credentials", &[], json!({ "scope": scope })),
    ]);
    schema
}

/// RFC 6749 §5.1.
fn token() -> Value {
    some(
        &["access_token", "token_type", "expires_in", "scope"],
        &json!({
            "access_token": { "type": "string", "pattern": "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$" },
            "token_type": { "type": "string", "enum": ["Bearer"] },
            "expires_in": { "type": "integer", "minimum": 0, "maximum": 86_400, "description": "Seconds" },
            "scope": scope(),
            "refresh_token": text(),
        }),
    )
}

/// RFC 7662 §2.1, and ours.
fn introspection_request() -> Value {
    let one = json!({ "type": "string", "minLength": 1 });
    let mut schema = some(
        &[],
        &json!({
            "token": text(),
            "tokens[]": { "type": "array", "items": text(), "maxItems": TOKENS_MAX, "description": "Several tokens in one request" },
            "ip_address": {
                "type": "string", "anyOf": [{ "maxLength": 0 }, { "format": "ipv4" }, { "format": "ipv6" }],
                "description": "The IP address that sent the credential",
            },
            "user_agent": text(),
            "client_id": text(),
            "client_secret": text(),
        }),
    );
    schema["anyOf"] = json!([
        { "required": ["token"], "properties": { "token": one } },
        { "required": ["tokens[]"], "properties": { "tokens[]": { "minItems": 1, "contains": one } } },
    ]);
    schema
}

/// RFC 7662 §2.2, and ours; or the same for many.
fn introspection() -> Value {
    let (id, limit) = (text(), json!({ "type": "integer", "minimum": 0 }));
    let active = json!({ "type": "boolean", "enum": [true] });
    let credential = some(
        &["active", "scope", "sub", "aud", "iss", "iat", "jti", "token_type", "credential", "cache_until"],
        &json!({
            "active": active, "scope": scope(), "client_id": id, "username": id, "sub": id,
            "aud": { "type": ["string", "array"], "items": { "type": "string" } },
            "iss": { "type": "string", "format": "uri" },
            "iat": seconds(), "exp": seconds(), "jti": id,
            "token_type": { "type": "string", "enum": ["Bearer"] },
            "credential": { "type": "string", "enum": ["access_token", "api_key"] },
            "key_id": id, "environment": id, "project": id, "plan": id,
            "rate_limit": some(&["reset", "exceeded"], &json!({
                "limit": limit, "remaining": limit, "reset": seconds(), "exceeded": { "type": "boolean" },
            })),
            "cache_until": seconds(),
        }),
    );
    let refresh_token = object(&json!({
        "active": active, "scope": scope(), "client_id": id, "sub": id, "iss": { "type": "string", "format": "uri" },
        "exp": seconds(), "token_type": { "type": "string", "enum": ["refresh_token"] },
    }));
    let inactive = json!({
        "type": "object", "required": ["active"], "additionalProperties": false,
        "properties": { "active": { "type": "boolean", "enum": [false] } },
    });
    let one = json!([credential, refresh_token, inactive]);
    let many = object(&json!({ "tokens": { "type": "array", "maxItems": TOKENS_MAX, "items": { "oneOf": one } } }));
    json!({ "oneOf": [one[0], one[1], one[2], many] })
}

/// GitHub's secret scanning partner program.
fn reports() -> Value {
    let report = some(&["token", "type"], &json!({ "token": text(), "type": text(), "url": text() }));
    json!({ "type": "array", "maxItems": REPORTED_MAX, "items": report })
}

fn labels() -> Value {
    let label = object(&json!({
        "token_hash": { "type": "string", "description": "SHA-256, base64" },
        "token_type": text(),
        "label": { "type": "string", "enum": ["true_positive", "false_positive"] },
    }));
    json!({ "type": "array", "items": label })
}

/// RFC 7009 §2.1.
fn revocation_request() -> Value {
    some(&[], &json!({ "token": text(), "token_type_hint": text(), "client_id": text(), "client_secret": text() }))
}

fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn me() -> Value {
    object(&json!({
        "id": text(),
        "name": or_null(text()),
        "plan": or_null(text()),
        "credential": { "type": "string", "enum": ["access_token", "api_key"] },
        "scope": scope(),
        "client_id": or_null(text()),
        "key": or_null(object(&json!({ "id": text(), "name": text(), "environment": text() }))),
        "expires_at": { "type": ["string", "null"], "format": "date-time" },
    }))
}

fn health() -> Value {
    some(
        &["status", "authenticated"],
        &json!({
            "status": { "type": "string", "enum": ["healthy"] },
            "authenticated": { "type": "boolean" },
            "user": object(&json!({ "id": text(), "plan": or_null(text()) })),
        }),
    )
}

/// RFC 8414 §2. The members are those of the document.
fn metadata() -> Value {
    let described = |value: &Value| match value {
        Value::Array(_) => json!({ "type": "array", "items": text() }),
        Value::Bool(_) => json!({ "type": "boolean" }),
        _ => json!({ "type": "string", "format": "uri" }),
    };
    let document = metadata::document("", &Scopes::default(), &[]);
    let members = document.as_object().into_iter().flatten();
    object(&members.map(|(name, value)| (name.clone(), described(value))).collect::<Map<_, _>>().into())
}

/// RFC 7517 §5.
fn jwks() -> Value {
    let key = some(
        &["kty", "kid", "use", "alg"],
        &json!({
            "kty": { "type": "string", "enum": ["EC", "OKP", "RSA"] }, "kid": text(),
            "use": { "type": "string", "enum": ["sig"] },
            "alg": { "type": "string", "enum": ["ES256", "EdDSA", "RS256"] },
            "crv": text(), "x": text(), "y": text(), "n": text(), "e": text(),
        }),
    );
    object(&json!({ "keys": { "type": "array", "items": key } }))
}

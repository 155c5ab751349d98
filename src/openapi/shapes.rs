//! Owns the meaning of field formats (`format = "…"` on a field or parameter): the limits, patterns and values that the
//! code enforces, each taken from the code that enforces it.

use serde_json::{Map, Value, json};

use crate::{
    api::json::IDEMPOTENCY_KEY_MAX,
    engine::{
        apis::{IDENTIFIER_MAX, SLUG_MAX},
        new_password::{LENGTH_MAX, LENGTH_MIN},
    },
    model::{
        api::Algorithm,
        client::{AuthMethod, ClientType, GrantType},
        email::EMAIL_MAX,
        key::{KeyForm, KeyStatus},
        management_api,
        path::PATH_MAX,
        profile,
        redirect_uri::REDIRECT_URI_MAX,
        rule_diff::RuleFate,
        scope::SCOPE_NAME_MAX,
        text::{NAME_MAX, NAME_PATTERN},
    },
};

/// Replaces every mark below `of` by what it means. A list's mark is about its items.
pub(super) fn spell_out(of: &mut Value, environments: &[String]) {
    match of {
        Value::Object(members) => {
            members.values_mut().for_each(|member| spell_out(member, environments));
            let mark = members.get("format").and_then(Value::as_str);
            if let Some(meaning) = mark.and_then(|mark| meaning(mark, environments)) {
                members.remove("format");
                match members.get_mut("items").and_then(Value::as_object_mut) {
                    Some(items) => take(items, meaning),
                    None => take(members, meaning),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| spell_out(item, environments)),
        _ => {}
    }
}

/// Adds members to a schema; among the words of one that may be null is null.
fn take(schema: &mut Map<String, Value>, meaning: Value) {
    let may_be_null = schema.get("type").and_then(Value::as_array).is_some_and(|kinds| kinds.contains(&"null".into()));
    let Value::Object(meaning) = meaning else { return };
    for (name, mut value) in meaning {
        if let Some(words) = value.as_array_mut().filter(|_| name == "enum" && may_be_null) {
            words.push(Value::Null);
        }
        schema.insert(name, value);
    }
}

/// What a mark means; nothing where it is a format of the standards.
fn meaning(mark: &str, environments: &[String]) -> Option<Value> {
    if let Some(kind) = mark.strip_suffix("-id") {
        return Some(json!({ "pattern": format!("^{kind}_[0-9A-Za-z]{{20}}$") }));
    }
    values(mark, environments).map(|words| json!({ "enum": words })).or_else(|| text(mark))
}

/// Marks of texts that are one of a few words.
fn values(mark: &str, environments: &[String]) -> Option<Vec<String>> {
    let of = |words: &[&'static str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    match mark {
        "environment" => Some(environments.to_vec()),
        "key-status" => of(&KeyStatus::ALL.map(KeyStatus::as_str)),
        "key-form" => of(&KeyForm::ALL.map(KeyForm::as_str)),
        "new-key-form" => of(&[KeyForm::Prefixed, KeyForm::Uuid].map(KeyForm::as_str)),
        "client-type" => of(&ClientType::ALL.map(ClientType::as_str)),
        "grant-type" => of(&GrantType::ALL.map(GrantType::as_str)),
        "auth-method" => of(&AuthMethod::ALL.map(AuthMethod::as_str)),
        "algorithm" => of(&Algorithm::ALL.map(Algorithm::as_str)),
        "outcome" => of(&["ok", "denied"]),
        "rule-fate" => of(&RuleFate::ALL.map(RuleFate::as_str)),
        "decision" => of(&["public", "credential", "scopes", "refused"]),
        "step" => of(&["hour", "day"]),
        "yes" => of(&["yes"]),
        _ => None,
    }
}

/// Marks of texts with bounds.
fn text(mark: &str) -> Option<Value> {
    let scope = format!("^[!#-\\[\\]-~]{{1,{SCOPE_NAME_MAX}}}$");
    Some(match mark {
        "name" => json!({ "minLength": 1, "maxLength": NAME_MAX, "pattern": NAME_PATTERN }),
        "name-or-nothing" => json!({ "maxLength": NAME_MAX, "pattern": format!("^$|{NAME_PATTERN}") }),
        "word" => json!({ "pattern": "^[a-z0-9]{1,20}$" }),
        "word-or-nothing" => json!({ "pattern": "^[a-z0-9]{0,20}$" }),
        "id" => json!({ "pattern": "^[A-Za-z0-9_.@+-]{1,128}$" }),
        // A user, by id or email address.
        "who" => json!({ "minLength": 1, "maxLength": EMAIL_MAX }),
        "email" => json!({ "format": "email", "maxLength": EMAIL_MAX }),
        // As reported, so no format is guaranteed.
        "address" => json!({}),
        // A single address is also a network. No bits may be set after the prefix.
        "network" => json!({ "format": "network", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$" }),
        "scope" => json!({ "pattern": scope }),
        "new-scope" => json!({
            "pattern": scope,
            "not": { "pattern": format!("^(all$|{})", management_api::SCOPE_PREFIX) },
        }),
        "redirect-uri" => json!({ "format": "redirect-uri", "maxLength": REDIRECT_URI_MAX }),
        "identifier" => json!({ "format": "uri", "pattern": "^[!\"$-~]+$", "maxLength": IDENTIFIER_MAX }),
        "slug" => json!({ "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": SLUG_MAX }),
        "profile" => json!({ "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": profile::NAME_MAX }),
        "profile-text" => json!({ "maxLength": profile::PROFILE_MAX }),
        "header-name" => json!({ "pattern": "^[A-Za-z0-9-]{1,64}$" }),
        "header-value" => json!({ "pattern": "^[ -~]{0,1000}$" }),
        "method" => json!({ "pattern": "^(\\*|[A-Za-z]{1,20})$" }),
        "request-method" => json!({ "pattern": "^[A-Za-z]{1,20}$" }),
        "request-target" => json!({}),
        "stored-method" => json!({ "pattern": "^(\\*|[A-Z]{1,20})$" }),
        "route" => json!({ "format": "route", "pattern": "^/[A-Za-z0-9._~{}*/-]*$", "maxLength": PATH_MAX }),
        "cursor" => json!({ "pattern": "^[A-Za-z0-9_-]+$" }),
        "moment" => json!({ "anyOf": [{ "format": "date-time" }, { "pattern": "^[0-9]{1,12}$" }] }),
        "new-password" => json!({ "format": "password", "minLength": LENGTH_MIN, "maxLength": LENGTH_MAX }),
        "idempotency-key" => json!({ "pattern": format!("^[!-~]{{1,{IDEMPOTENCY_KEY_MAX}}}$") }),
        "count" => json!({}),
        _ => return None,
    })
}

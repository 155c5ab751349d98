//! Owns the OpenAPI 3.1 description of this server, generated from the handlers and served at `/openapi.json`. What
//! belongs here: what all endpoints share, and what a macro cannot express. Not here: the description of one endpoint,
//! which is beside its handler.

mod protocol;
mod shapes;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use crate::{
    config::Config,
    http::problem,
    model::management_api::{self, Scope},
};

/// The media type of errors.
const PROBLEM: &str = "application/problem+json";

/// What operations are grouped by.
const TAGS: [(&str, &str); 12] = [
    ("keys", "Create, monitor, rotate and revoke API keys."),
    ("projects", "Group keys under one policy."),
    ("usage", "How keys are used, and why requests were refused."),
    ("clients", "OAuth clients."),
    ("users", "People who sign in. For administrators."),
    ("apis", "Protected resources, their scopes and rules. For administrators."),
    ("plans", "Rate-limit plans. For administrators."),
    ("audit", "The audit log."),
    ("self", "Whether a credential is valid."),
    ("oauth", "The authorization server."),
    ("gateway", "Forward authentication for reverse proxies."),
    ("leaks", "Reports of leaked keys."),
];

/// What handlers say of themselves, and the scope that each of them needs by its signature.
#[derive(Debug)]
pub struct Described {
    /// Their operations, with the schemas of what they read and answer.
    pub document: fn() -> OpenApi,
    /// Path, method, scope.
    pub scopes: Vec<(&'static str, &'static str, Option<Scope>)>,
}

/// The document of the server with this configuration, of these handlers.
pub fn document(config: &Config, described: impl IntoIterator<Item = Described>) -> Value {
    let issuer: &str = &config.issuer;
    let (mut merged, mut scopes) = (OpenApi::default(), Vec::new());
    for described in described {
        merged.merge((described.document)());
        scopes.extend(described.scopes);
    }
    let mut document = serde_json::to_value(merged).unwrap_or_default();
    for (path, method, scope) in scopes {
        if let Some(scope) = scope {
            document["paths"][path][method]["security"] = json!([{ "bearer": [scope.name()] }]);
        }
    }
    document["tags"] = TAGS.map(|(name, description)| json!({ "name": name, "description": description })).into();
    document["info"] = json!({
        "title": "grantd",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Manage keys, projects, clients, users, APIs and plans. Send an API key or access token with the \
            operation's scope as Authorization: Bearer. Users manage what they own; administrators manage \
            everything. Errors are RFC 9457 problems.",
        "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
    });
    document["servers"] = json!([{ "url": issuer }]);
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "An API key, or an access token" },
        "client": { "type": "http", "scheme": "basic", "description": "A client's id and secret" },
    });
    refer_to_items(&mut document);
    document["components"]["schemas"]["Problem"] = problem_schema(issuer);
    document["components"]["schemas"]["OAuthError"] = protocol::oauth_error();
    document["components"]["schemas"]["Refusal"] = protocol::refusal();
    document["components"]["responses"] = problems();
    document["components"]["parameters"] = json!({ "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Repeating a request with the same key within a day has no effect and gets the same response, with \
            Idempotency-Replayed: true. X-Idempotency-Key works too.",
        "schema": { "type": "string", "format": "idempotency-key" },
    } });
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths.iter_mut() {
            let is_ours = path.starts_with(management_api::PATH);
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                operation["operationId"] = operation_id(method, path).into();
                if is_ours {
                    share(path, method, operation);
                } else {
                    protocol::complete(path, operation);
                }
            }
        }
    }
    shapes::spell_out(&mut document, &config.environments);
    require_bodies(&mut document);
    document
}

/// Refers to the schema of a page's items: utoipa repeats it in each page.
fn refer_to_items(document: &mut Value) {
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        if let Some(item) = name.strip_prefix("Page_") {
            schema["properties"]["items"]["items"] = json!({ "$ref": format!("#/components/schemas/{item}") });
        }
    }
}

/// A body may be absent where nothing in it is needed: it counts as an object without members.
fn require_bodies(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let operations = document["paths"].as_object_mut().into_iter().flatten();
    for operation in operations.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten()).map(|(_, of)| of) {
        let name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
        if let Some(name) = name.and_then(|name| name.rsplit('/').next()) {
            operation["requestBody"]["required"] = schemas[name]["required"].is_array().into();
        }
    }
}

/// A name of its own for each operation: utoipa would take the function's, and many are called `list`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(['/', '.', '-', '_']).filter(|word| !matches!(*word, "" | "api" | "v1"));
    let plain = words.map(|word| word.trim_matches(['{', '}']));
    std::iter::once(method).chain(plain).collect::<Vec<_>>().join("_")
}

/// What every operation of the management API has.
fn share(path: &str, method: &str, operation: &mut Value) {
    let mut statuses = vec!["400", "401", "403", "429", "500", "503"];
    let named = ["user", "project"];
    let names_another =
        |all: &Vec<Value>| all.iter().any(|one| one["in"] == "query" && named.iter().any(|name| one["name"] == *name));
    if path.contains('{') || operation["parameters"].as_array().is_some_and(names_another) {
        statuses.push("404");
    }
    if matches!(method, "post" | "patch" | "put") {
        statuses.extend(["413", "415"]);
    }
    if matches!(method, "post" | "patch") {
        statuses.push("409");
    }
    if method == "post" {
        statuses.push("422");
        let key = json!({ "$ref": "#/components/parameters/IdempotencyKey" });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(key),
            None => operation["parameters"] = json!([key]),
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        if parameter["in"] == "query" {
            // Absent and empty are the same.
            parameter["allowEmptyValue"] = true.into();
        }
    }
    let described = operation["responses"].as_object().into_iter().flatten().map(|(status, _)| status.clone());
    let described: Vec<String> = described.filter(|status| !status.starts_with('2')).collect();
    for status in statuses.into_iter().chain(described.iter().map(String::as_str)) {
        operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{status}") });
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        for (status, response) in responses.iter_mut().filter(|(status, _)| status.starts_with('2')) {
            if response["description"].as_str().is_none_or(str::is_empty) {
                response["description"] = (if status == "201" { "Created" } else { "Done" }).into();
            }
            if method == "post" {
                response["headers"]["Idempotency-Replayed"] = json!({
                    "description": "Set if this is the stored response to the same Idempotency-Key",
                    "schema": { "type": "string", "enum": ["true"] },
                });
            }
        }
    }
}

fn problem_schema(issuer: &str) -> Value {
    let kinds: Vec<String> = problem::kinds().iter().map(|(name, _, _)| format!("{issuer}/api/docs#{name}")).collect();
    json!({
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri", "enum": kinds, "description": "Problem type" },
            "title": { "type": "string", "description": "Name of the problem type" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "HTTP status" },
            "detail": { "type": "string", "description": "What is wrong with this request" },
            "request_id": { "type": "string", "description": "The request's X-Request-ID" },
            "instance": { "type": "string", "format": "uri", "description": "The page on which the credential's owner can see the reason (401, 403, 429)" },
            "scope": { "type": "string", "description": "The missing scope" },
            "missing": { "type": "string", "description": "What does not exist: its kind, such as user" },
        },
    })
}

/// An answer for each status that an error may have.
fn problems() -> Value {
    let mut responses = Map::new();
    for (name, title, status) in problem::kinds() {
        let status = status.to_string();
        let described = match responses.get(&status).and_then(|response| response["description"].as_str()) {
            Some(before) => format!("{before}; or {title} ({name})"),
            None => format!("{title} ({name})"),
        };
        let content = json!({ PROBLEM: { "schema": { "$ref": "#/components/schemas/Problem" } } });
        let headers = protocol::headers(&status);
        responses.insert(status, json!({ "description": described, "headers": headers, "content": content }));
    }
    Value::Object(responses)
}

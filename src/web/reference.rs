//! Owns `/api/docs`: the OpenAPI document as a page for people, without JavaScript.

use std::sync::OnceLock;

use askama::Template;
use axum::{http::HeaderMap, response::Response};
use serde_json::Value;

use crate::{
    app::App,
    http::{
        gzip::Compressed,
        page::{ASSET_VERSION, render_once},
        problem,
    },
    ui::Shell,
};

/// Deepest nesting of schemas that is resolved.
const DEPTH_MAX: usize = 8;

/// `GET /api/docs`.
#[derive(Debug, Template)]
#[template(path = "reference.html")]
pub struct ReferencePage {
    pub shell: Shell,
    pub issuer: String,
    pub about: String,
    pub groups: Vec<OperationGroup>,
    pub problems: Vec<ProblemKind>,
}

/// The operations of one tag.
#[derive(Debug, Clone)]
pub struct OperationGroup {
    pub name: String,
    pub about: String,
    pub operations: Vec<Operation>,
}

/// One method of one path.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    pub about: Words,
    /// The scope it needs; empty if there is none.
    pub scope: String,
    pub parameters: Vec<Field>,
    pub body: Vec<Field>,
    /// Status code and description of success.
    pub status: String,
    pub answer: Vec<Field>,
    /// The response is a page of such items.
    pub is_page: bool,
}

/// A parameter, or a member of an object.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub kind: String,
    pub is_required: bool,
    pub about: Words,
}

/// A kind of error.
#[derive(Debug, Clone)]
pub struct ProblemKind {
    pub name: String,
    pub title: String,
    pub status: u16,
}

/// Text of a doc comment: the parts between backticks (`true`) are code.
#[derive(Debug, Clone, Default)]
pub struct Words(pub String);

impl Words {
    pub fn parts(&self) -> Vec<(bool, &str)> {
        self.0.split('`').enumerate().map(|(at, part)| (at % 2 == 1, part)).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `GET /api/docs`, for this document. The same for every caller, so it is rendered once.
pub fn page(app: &App, document: &Value, kept: &OnceLock<Compressed>, headers: &HeaderMap) -> Response {
    render_once(kept, headers, || reference(app, document))
}

fn reference(app: &App, document: &Value) -> ReferencePage {
    let shell = Shell {
        base: app.config.issuer.base_path().to_owned(),
        title: "API reference".to_owned(),
        asset_version: ASSET_VERSION.clone(),
        ..Shell::default()
    };
    let problems = problem::kinds().into_iter().map(|(name, title, status)| ProblemKind {
        name: name.to_owned(),
        title: title.to_owned(),
        status,
    });
    ReferencePage {
        shell,
        issuer: app.config.issuer.to_string(),
        about: text(&document["info"]["description"]),
        groups: groups(document),
        problems: problems.collect(),
    }
}

fn groups(document: &Value) -> Vec<OperationGroup> {
    let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |tag: &Value| OperationGroup {
        name: text(&tag["name"]),
        about: text(&tag["description"]),
        operations: operations(document, &tag["name"]),
    };
    tags.iter().map(of).filter(|group| !group.operations.is_empty()).collect()
}

fn operations(document: &Value, tag: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, of) in item.as_object().into_iter().flatten() {
            if of["tags"].as_array().is_some_and(|tags| tags.contains(tag)) {
                found.push(operation(document, path, method, of));
            }
        }
    }
    found
}

fn operation(document: &Value, path: &str, method: &str, of: &Value) -> Operation {
    let parameters = of["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let responses = of["responses"].as_object();
    let success = responses.and_then(|all| all.iter().find(|(status, _)| status.starts_with('2')));
    let (status, response) = success.map_or((String::new(), &Value::Null), |(status, of)| (status.clone(), of));
    let schema = resolve(document, &response["content"]["application/json"]["schema"]);
    let items = &schema["properties"]["items"]["items"];
    let is_page = !items.is_null() && !schema["properties"]["next"].is_null();
    let scope = of["security"].as_array().into_iter().flatten().find_map(|one| one["bearer"][0].as_str());
    let about = text(&of["description"]);
    Operation {
        id: text(&of["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&of["summary"]),
        about: Words(if about.is_empty() { text(&of["requestBody"]["description"]) } else { about }),
        scope: scope.unwrap_or_default().to_owned(),
        parameters: parameters.iter().map(|parameter| field_of(document, parameter)).collect(),
        body: members(document, body(&of["requestBody"]["content"]), 0),
        status,
        answer: if is_page { members(document, items, 0) } else { members(document, schema, 0) },
        is_page,
    }
}

/// The schema of a body: that of JSON, else that of a form.
fn body(content: &Value) -> &Value {
    let schema = &content["application/json"]["schema"];
    if schema.is_null() { &content["application/x-www-form-urlencoded"]["schema"] } else { schema }
}

fn field_of(document: &Value, parameter: &Value) -> Field {
    let parameter = resolve(document, parameter);
    let place = text(&parameter["in"]);
    Field {
        name: text(&parameter["name"]),
        kind: format!("{} in the {place}", kind(document, &parameter["schema"])),
        is_required: parameter["required"] == true,
        about: Words(text(&parameter["description"])),
    }
}

/// The members of an object, including those inherited from others.
fn members(document: &Value, schema: &Value, depth: usize) -> Vec<Field> {
    let schema = resolve(document, schema);
    if depth > DEPTH_MAX {
        return Vec::new();
    }
    let inherited = schema["allOf"].as_array().into_iter().flatten().flat_map(|of| members(document, of, depth + 1));
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, of)| Field {
        name: name.clone(),
        kind: kind(document, of),
        is_required: is_required(name),
        about: Words(text(&of["description"])),
    });
    inherited.chain(own).collect()
}

fn kind(document: &Value, schema: &Value) -> String {
    let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
    let schema = resolve(document, schema);
    let word = |of: &Value| of.as_str().unwrap_or("object").to_owned();
    match &schema["type"] {
        Value::Array(either) => {
            let words: Vec<String> = either.iter().filter(|one| *one != "null").map(word).collect();
            words.join(" or ")
        }
        of if of == "array" => format!("list of {}", kind(document, &schema["items"])),
        of => name.map_or_else(|| word(of), ToOwned::to_owned),
    }
}

/// The target of a reference.
fn resolve<'d>(document: &'d Value, of: &'d Value) -> &'d Value {
    let Some(path) = of["$ref"].as_str().and_then(|text| text.strip_prefix('#')) else { return of };
    document.pointer(path).unwrap_or(&Value::Null)
}

fn text(of: &Value) -> String {
    of.as_str().unwrap_or_default().trim().to_owned()
}

//! Owns validation against the OpenAPI document alone: does a value match its schema, is a response described? It sends
//! no requests.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use grantd::model::{email, network::Networks, redirect_uri::RedirectUri, rule::is_pattern};
use jsonschema::Validator;
use serde_json::Value;

use crate::harness::Reply;

/// The document, with its compiled schemas.
pub struct Judge {
    pub document: Value,
    made: RefCell<HashMap<String, Rc<Validator>>>,
}

impl Judge {
    pub fn new(document: Value) -> Self {
        Self { document, made: RefCell::default() }
    }

    /// The target of a reference.
    pub fn resolve<'s>(&'s self, of: &'s Value) -> &'s Value {
        match of["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
            Some(path) => self.document.pointer(path).unwrap_or_else(|| panic!("{path} leads nowhere")),
            None => of,
        }
    }

    /// Whether a value matches this schema.
    pub fn takes(&self, schema: &Value, value: &Value) -> bool {
        self.validator(schema).is_valid(value)
    }

    fn validator(&self, schema: &Value) -> Rc<Validator> {
        let name = schema.to_string();
        if let Some(made) = self.made.borrow().get(&name) {
            return Rc::clone(made);
        }
        // References point to the document's components, so the schema needs a copy of them.
        let mut root = schema.clone();
        root["components"] = self.document["components"].clone();
        // Formats that a pattern cannot fully express are checked by their parser.
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .with_format("network", |text: &str| Networks::of(&[text.to_owned()]).is_ok())
            .with_format("redirect-uri", |text: &str| RedirectUri::register(text).is_ok())
            .with_format("route", is_pattern)
            .with_format("email", |text: &str| email::normalize(text).is_ok())
            .build(&root)
            .unwrap_or_else(|error| panic!("{error}: {schema}"));
        let validator = Rc::new(validator);
        self.made.borrow_mut().insert(name, Rc::clone(&validator));
        validator
    }

    /// Asserts that the document describes this response: status, media type, body and each member of it.
    #[track_caller]
    pub fn described(&self, operation: &Value, reply: &Reply, asked: &str) {
        let status = reply.status.as_u16();
        let response = self.resolve(&operation["responses"][status.to_string().as_str()]);
        assert!(!response.is_null(), "{asked}: {status} is not described: {}", reply.body);
        for header in response["headers"].as_object().into_iter().flat_map(serde_json::Map::keys) {
            let is_always = header != "Idempotency-Replayed";
            assert!(!is_always || reply.headers.contains_key(header.as_str()), "{asked}: {status} without {header}");
        }
        let Some(contents) = response["content"].as_object() else {
            assert!(reply.body.is_empty(), "{asked}: {status} has a body: {}", reply.body);
            return;
        };
        let content = contents.get(reply.header("content-type"));
        let content = content.unwrap_or_else(|| panic!("{asked}: {status} as {}", reply.header("content-type")));
        let body = reply.json();
        let errors: Vec<String> = self
            .validator(&content["schema"])
            .iter_errors(&body)
            .map(|e| format!("{e} at {}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{asked}: {status}: {errors:?}: {body}");
        let mut more = Vec::new();
        self.undescribed(&content["schema"], &body, "", &mut more);
        assert!(more.is_empty(), "{asked}: {status} has members that are not described: {more:?}: {body}");
    }

    /// Members that no part of the schema declares.
    fn undescribed(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let mut parts = Vec::new();
        self.parts(schema, value, &mut parts);
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let described: Vec<&Value> = parts.iter().filter_map(|part| part["properties"].get(name)).collect();
                    if described.is_empty() {
                        found.push(format!("{at}/{name}"));
                    }
                    described.iter().for_each(|of| self.undescribed(of, member, &format!("{at}/{name}"), found));
                }
            }
            Value::Array(items) => {
                for (of, item) in parts.iter().flat_map(|part| items.iter().map(|item| (&part["items"], item))) {
                    if !of.is_null() {
                        self.undescribed(of, item, &format!("{at}/-"), found);
                    }
                }
            }
            _ => {}
        }
    }

    /// A schema with everything it is composed of; of alternatives, the matching ones.
    fn parts<'s>(&'s self, schema: &'s Value, value: &Value, found: &mut Vec<&'s Value>) {
        let schema = self.resolve(schema);
        found.push(schema);
        for one in schema["allOf"].as_array().into_iter().flatten() {
            self.parts(one, value, found);
        }
        for kind in ["oneOf", "anyOf"] {
            for one in schema[kind].as_array().into_iter().flatten().filter(|one| self.takes(one, value)) {
                self.parts(one, value, found);
            }
        }
    }
}

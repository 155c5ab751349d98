//! Owns the members of an OpenAPI document, or of a file of rules, that rules are made from. Everything else in it is
//! skipped. Bounds what a document may be made of, so that aliases and depth cost neither memory nor stack.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_saphyr::{Spanned, options::DuplicateKeyPolicy};

use crate::model::error::Error;

/// Deepest nesting, for which a thread's stack is large enough in a debug build too.
const DEPTH_MAX: usize = 64;
/// Most values, and most of those that aliases repeat.
const NODES_MAX: usize = 2_000_000;
const REPEATED_MAX: usize = 100_000;
/// Words of the parser that are passed on, in characters.
const WORDS_MAX: usize = 200;
/// The methods of a path item.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// A mapping with its keys in order, and where each stands.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(Spanned<String>, T)>);

/// Alternatives, of each of which every scheme is needed, with its scopes.
pub(super) type Requirements = Vec<Named<Option<Vec<String>>>>;

/// OpenAPI 3.0 and 3.1, Swagger 2.0, or a file of rules.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub(super) openapi: Option<Spanned<String>>,
    pub(super) swagger: Option<Spanned<String>>,
    pub(super) rules: Option<Vec<Spanned<FileRule>>>,
    pub(super) servers: Option<Vec<Server>>,
    #[serde(rename = "basePath")]
    pub(super) base_path: Option<Spanned<String>>,
    pub(super) security: Option<Requirements>,
    pub(super) paths: Option<Paths>,
    #[serde(default)]
    pub(super) components: Components,
    #[serde(rename = "securityDefinitions")]
    pub(super) security_definitions: Option<Named<Scheme>>,
}

/// A rule as `grantd api routes export` writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRule {
    pub(super) method: Option<String>,
    pub(super) path: String,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) public: bool,
}

/// Paths with what can be done there.
#[derive(Debug)]
pub(super) struct Paths(pub(super) Vec<(Spanned<String>, PathItem)>);

/// What can be done at a path: by the item that is referred to, or here.
#[derive(Debug, Default)]
pub(super) struct PathItem {
    pub(super) reference: Option<Spanned<String>>,
    pub(super) servers: Option<Vec<Server>>,
    pub(super) operations: Vec<(Spanned<String>, Operation)>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Operation {
    pub(super) security: Option<Requirements>,
    pub(super) servers: Option<Vec<Server>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Server {
    pub(super) url: Spanned<String>,
    pub(super) variables: Option<Named<Variable>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Variable {
    pub(super) default: String,
    #[serde(rename = "enum")]
    pub(super) values: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Components {
    #[serde(rename = "securitySchemes")]
    pub(super) security_schemes: Option<Named<Scheme>>,
    #[serde(rename = "pathItems")]
    pub(super) path_items: Option<Named<PathItem>>,
}

/// How a credential is sent, and in OAuth which scopes there are.
#[derive(Debug, Deserialize)]
pub(super) struct Scheme {
    #[serde(rename = "$ref")]
    pub(super) reference: Option<Spanned<String>>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    flows: Option<Flows>,
    scopes: Option<Named<Option<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flows {
    implicit: Option<Flow>,
    password: Option<Flow>,
    client_credentials: Option<Flow>,
    authorization_code: Option<Flow>,
}

#[derive(Debug, Deserialize)]
struct Flow {
    scopes: Option<Named<Option<String>>>,
}

impl Document {
    /// Reads YAML, of which JSON is a part.
    ///
    /// # Errors
    /// `invalid_request` with the line and what is wrong there.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: DEPTH_MAX,
                max_nodes: NODES_MAX,
                max_events: 2 * NODES_MAX,
                max_documents: 1,
            },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED_MAX },
            duplicate_keys: DuplicateKeyPolicy::Error,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let said = error.to_string();
            // The line comes first here, and once.
            let said = said.split(" at line ").next().unwrap_or_default();
            let words: String = said.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
            at(error.location().map_or(0, |location| location.line()), &words)
        })
    }

    /// The schemes by which a credential may be sent.
    pub(super) fn schemes(&self) -> &[(Spanned<String>, Scheme)] {
        let schemes = self.components.security_schemes.as_ref().or(self.security_definitions.as_ref());
        schemes.map_or(&[], |schemes| &schemes.0)
    }
}

/// An error at a line; at 0 the line is not known.
pub(super) fn at(line: u64, words: &str) -> Error {
    Error::invalid_request(if line == 0 { words.to_owned() } else { format!("line {line}: {words}") })
}

impl Scheme {
    /// Whether a requirement of this scheme can name scopes.
    pub(super) fn has_scopes(&self) -> bool {
        matches!(self.kind.as_deref(), Some("oauth2" | "openIdConnect"))
    }

    /// What a scope permits, in words.
    pub(super) fn description(&self, scope: &str) -> Option<&str> {
        let flows = self
            .flows
            .iter()
            .flat_map(|flows| [&flows.authorization_code, &flows.client_credentials, &flows.implicit, &flows.password]);
        let described = flows.flatten().flat_map(|flow| &flow.scopes).chain(&self.scopes);
        let mut found = described.flat_map(|scopes| &scopes.0).filter(|(name, _)| name.value == scope);
        found.find_map(|(_, words)| words.as_deref())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut found = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    found.push(entry);
                }
                Ok(Named(found))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Paths;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("paths")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Paths, A::Error> {
                let mut found = Vec::new();
                while let Some(path) = map.next_key::<Spanned<String>>()? {
                    if path.value.starts_with("x-") {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        found.push((path, map.next_value::<Option<PathItem>>()?.unwrap_or_default()));
                    }
                }
                Ok(Paths(found))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for PathItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = PathItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PathItem, A::Error> {
                let mut item = PathItem::default();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    match key.value.as_str() {
                        "$ref" => item.reference = Some(map.next_value()?),
                        "servers" => item.servers = map.next_value()?,
                        method if METHODS.contains(&method) => {
                            item.operations.push((key, map.next_value::<Option<Operation>>()?.unwrap_or_default()));
                        }
                        "summary" | "description" | "parameters" => drop(map.next_value::<IgnoredAny>()?),
                        other if other.starts_with("x-") => drop(map.next_value::<IgnoredAny>()?),
                        // Skipped, it would be an operation without a rule.
                        other => {
                            let words = format!("{other:.30} is neither a method nor another member of a path item");
                            return Err(de::Error::custom(words));
                        }
                    }
                }
                Ok(item)
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

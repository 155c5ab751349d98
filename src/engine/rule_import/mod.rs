//! Owns reading an API's rules from a file: an OpenAPI document, or a file of rules. A file with a mistake is refused whole,
//! with the lines. Does not know what the API has now; see `engine::rules`.

mod conflicts;
mod document;
mod reference;
mod requirement;
mod servers;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_saphyr::Spanned;

use self::{
    document::{Document, FileRule, Operation, PathItem, at},
    reference::follow,
    requirement::{Access, access, scheme},
};
use super::rules::rule;
use crate::model::{
    error::Error,
    policy::RULES_MAX,
    rule::Rule,
    scope::Scopes,
    text::{self, NAME_MAX},
};

/// Largest file that is read, in bytes.
pub const FILE_MAX: usize = 8 << 20;
/// Mistakes that a refusal names.
const SHOWN_MAX: usize = 10;

/// How to read an OpenAPI document.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What stands before each path, instead of what the document's servers say.
    pub base_path: Option<String>,
    /// Whether an operation is public for which no security is declared; if not, it takes any credential of the API.
    pub undeclared_public: bool,
    /// Whether an operation with alternatives that one rule cannot express needs the scopes of all of them.
    pub all_alternatives: bool,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Imported {
    /// The rules, in the order of evaluation.
    pub rules: Vec<ImportedRule>,
    /// The scopes that they need.
    pub scopes: BTreeMap<String, ImportedScope>,
}

/// A rule, and where it comes from.
#[derive(Debug)]
pub struct ImportedRule {
    /// The line of the operation or rule.
    pub line: u64,
    /// The rule.
    pub rule: Rule,
    /// Whether neither the operation nor the document declares any security.
    pub is_undeclared: bool,
}

/// A scope that a rule needs.
#[derive(Debug)]
pub struct ImportedScope {
    /// The line of the first operation that needs it.
    pub line: u64,
    /// What it permits in the document's words; its name if the document has none.
    pub description: String,
}

/// Mistakes with their lines.
#[derive(Debug, Default)]
struct Mistakes(BTreeSet<(u64, String)>);

/// Reads a file.
///
/// # Errors
/// `invalid_request` with lines and reasons.
pub fn read(text: &str, options: &Options) -> Result<Imported, Error> {
    if text.len() > FILE_MAX {
        return Err(Error::invalid_request(format!("the file is larger than {} MiB", FILE_MAX >> 20)));
    }
    let document = Document::parse(text)?;
    let is_version = |text: &str, version: &str| {
        text.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    match (&document.openapi, &document.swagger, &document.rules) {
        (Some(said), None, None) if ["3.0", "3.1"].iter().any(|version| is_version(&said.value, version)) => {
            operations(&document, options)
        }
        (None, Some(said), None) if is_version(&said.value, "2.0") => operations(&document, options),
        (None, None, Some(rules)) => as_they_are(rules),
        (Some(said), None, None) | (None, Some(said), None) => {
            let words = format!("version {:.20} is not one of OpenAPI 3.0, OpenAPI 3.1 and Swagger 2.0", said.value);
            Err(at(said.referenced.line(), &words))
        }
        _ => Err(Error::invalid_request(
            "the file is no OpenAPI document, which has `openapi` or `swagger` with its version, and no file of rules, \
             which has `rules`",
        )),
    }
}

impl Mistakes {
    fn add(&mut self, line: u64, words: impl Into<String>) {
        self.0.insert((line, words.into()));
    }

    /// Refuses the file if there are any.
    fn check(self) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let shown = self.0.iter().take(SHOWN_MAX).map(|(line, words)| format!("line {line}: {words}"));
        let mut shown = shown.collect::<Vec<_>>().join("; ");
        if self.0.len() > SHOWN_MAX {
            shown.push_str(&format!("; and {} more", self.0.len() - SHOWN_MAX));
        }
        Err(Error::invalid_request(shown))
    }
}

impl Imported {
    fn of(rules: Vec<ImportedRule>, describe: impl Fn(&str) -> Option<String>) -> Self {
        let mut scopes = BTreeMap::new();
        for ImportedRule { line, rule, .. } in &rules {
            for name in rule.scopes.iter() {
                let found = scopes.entry(name.to_owned()).or_insert_with(|| ImportedScope {
                    line: *line,
                    description: describe(name).unwrap_or_else(|| name.to_owned()),
                });
                found.line = found.line.min(*line);
            }
        }
        Self { rules, scopes }
    }
}

/// The rules of a file of rules.
fn as_they_are(entries: &[Spanned<FileRule>]) -> Result<Imported, Error> {
    let (mut rules, mut mistakes) = (Vec::new(), Mistakes::default());
    let mut seen = HashMap::new();
    for entry in entries {
        let (line, FileRule { method, path, scopes, public }) = (entry.referenced.line(), &entry.value);
        let read = Scopes::of(scopes.clone()).and_then(|scopes| rule(method.as_deref(), path.clone(), scopes, *public));
        match read {
            Ok(rule) => {
                let shown = format!("{} {}", rule.method, rule.pattern);
                if let Some(first) = seen.insert(shown.clone(), line) {
                    mistakes.add(line, format!("{shown} has a rule already, at line {first}"));
                }
                rules.push(ImportedRule { line, rule, is_undeclared: false });
            }
            Err(error) => mistakes.add(line, format!("{path:.100}: {}", error.description)),
        }
    }
    mistakes.check()?;
    Ok(Imported::of(rules, |_| None))
}

/// The rules for the operations of a document, with plain segments before placeholders (OpenAPI 3.1 §4.8.8.2).
fn operations(document: &Document, options: &Options) -> Result<Imported, Error> {
    let (mut rules, mut mistakes) = (Vec::new(), Mistakes::default());
    for (path, item) in document.paths.iter().flat_map(|paths| &paths.0) {
        if !path.value.starts_with('/') {
            mistakes.add(path.referenced.line(), format!("the path {:.100} does not begin with a slash", path.value));
            continue;
        }
        let item = match resolve(document, item) {
            Ok(item) => item,
            Err((line, words)) => {
                mistakes.add(line, words);
                continue;
            }
        };
        for (method, operation) in &item.operations {
            match of_operation(document, options, &path.value, (item, method, operation)) {
                Ok(made) => rules.extend(made),
                Err((line, words)) => {
                    let method = method.value.to_uppercase();
                    mistakes.add(line, format!("{method} {:.100}: {words}", path.value));
                }
            }
        }
    }
    if rules.len() > RULES_MAX {
        return Err(Error::invalid_request(format!(
            "an API can have at most {RULES_MAX} rules, and these are {}",
            rules.len()
        )));
    }
    conflicts::find(&rules, |line, words| mistakes.add(line, words));
    mistakes.check()?;
    if rules.is_empty() {
        return Err(Error::invalid_request("the document has no operations"));
    }
    rules.sort_by_cached_key(|made| conflicts::order(&made.rule));
    Ok(Imported::of(rules, |scope| describe(document, scope)))
}

/// The path item that this one refers to, or itself.
fn resolve<'d>(document: &'d Document, item: &'d PathItem) -> Result<&'d PathItem, (u64, String)> {
    let components = || document.components.path_items.iter().flat_map(|items| &items.0);
    let paths = || document.paths.iter().flat_map(|paths| &paths.0);
    let find = |name: &str| {
        let mut all = components().chain(paths());
        all.find(|(key, _)| key.value == name).map(|(_, item)| item)
    };
    if let Some(reference) = item.reference.as_ref().filter(|_| !item.operations.is_empty()) {
        return Err((reference.referenced.line(), "a path item has a reference or operations, not both".to_owned()));
    }
    follow(item, |item| item.reference.as_ref(), &["#/components/pathItems/", "#/paths/"], find)
}

/// The rules for one operation: one for each base path.
fn of_operation(
    document: &Document,
    options: &Options,
    path: &str,
    (item, method, operation): (&PathItem, &Spanned<String>, &Operation),
) -> Result<Vec<ImportedRule>, (u64, String)> {
    let line = method.referenced.line();
    let Access { scopes, public, is_undeclared } =
        access(document, operation.security.as_ref(), options).map_err(|words| (line, words))?;
    let made = |base: String| {
        let rule = Scopes::of(scopes.clone())
            .and_then(|scopes| rule(Some(&method.value), format!("{base}{path}"), scopes, public))
            .map_err(|error| (line, error.description.into_owned()))?;
        Ok(ImportedRule { line, rule, is_undeclared })
    };
    bases(document, options, item, operation)?.into_iter().map(made).collect()
}

/// What stands before the paths of an operation.
fn bases(
    document: &Document,
    options: &Options,
    item: &PathItem,
    operation: &Operation,
) -> Result<BTreeSet<String>, (u64, String)> {
    let given = options.base_path.as_deref().map(|path| (0, path));
    let said = document.base_path.as_ref().map(|path| (path.referenced.line(), path.value.as_str()));
    if let Some((line, path)) = given.or(said) {
        let path = servers::path(path).map_err(|words| (line, words))?;
        return Ok(BTreeSet::from([path.to_owned()]));
    }
    let servers = operation.servers.as_ref().or(item.servers.as_ref()).or(document.servers.as_ref());
    servers::base_paths(servers.map_or(&[], Vec::as_slice))
}

/// What the document says that a scope permits, as far as it is fit for the consent page.
fn describe(document: &Document, scope: &str) -> Option<String> {
    let words = document.schemes().iter().find_map(|(name, _)| {
        let scheme = scheme(document, &name.value).ok()?;
        scheme.description(scope)
    })?;
    let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(NAME_MAX).collect();
    text::name("the description", words.trim()).ok()
}

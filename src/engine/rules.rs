//! Owns changing the rules of an API, and saying which of them decides a request. Does not match; see `model::rules`.

use std::collections::{BTreeSet, HashMap};

use super::{Along, Engine};
use crate::{
    model::{
        api::Api,
        audit::Act,
        error::Error,
        path::normal_path,
        policy::RULES_MAX,
        rule::{Rule, is_pattern},
        rule_diff::RuleDiff,
        scope::Scopes,
        secret::new_id,
    },
    store::{NewRules, RulePlace},
};

/// Longest method of a rule, in characters.
const METHOD_MAX: usize = 20;
/// Most scopes created with rules.
const SCOPES_MAX: usize = 1000;
/// Unknown scopes that a refusal names.
const NAMED_MAX: usize = 20;

/// A rule from what a person wrote. Does not check whether the API has the scopes.
///
/// # Errors
/// `invalid_request`, saying what would be valid.
pub fn rule(method: Option<&str>, path: String, scopes: Scopes, public: bool) -> Result<Rule, Error> {
    let method = method.unwrap_or("*").to_ascii_uppercase();
    if method != "*" && !is_method(&method) {
        return Err(Error::invalid_request("method must be an HTTP method, such as GET, or *"));
    }
    if !is_pattern(&path) {
        return Err(Error::invalid_request(
            "path must be like /v1/users/{id} or /v1/files/*, without dot segments or escapes",
        ));
    }
    if public && !scopes.is_empty() {
        return Err(Error::invalid_request("a public rule cannot require scopes"));
    }
    Ok(Rule { id: new_id("route"), method, pattern: path, scopes, public })
}

/// Whether this is a method, in letters alone.
pub fn is_method(text: &str) -> bool {
    (1..=METHOD_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Adds a rule to an API.
///
/// # Errors
/// `invalid_scope` for a scope of another API; `invalid_request` if there is no such place for it.
pub async fn add(
    engine: Engine<'_>,
    act: Act,
    api: &Api,
    (rule, place): (Rule, RulePlace),
    along: impl FnOnce(&Rule) -> Along,
) -> Result<Rule, Error> {
    if !rule.scopes.iter().all(|name| api.has_scope(name)) {
        return Err(Error::invalid_scope("a rule can only require scopes of its own API"));
    }
    let store = engine.store.storing(along(&rule)?);
    store.insert_rule(act.now, act.origin, api.id.clone(), rule.clone(), place).await?;
    engine.catalog.reload().await?;
    Ok(rule)
}

/// Replaces all rules of an API in one transaction, or only says what that would change.
///
/// # Errors
/// `invalid_request` for a rule that is there twice or for too many; `invalid_scope` with the scopes that the API does
/// not have; `conflict` if no rule is left and `to.open` does not confirm it.
pub async fn replace(
    engine: Engine<'_>,
    act: Act,
    api: &Api,
    to: NewRules,
    is_dry_run: bool,
) -> Result<RuleDiff, Error> {
    if to.rules.len() > RULES_MAX {
        return Err(Error::invalid_request(format!("an API can have at most {RULES_MAX} rules")));
    }
    if to.scopes.len() > SCOPES_MAX {
        return Err(Error::invalid_request(format!("at most {SCOPES_MAX} scopes are created at once")));
    }
    let mut seen = HashMap::new();
    for (rule, number) in to.rules.iter().zip(1..) {
        if let Some(first) = seen.insert((&rule.method, &rule.pattern), number) {
            let Rule { method, pattern, .. } = rule;
            return Err(Error::invalid_request(format!("rules {first} and {number} are both for {method} {pattern}")));
        }
    }
    let catalog = engine.catalog.current();
    let elsewhere = |name: &str| catalog.scope(name).is_some_and(|(owner, _)| owner.id != api.id);
    if let Some(scope) = to.scopes.iter().find(|scope| elsewhere(&scope.name)) {
        return Err(Error::invalid_scope(format!("scope {} already belongs to another API", scope.name)));
    }
    let created: BTreeSet<&str> = to.scopes.iter().map(|scope| scope.name.as_str()).collect();
    if created.len() < to.scopes.len() {
        return Err(Error::invalid_request("a scope is to be created twice"));
    }
    let known: BTreeSet<&str> = api.scopes.iter().map(|scope| scope.name.as_str()).chain(created).collect();
    let needed = to.rules.iter().flat_map(|rule| rule.scopes.iter());
    let unknown: BTreeSet<&str> = needed.filter(|name| !known.contains(name)).collect();
    if !unknown.is_empty() {
        return Err(Error::invalid_scope(format!("the API has no such scopes: {}", list(&unknown))));
    }
    if is_dry_run {
        return Ok(engine.store.preview_rules(&api.id, to).await?);
    }
    let diff = engine.store.replace_rules(act.now, act.origin, api.id.clone(), to).await?;
    engine.catalog.reload().await?;
    Ok(diff)
}

/// Some of these names, and how many more there are.
fn list(names: &BTreeSet<&str>) -> String {
    let mut shown = names.iter().copied().take(NAMED_MAX).collect::<Vec<_>>().join(" ");
    if names.len() > NAMED_MAX {
        shown.push_str(&format!(" and {} more", names.len() - NAMED_MAX));
    }
    shown
}

/// What the rules of an API say about a request.
#[derive(Debug)]
pub struct Explanation {
    /// The number and the rule that decides, from 1 in the order of evaluation; none if no rule matches.
    pub rule: Option<(usize, Rule)>,
    /// The earlier rules that apply too, with their numbers.
    pub alike: Vec<(usize, Rule)>,
    /// What the request needs.
    pub needs: Needs,
}

/// What a request needs to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: anybody may.
    Nothing,
    /// A valid credential for the API with these scopes, which may be none.
    Credential(Scopes),
    /// It is refused whatever it carries: no rule matches.
    Match,
    /// It is refused whatever it carries: the path has more than one reading.
    OneReading,
}

/// Which rule decides a request, as the gateway decides it.
pub fn explain(api: &Api, method: &str, target: &str) -> Explanation {
    let refused = |needs| Explanation { rule: None, alike: Vec::new(), needs };
    let Some(path) = normal_path(target) else { return refused(Needs::OneReading) };
    if api.rules.is_empty() {
        return refused(Needs::Credential(Scopes::default()));
    }
    let Some(found) = api.rules.decide(method, path) else { return refused(Needs::Match) };
    let needs = if found.is_public() { Needs::Nothing } else { Needs::Credential(found.scopes()) };
    let numbered = |rule: &Rule| {
        let place = api.rules.iter().position(|other| other.id == rule.id).unwrap_or_default();
        (place + 1, rule.clone())
    };
    Explanation {
        rule: Some(numbered(found.rule())),
        alike: found.alike().iter().map(|rule| numbered(rule)).collect(),
        needs,
    }
}

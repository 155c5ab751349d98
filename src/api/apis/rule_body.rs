//! Owns what is sent to and answered by `/api/v1/apis/{id}/routes`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::CreateScope;
use crate::{
    engine::rules::{Explanation, Needs},
    model::{
        rule,
        rule_diff::{self, RuleDiff, RuleFate},
    },
};

/// A gateway rule: which scopes a request needs. The first matching rule applies.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rule {
    /// `route_…`
    #[schema(format = "route-id")]
    id: String,
    /// HTTP method, such as `GET`, or `*` for any
    #[schema(format = "stored-method")]
    method: String,
    /// Path pattern, such as `/v1/users/{id}` or `/v1/files/*`
    #[schema(format = "route")]
    path: String,
    /// Required scopes, all of them
    #[schema(format = "scope")]
    scopes: Vec<String>,
    /// Whether requests need no credential
    public: bool,
}

/// A rule to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRule {
    /// HTTP method, such as `GET`; any by default
    #[schema(format = "method")]
    pub(super) method: Option<String>,
    /// Path pattern, such as `/v1/users/{id}`, or `/v1/files/*` for everything below it
    #[schema(format = "route")]
    pub(super) path: String,
    /// Required scopes, all of them
    #[serde(default)]
    #[schema(format = "scope")]
    pub(super) scopes: Vec<String>,
    /// Whether requests need no credential. A public rule has no scopes
    #[serde(default)]
    pub(super) public: bool,
    /// Whether to insert it before all other rules
    #[serde(default)]
    pub(super) first: bool,
    /// Id of the rule to insert it before. By default it is inserted after all others. Not with `first`
    #[schema(format = "id")]
    pub(super) before: Option<String>,
}

/// One of the rules that an API is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// HTTP method, such as `GET`; any by default
    #[schema(format = "method")]
    pub(super) method: Option<String>,
    /// Path pattern, such as `/v1/users/{id}`, or `/v1/files/*` for everything below it
    #[schema(format = "route")]
    pub(super) path: String,
    /// Required scopes, all of them: of this API, or among `create_scopes`
    #[serde(default)]
    #[schema(format = "scope")]
    pub(super) scopes: Vec<String>,
    /// Whether requests need no credential. A public rule has no scopes
    #[serde(default)]
    pub(super) public: bool,
}

/// The rules that an API is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceRules {
    /// At most 10000, in the order of evaluation, each with a method and path of its own
    pub(super) rules: Vec<NewRule>,
    /// Scopes to create with them, unless the API has them already
    #[serde(default)]
    pub(super) create_scopes: Vec<CreateScope>,
    /// Only say what would change
    #[serde(default)]
    pub(super) dry_run: bool,
    /// Also if there are no rules: then every credential for the API passes everywhere
    #[serde(default)]
    pub(super) open: bool,
}

/// What replacing the rules of an API changed, or would change.
#[derive(Debug, Serialize, ToSchema)]
pub struct RulesReplaced {
    /// Nothing was changed
    dry_run: bool,
    /// Number of rules that are new
    added: usize,
    /// Number of rules that are gone
    removed: usize,
    /// Number of rules that need something else
    changed: usize,
    /// Number of rules that need the same at another place in the order
    moved: usize,
    /// Number of rules that stay as they are
    unchanged: usize,
    /// Each rule that does not stay as it is, in the order of the new rules
    changes: Vec<RuleChange>,
}

/// What happens to one rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleChange {
    /// `added`, `removed`, `changed` or `moved`
    #[schema(format = "rule-fate")]
    change: &'static str,
    /// HTTP method, such as `GET`, or `*` for any
    #[schema(format = "stored-method")]
    method: String,
    /// Path pattern, such as `/v1/users/{id}` or `/v1/files/*`
    #[schema(format = "route")]
    path: String,
    /// Required scopes, all of them
    #[schema(format = "scope")]
    scopes: Vec<String>,
    /// Whether requests need no credential
    public: bool,
    /// What it needed, if that changes
    before: Option<RuleBefore>,
}

/// What a rule needed before.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleBefore {
    /// Scopes it needed, all of them
    #[schema(format = "scope")]
    scopes: Vec<String>,
    /// Anybody might, without a credential
    public: bool,
}

/// Which rule decides a request, and what the request needs.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestedRequest {
    /// The method
    method: String,
    /// The path, without what is no part of it
    path: String,
    /// `public`: anybody may. `credential`: any valid credential for the API may. `scopes`: one with all of `scopes` may.
    /// `refused`: nobody may
    #[schema(format = "decision")]
    decision: &'static str,
    /// Why, in words
    reason: &'static str,
    /// The scopes that are needed
    #[schema(format = "scope")]
    scopes: Vec<String>,
    /// The rule that decides
    rule: Option<NumberedRule>,
    /// Earlier rules that apply too, because many servers treat the request as one that they match
    alike: Vec<NumberedRule>,
}

/// A rule with its place in the order.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberedRule {
    /// From 1, in the order of evaluation
    number: usize,
    #[serde(flatten)]
    rule: Rule,
}

impl From<&rule::Rule> for Rule {
    fn from(rule: &rule::Rule) -> Self {
        Self {
            id: rule.id.clone(),
            method: rule.method.clone(),
            path: rule.pattern.clone(),
            scopes: names(rule),
            public: rule.public,
        }
    }
}

impl From<rule_diff::RuleChange> for RuleChange {
    fn from(rule_diff::RuleChange { fate, rule, before }: rule_diff::RuleChange) -> Self {
        Self {
            change: fate.as_str(),
            scopes: names(&rule),
            method: rule.method,
            path: rule.pattern,
            public: rule.public,
            before: before.map(|before| RuleBefore { scopes: names(&before), public: before.public }),
        }
    }
}

impl RulesReplaced {
    pub(super) fn of(diff: RuleDiff, dry_run: bool) -> Self {
        let [added, removed, changed, moved] = RuleFate::ALL.map(|fate| diff.count(fate));
        let changes = diff.changes.into_iter().map(Into::into).collect();
        Self { dry_run, added, removed, changed, moved, unchanged: diff.unchanged, changes }
    }
}

impl TestedRequest {
    pub(super) fn of(explanation: &Explanation, method: &str, target: &str) -> Self {
        let numbered = |(number, rule): &(usize, rule::Rule)| NumberedRule { number: *number, rule: rule.into() };
        let (decision, reason) = match (&explanation.needs, &explanation.rule) {
            (Needs::Nothing, _) => ("public", "the rule is public, and so is every earlier one that applies too"),
            (Needs::Credential(_), None) => ("credential", "the API has no rules"),
            (Needs::Credential(scopes), Some(_)) if scopes.is_empty() => ("credential", "the rule needs no scope"),
            (Needs::Credential(_), Some(_)) => {
                ("scopes", "the first rule that matches needs them, or one that applies too")
            }
            (Needs::Match, _) => ("refused", "no rule matches"),
            (Needs::OneReading, _) => ("refused", "the path has more than one reading"),
        };
        let scopes = match &explanation.needs {
            Needs::Credential(scopes) => scopes.iter().map(ToOwned::to_owned).collect(),
            _ => Vec::new(),
        };
        Self {
            method: method.to_owned(),
            path: target.split('?').next().unwrap_or_default().to_owned(),
            decision,
            reason,
            scopes,
            rule: explanation.rule.as_ref().map(numbered),
            alike: explanation.alike.iter().map(numbered).collect(),
        }
    }
}

fn names(rule: &rule::Rule) -> Vec<String> {
    rule.scopes.iter().map(ToOwned::to_owned).collect()
}

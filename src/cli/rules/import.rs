//! Owns `grantd api routes import`: the file, what it would change, and what is said about that. Does not read documents; see
//! `engine::rule_import`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Write, stderr},
    path::{Path, PathBuf},
};

use axum::http::Method;
use clap::Args;
use serde_json::{Value, json};

use super::{
    super::{
        Global,
        admin::{Admin, Listed},
        output,
    },
    OfApi, entry, needs, path_segment,
};
use crate::{
    engine::rule_import::{self, FILE_MAX, Imported, ImportedRule, Options},
    model::{error::Error, rule::Rule},
};

/// Lines about single rules, and names of scopes, that are shown.
const SHOWN_MAX: usize = 20;

/// Replace an API's rules by those of a file, or show what that would change
///
/// The file is an OpenAPI document (3.0 or 3.1, or Swagger 2.0) in YAML or JSON, or what `export` wrote. Each operation
/// becomes a rule for its method and path, below the base path of the document's servers. The scopes of its `security`
/// become the rule's; plain paths come before those with placeholders.
///
/// An operation is public if its `security` is an empty list or has an empty alternative. If neither the operation nor the
/// document declares any security, every credential of the API passes. A rule needs all of its scopes: of several
/// alternatives the one that needs least counts, and they are refused if there is none. An API key or password, which
/// cannot name scopes in OpenAPI, needs those that the other alternatives name.
///
/// All rules are replaced in one transaction, with `--apply`. A file with a mistake is refused whole, with the lines.
#[derive(Debug, Args)]
pub struct Import {
    /// The file, at most 8 MiB
    file: PathBuf,
    #[command(flatten)]
    of: OfApi,
    /// Do it; without this, only show what would change
    #[arg(long)]
    apply: bool,
    /// Create the scopes that the API does not have, with the document's descriptions
    #[arg(long)]
    create_scopes: bool,
    /// What stands before each path, such as /v1 [default: the paths of the document's servers]
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    /// Operations for which no security is declared are public
    #[arg(long)]
    undeclared_public: bool,
    /// Where one rule cannot express alternatives, need the scopes of all of them
    #[arg(long)]
    all_alternatives: bool,
}

impl Import {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let name = self.file.display().to_string();
        let in_file = |error: Error| Error::invalid_request(format!("{name}: {}", error.description));
        let options = Options {
            base_path: self.base_path,
            undeclared_public: self.undeclared_public,
            all_alternatives: self.all_alternatives,
        };
        let imported = text(&self.file).and_then(|text| rule_import::read(&text, &options)).map_err(in_file)?;
        let admin = Admin::open(global).await?;
        let api = self.of.find(&admin).await?;
        let missing = missing_scopes(&imported, &api);
        if !missing.is_empty() && !self.create_scopes {
            return Err(in_file(no_such_scopes(&imported, &missing)));
        }
        let rules: Vec<Value> = imported.rules.iter().map(|made| entry(&rule_json(&made.rule))).collect();
        let created = missing.iter().map(|(name, description)| json!({ "name": name, "description": description }));
        let body = json!({
            "rules": rules,
            "create_scopes": created.collect::<Vec<_>>(),
            "dry_run": !self.apply,
        });
        let answer = admin.send(Method::PUT, &format!("/apis/{}/routes", path_segment(&api["slug"])), &body).await?;
        if global.json {
            return output::line(&answer.to_string());
        }
        show(global, &imported, &missing, &answer)
    }
}

/// The text of a file that is not too large.
fn text(file: &Path) -> Result<String, Error> {
    let cannot = |error: std::io::Error| Error::invalid_request(format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    File::open(file).map_err(cannot)?.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > FILE_MAX {
        return Err(Error::invalid_request(format!("the file is larger than {} MiB", FILE_MAX >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid_request("the file is not UTF-8"))
}

/// The scopes that the API does not have, with what they permit.
fn missing_scopes<'i>(imported: &'i Imported, api: &Value) -> BTreeMap<&'i str, &'i str> {
    let known: Vec<&str> =
        api["scopes"].as_array().into_iter().flatten().filter_map(|scope| scope["name"].as_str()).collect();
    let missing = imported.scopes.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    missing.map(|(name, scope)| (name.as_str(), scope.description.as_str())).collect()
}

fn no_such_scopes(imported: &Imported, missing: &BTreeMap<&str, &str>) -> Error {
    let line = |name: &str| imported.scopes.get(name).map_or(0, |scope| scope.line);
    let mut shown: Vec<String> =
        missing.keys().take(SHOWN_MAX).map(|name| format!("{name} (line {})", line(name))).collect();
    if missing.len() > SHOWN_MAX {
        shown.push(format!("and {} more", missing.len() - SHOWN_MAX));
    }
    Error::invalid_request(format!("the API has no such scopes: {}; --create-scopes creates them", shown.join(", ")))
}

/// What would change, or has changed: rules on standard output, the rest on standard error.
fn show(global: &Global, imported: &Imported, created: &BTreeMap<&str, &str>, answer: &Value) -> Result<(), Error> {
    let item = |change: &Value| {
        let mut item = change.clone();
        item["needs"] = match &change["before"] {
            Value::Null => needs(change),
            before => format!("{} instead of {}", needs(change), needs(before)),
        }
        .into();
        item
    };
    let items = answer["changes"].as_array().into_iter().flatten().map(item).collect();
    output::list(global, "changes", &Listed { items, next: None }, &["change", "method", "path", "needs"])?;
    let mut out = stderr();
    let mut say = |words: String| writeln!(out, "{words}").map_err(Error::server);
    let of_kind = |is: fn(&ImportedRule) -> bool| imported.rules.iter().filter(move |made| is(made));
    let public = of_kind(|made| made.rule.public && !made.is_undeclared).map(|made| (made, "public"));
    let undeclared = of_kind(|made| made.is_undeclared).map(|made| match made.rule.public {
        true => (made, "public, as no security is declared"),
        false => (made, "any credential, as no security is declared"),
    });
    let notes: Vec<_> = public.chain(undeclared).collect();
    for (made, words) in notes.iter().take(SHOWN_MAX) {
        say(format!("line {}: {} {}: {words}", made.line, made.rule.method, made.rule.pattern))?;
    }
    if notes.len() > SHOWN_MAX {
        say(format!("and {} more of these", notes.len() - SHOWN_MAX))?;
    }
    let is_dry_run = answer["dry_run"] == true;
    if !created.is_empty() {
        let names = created.keys().take(SHOWN_MAX).copied().collect::<Vec<_>>().join(" ");
        let more = created.len().saturating_sub(SHOWN_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        say(format!("scopes {}: {names}{more}", if is_dry_run { "to create" } else { "created" }))?;
    }
    let counts = ["added", "removed", "changed", "moved", "unchanged"].map(|name| format!("{} {name}", answer[name]));
    say(counts.join(", "))?;
    if is_dry_run { say("nothing is changed yet: --apply does it".to_owned()) } else { Ok(()) }
}

fn rule_json(rule: &Rule) -> Value {
    json!({
        "method": rule.method,
        "path": rule.pattern,
        "scopes": rule.scopes.iter().collect::<Vec<_>>(),
        "public": rule.public,
    })
}

//! Owns `grantd profile`. Does not validate profiles; see `model::profile`.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use axum::http::Method;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use toml::Table;

use super::{Global, admin::Admin, output};
use crate::model::{error::Error, profile::PROFILE_MAX};

/// Members of a profile in tables.
const MEMBERS: [&str; 5] = ["name", "shipped", "revision", "apis", "warnings"];

#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List profiles: those shipped with grantd, and your own
    List,
    /// Show a profile and the APIs that use it
    Show(Named),
    /// Copy a profile; shipped ones cannot be changed, copies can
    Copy(Copy),
    /// Change settings of a profile, for every API that uses it, within a second. Comments in it are lost; to keep them,
    /// export the profile, edit the file and import it
    Set(Set),
    /// Assign a profile to an API; takes effect within a second
    Use(Use),
    /// Test a request: show what the caller and the API would get. It is not counted
    Test(Test),
    /// Print a profile as TOML
    Export(Named),
    /// Create or replace a profile from a TOML file; an invalid file is refused with the line and the reason
    Import(Import),
    /// Delete a profile that no API uses
    Remove(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The profile's name
    name: String,
}

#[derive(Debug, Args)]
pub struct Copy {
    /// The profile to copy
    from: String,
    /// The name of the copy
    to: String,
}

#[derive(Debug, Args)]
pub struct Use {
    /// The profile's name
    name: String,
    /// The API's slug
    #[arg(long, value_name = "SLUG")]
    api: String,
}

#[derive(Debug, Args)]
pub struct Set {
    /// The profile's name
    name: String,
    /// Such as refusals.invalid.status=403 or rate_limits.limit=X-Quota-Limit; an empty value removes the setting
    #[arg(required = true, value_name = "SETTING=VALUE")]
    settings: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Import {
    /// The file
    file: PathBuf,
    /// The profile's name [default: from the file's name]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Test {
    /// The API's slug
    #[arg(long, value_name = "SLUG")]
    api: String,
    /// The request, such as 'GET /v1/users'
    #[arg(long, value_name = "METHOD PATH")]
    request: String,
    /// A header of the request; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Use this profile instead of the API's
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    profile: Option<String>,
    /// Use the profile in this file instead of the API's
    #[arg(long)]
    file: Option<PathBuf>,
}

impl ProfileCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::List => list(global).await,
            Self::Show(named) => show(global, &named.name).await,
            Self::Export(named) => {
                let profile = Admin::open(global).await?.get(&path(&named.name)).await?;
                if global.json { output::answer(global, &profile, &[]) } else { output::text(definition(&profile)) }
            }
            Self::Copy(Copy { from, to }) => {
                let body = json!({ "name": to, "copy_of": from });
                saved(global, &Admin::open(global).await?.post("/profiles", body).await?)
            }
            Self::Set(set) => set.run(global).await,
            Self::Use(Use { name, api }) => {
                let path = format!("/apis/{}/profile", escaped(&api));
                let changed = Admin::open(global).await?.send(Method::PUT, &path, &json!({ "profile": name })).await?;
                output::answer(global, &changed, &["id", "slug", "profile"])
            }
            Self::Test(test) => test.run(global).await,
            Self::Import(import) => import.run(global).await,
            Self::Remove(Named { name }) => {
                Admin::open(global).await?.send(Method::DELETE, &path(&name), &Value::Null).await?;
                output::one(global, &[("name", json!(name)), ("removed", json!(true))])
            }
        }
    }
}

impl Set {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let profile = admin.get(&path(&self.name)).await?;
        let mut table: Table = definition(&profile).parse().map_err(Error::server)?;
        for setting in &self.settings {
            let (name, value) = setting.split_once('=').ok_or_else(|| wrong("a setting is given as NAME=VALUE"))?;
            let names: Vec<&str> = name.split('.').collect();
            change(&mut table, &names, value.trim())?;
        }
        let text = toml::to_string(&table).map_err(Error::server)?;
        let body = json!({ "definition": text, "revision": profile["revision"] });
        saved(global, &admin.send(Method::PUT, &path(&self.name), &body).await?)
    }
}

/// Changes one setting, or removes it.
fn change(table: &mut Table, names: &[&str], value: &str) -> Result<(), Error> {
    match names {
        [] | [""] => Err(wrong("a setting has a name, such as refusals.invalid.status")),
        [last] if value.is_empty() => {
            table.remove(*last).map(drop).ok_or_else(|| wrong("there is no such setting to remove"))
        }
        [last] => {
            // Anything that is not a TOML value is a text.
            let read = format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
            table.insert((*last).to_owned(), read.unwrap_or_else(|| value.into()));
            Ok(())
        }
        [first, rest @ ..] => {
            let inner = table.entry(*first).or_insert_with(|| Table::new().into());
            let inner = inner.as_table_mut().ok_or_else(|| wrong("the part before the last dot is not a table"))?;
            change(inner, rest, value)
        }
    }
}

impl Import {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let stem = self.file.file_stem().and_then(|stem| stem.to_str()).map(ToOwned::to_owned);
        let name = self.name.or(stem).ok_or_else(|| wrong("name the profile with --name"))?;
        let definition = read(&self.file)?;
        let admin = Admin::open(global).await?;
        let known = admin.list("/profiles", &[]).await?;
        let is_known = known.items.iter().any(|profile| profile["name"] == name.as_str());
        let profile = match is_known {
            true => admin.send(Method::PUT, &path(&name), &json!({ "definition": definition })).await?,
            false => admin.post("/profiles", json!({ "name": name, "definition": definition })).await?,
        };
        saved(global, &profile)
    }
}

impl Test {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let (method, target) = self.request.split_once(' ').unwrap_or(("GET", &self.request));
        let header = |text: &String| {
            let (name, value) = text.split_once(':').ok_or_else(|| wrong("a header is given as NAME: VALUE"))?;
            Ok(json!({ "name": name.trim(), "value": value.trim() }))
        };
        let body = json!({
            "method": method,
            "target": target.trim(),
            "headers": self.headers.iter().map(header).collect::<Result<Vec<_>, Error>>()?,
            "profile": self.profile,
            "definition": self.file.as_deref().map(read).transpose()?,
        });
        let answer = Admin::open(global).await?.post(&format!("/apis/{}/test", escaped(&self.api)), body).await?;
        if global.json {
            return output::answer(global, &answer, &[]);
        }
        let lines = |headers: &Value| -> String {
            let one = |header: &Value| format!("{}: {}\n", text(&header["name"]), text(&header["value"]));
            headers.as_array().into_iter().flatten().map(one).collect()
        };
        let caller = lines(&answer["headers"]);
        if answer["passes"] == true {
            let upstream = lines(&answer["upstream"]);
            return output::text(&format!(
                "The request is allowed. Headers for the API:\n{upstream}\nHeaders for the caller, beside those of the API:\n{caller}"
            ));
        }
        let (why, status, body) = (text(&answer["reason"]), &answer["status"], text(&answer["body"]));
        output::text(&format!("The request is refused: {why}. The caller gets:\n{status}\n{caller}\n{body}\n"))
    }
}

async fn list(global: &Global) -> Result<(), Error> {
    let profiles = Admin::open(global).await?.list("/profiles", &[]).await?;
    output::list(global, "profiles", &profiles, &MEMBERS)
}

async fn show(global: &Global, name: &str) -> Result<(), Error> {
    let profile = Admin::open(global).await?.get(&path(name)).await?;
    output::answer(global, &profile, &MEMBERS)?;
    if global.json { Ok(()) } else { output::text(&format!("\n{}", definition(&profile))) }
}

fn saved(global: &Global, profile: &Value) -> Result<(), Error> {
    output::answer(global, profile, &MEMBERS)
}

fn definition(profile: &Value) -> &str {
    text(&profile["definition"])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn path(name: &str) -> String {
    format!("/profiles/{}", escaped(name))
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The text of a file, up to a byte more than a profile can have.
fn read(file: &Path) -> Result<String, Error> {
    let wrong = |error: std::io::Error| Error::invalid_request(format!("{}: {error}", file.display()));
    let mut text = String::new();
    let most = u64::try_from(PROFILE_MAX).unwrap_or(u64::MAX) + 1;
    File::open(file).and_then(|file| file.take(most).read_to_string(&mut text)).map_err(wrong)?;
    Ok(text)
}

fn wrong(words: &'static str) -> Error {
    Error::invalid_request(words)
}

//! Owns `grantd project`.

use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    Global,
    admin::{Admin, sort_by},
    output,
};
use crate::model::{error::Error, span};

/// The members shown to people.
const MEMBERS: [&str; 7] = ["id", "name", "user", "key_form", "one_live_key", "plan", "disabled"];

#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Create a project, which groups keys of one user
    Create(Create),
    /// List projects of all users or of one user
    List(Of),
    /// Change a project; settings left out stay as they are
    Set(Set),
    /// Disable a project; its keys stop working
    Disable(Named),
    /// Re-enable a project; its active keys work again
    Enable(Named),
}

/// The form of a project's keys.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Form {
    /// gd_live_… with a checksum
    Prefixed,
    /// A random UUID
    Uuid,
}

#[derive(Debug, Args)]
pub struct Create {
    /// Email address of the owner [default with --server: yours]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Name, unique for the owner
    #[arg(long)]
    name: String,
    /// Form of its keys [default: as the profiles of the APIs suggest, else prefixed]
    #[arg(long, value_enum)]
    key_form: Option<Form>,
    /// Allow one active key at a time; regenerate it to get a new one [default: as the profiles of the APIs suggest]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    one_live_key: Option<bool>,
    #[command(flatten)]
    terms: Terms,
    /// Plan whose limits its keys share [default: the owner's]
    #[arg(long)]
    plan: Option<String>,
}

#[derive(Debug, Args)]
pub struct Of {
    /// Email address of the owner [default: all users, or with --server all you may see]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The project's id, as `project list` shows it
    id: String,
}

#[derive(Debug, Args)]
pub struct Set {
    /// The project's id, as `project list` shows it
    id: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// Form of new keys
    #[arg(long, value_enum)]
    key_form: Option<Form>,
    /// Allow one active key at a time, from now on
    #[arg(long)]
    one_live_key: Option<bool>,
    #[command(flatten)]
    terms: Terms,
    /// Plan whose limits its keys share; empty for the owner's
    #[arg(long)]
    plan: Option<String>,
}

/// Properties of new keys, beside their form.
#[derive(Debug, Args)]
struct Terms {
    /// How new keys start, before their environment; empty for the configured prefix
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<String>,
    /// Environment that new keys can be for, the default first; may be repeated; empty for all
    #[arg(long = "environment", value_name = "NAME")]
    environments: Option<Vec<String>>,
    /// When new keys expire if their creator does not say, such as 90d; 0s for never
    #[arg(long, value_name = "SPAN")]
    key_expires_in: Option<String>,
}

impl Terms {
    /// Adds them to the body of a request.
    fn add(self, body: &mut Value) -> Result<(), Error> {
        let named = |name: &String| !name.is_empty();
        body["key_prefix"] = json!(self.key_prefix);
        body["environments"] =
            json!(self.environments.map(|names| names.into_iter().filter(named).collect::<Vec<_>>()));
        body["key_expires_in"] = json!(self.key_expires_in.as_deref().map(span::seconds).transpose()?);
        Ok(())
    }
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Self::Prefixed => "prefixed",
            Self::Uuid => "uuid",
        }
    }
}

impl ProjectCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List(of) => of.run(global).await,
            Self::Set(set) => set.run(global).await,
            Self::Disable(named) => change(global, named.id, json!({ "disabled": true })).await,
            Self::Enable(named) => change(global, named.id, json!({ "disabled": false })).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let mut body = json!({
            "user": self.user,
            "name": self.name,
            "key_form": self.key_form.map(Form::word),
            "one_live_key": self.one_live_key,
            "plan": self.plan,
        });
        self.terms.add(&mut body)?;
        let made = Admin::open(global).await?.post("/projects", body).await?;
        output::answer(global, &made, &["id", "name"])
    }
}

impl Of {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let admin = Admin::open(global).await?;
        let mut projects = admin.list("/projects", &[("user", self.user.as_deref())]).await?;
        sort_by(&mut projects.items, "name");
        output::list(global, "projects", &projects, &MEMBERS)
    }
}

impl Set {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let mut changes = json!({
            "name": self.name,
            "key_form": self.key_form.map(Form::word),
            "one_live_key": self.one_live_key,
            "plan": self.plan,
        });
        self.terms.add(&mut changes)?;
        change(global, self.id, changes).await
    }
}

async fn change(global: &Global, id: String, changes: Value) -> Result<(), Error> {
    let changed = Admin::open(global).await?.send(Method::PATCH, &format!("/projects/{id}"), &changes).await?;
    output::answer(global, &changed, &MEMBERS)
}

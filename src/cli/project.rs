//! Owns `grantd project`. Does not make keys; see `key`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{
    Global, open, output,
    user::{no_user, taken},
};
use crate::{
    model::{email, error::Error, key::KeyForm, project::Project, secret::new_id, text},
    store::ProjectChanges,
};

#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Make a project: a named container of one user's keys
    Create(Create),
    /// List a user's projects
    List(Of),
    /// Change a project; what is left out stays
    Set(Set),
    /// None of its keys are accepted from now on
    Disable(Named),
    /// Its keys that still live are accepted again
    Enable(Named),
}

/// How a project's keys look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Form {
    /// gd_live_… with a checksum
    Prefixed,
    /// A random UUID
    Uuid,
}

#[derive(Debug, Args)]
pub struct Create {
    /// Address of the owner
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// Its name; one user has no two alike
    #[arg(long)]
    name: String,
    /// How its keys look
    #[arg(long, value_enum, default_value_t = Form::Prefixed)]
    key_form: Form,
    /// At most one key is live at a time: regenerating is the way to a new one
    #[arg(long)]
    one_live_key: bool,
    /// The plan its keys are measured by together [default: the user's own]
    #[arg(long)]
    plan: Option<String>,
}

#[derive(Debug, Args)]
pub struct Of {
    /// Address of the owner
    #[arg(long, value_name = "EMAIL")]
    user: String,
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
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// How keys made from now on look
    #[arg(long, value_enum)]
    key_form: Option<Form>,
    /// At most one key is live at a time, from now on
    #[arg(long)]
    one_live_key: Option<bool>,
    /// The plan its keys are measured by together; empty for the user's own
    #[arg(long)]
    plan: Option<String>,
}

impl From<Form> for KeyForm {
    fn from(form: Form) -> Self {
        match form {
            Form::Prefixed => Self::Prefixed,
            Form::Uuid => Self::Uuid,
        }
    }
}

impl ProjectCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.run(global).await,
            Self::List(of) => of.run(global).await,
            Self::Set(set) => set.run(global).await,
            Self::Disable(named) => change(global, named.id, disabled(true)).await,
            Self::Enable(named) => change(global, named.id, disabled(false)).await,
        }
    }
}

impl Create {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let (user, _) = opened.store.find_user(&email::normalize(&self.user)?).await?.ok_or_else(no_user)?;
        let project = Project {
            id: new_id("project"),
            user_id: user.id,
            name: text::name("the project's name", &self.name)?,
            key_form: self.key_form.into(),
            one_live_key: self.one_live_key,
            plan: self.plan,
            disabled: false,
            created_at: opened.now,
        };
        let made = [("id", json!(project.id)), ("name", json!(project.name))];
        opened
            .store
            .insert_project(opened.now, open::origin(), project)
            .await
            .map_err(|error| taken(error, "a project of this name"))?;
        output::one(global, &made)
    }
}

impl Of {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let opened = open::store(global).await?;
        let (user, _) = opened.store.find_user(&email::normalize(&self.user)?).await?.ok_or_else(no_user)?;
        let rows: Vec<_> = opened
            .store
            .list_projects(&user.id)
            .await?
            .into_iter()
            .map(|project| {
                vec![
                    json!(project.id),
                    json!(project.name),
                    json!(project.key_form.as_str()),
                    json!(project.one_live_key),
                    json!(project.plan),
                    json!(if project.disabled { "disabled" } else { "active" }),
                ]
            })
            .collect();
        output::many(global, "projects", &["id", "name", "key_form", "one_live_key", "plan", "status"], &rows)
    }
}

impl Set {
    async fn run(self, global: &Global) -> Result<(), Error> {
        let plan = self.plan.map(|plan| Some(plan).filter(|plan| !plan.is_empty()));
        let changes = ProjectChanges {
            name: self.name.map(|name| text::name("the project's name", &name)).transpose()?,
            key_form: self.key_form.map(Into::into),
            one_live_key: self.one_live_key,
            plan,
            disabled: None,
            by_operator: true,
        };
        change(global, self.id, changes).await
    }
}

fn disabled(disabled: bool) -> ProjectChanges {
    ProjectChanges { disabled: Some(disabled), by_operator: true, ..ProjectChanges::default() }
}

async fn change(global: &Global, id: String, changes: ProjectChanges) -> Result<(), Error> {
    let opened = open::store(global).await?;
    let changed = opened
        .store
        .update_project(opened.now, open::origin(), id.clone(), changes)
        .await
        .map_err(|error| taken(error, "a project of this name"))?;
    if !changed {
        return Err(no_project());
    }
    output::one(global, &[("id", json!(id)), ("changed", json!(true))])
}

pub(super) fn no_project() -> Error {
    Error::invalid_request("there is no such project; `grantd project list --user EMAIL` shows them")
}

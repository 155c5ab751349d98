//! Owns operations on projects, for any actor: create and change. Does not manage keys; see `keys`.

use super::{Along, Engine, attenuation::Attenuation};
use crate::{
    model::{audit::Act, key::KeyForm, project::Project, secret::new_id, text},
    store::{Error, ProjectChanges},
};

/// A project to create.
#[derive(Debug)]
pub struct NewProject {
    /// Its ID, for forms that must not create two.
    pub id: Option<String>,
    /// The owner.
    pub user_id: String,
    /// Its name, unique for the user.
    pub name: String,
    /// The form of its keys.
    pub key_form: KeyForm,
    /// Whether at most one of its keys is live at a time.
    pub one_live_key: bool,
    /// The plan that its keys share; owners cannot choose it.
    pub plan: Option<String>,
}

/// Creates a project. A name or ID that is taken is a conflict.
pub async fn create(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    new: NewProject,
    along: impl FnOnce(&Project) -> Along,
) -> Result<Project, Error> {
    by.reaches_project(None)?;
    let project = Project {
        id: new.id.unwrap_or_else(|| new_id("project")),
        user_id: new.user_id,
        name: text::name("the project's name", &new.name)?,
        key_form: new.key_form,
        one_live_key: new.one_live_key,
        plan: new.plan,
        disabled_by: None,
        created_at: act.now,
    };
    engine.store.storing(along(&project)?).insert_project(act.now, act.origin, project.clone()).await?;
    Ok(project)
}

/// Changes a project, disables it or enables it again. An administrator acts as one even on a project of their own.
/// `None` if there is no such project.
pub async fn update(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    id: &str,
    to: ProjectChanges,
) -> Result<Option<Project>, Error> {
    by.changes_project(engine.config, id)?;
    let name = to.name.map(|name| text::name("the project's name", &name)).transpose()?;
    let to = ProjectChanges { name, by_operator: by.is_admin(), ..to };
    match engine.store.update_project(act.now, act.origin, id.to_owned(), to).await? {
        true => engine.store.find_project(id).await,
        false => Ok(None),
    }
}

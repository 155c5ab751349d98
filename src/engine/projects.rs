//! Owns what is done with projects, whoever asks: create and change. Does not hold keys; see `keys`.

use super::{Along, Engine, attenuation::Attenuation};
use crate::{
    model::{audit::Act, key::KeyForm, project::Project, secret::new_id, text},
    store::{Error, ProjectChanges},
};

/// A project to create.
#[derive(Debug)]
pub struct NewProject {
    /// Its id, where a form must not create two.
    pub id: Option<String>,
    /// The owner.
    pub user_id: String,
    /// Its name; one user has no two alike.
    pub name: String,
    /// How its keys look.
    pub key_form: KeyForm,
    /// At most one of its keys is live at a time.
    pub one_live_key: bool,
    /// The plan its keys are measured by together; not for owners to choose.
    pub plan: Option<String>,
}

/// Creates a project.
///
/// # Errors
/// [`Error::Conflict`] where the user has one of this name, or the id was used before; [`Error::Refused`].
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

/// Changes a project, disables it or enables it again. An administrator's word is an administrator's also on a project of their
/// own. Nothing if there is none.
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

//! Owns operations on projects, for any actor: create and change. Does not manage keys; see `keys`.

use super::{Along, Engine, attenuation::Attenuation};
use crate::{
    model::{
        audit::Act,
        key::KeyForm,
        project::{KeyTerms, KeyTermsChange, Project},
        secret::new_id,
        text,
    },
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
    /// The form of its keys; by default as the APIs' profiles suggest.
    pub key_form: Option<KeyForm>,
    /// Whether at most one of its keys is live at a time; by default as the APIs' profiles suggest.
    pub one_live_key: Option<bool>,
    /// Changes to the other properties that the APIs' profiles suggest.
    pub key_terms: KeyTermsChange,
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
    let mut suggested = engine.catalog.current().suggested_keys();
    // The configuration may have changed since the profile was saved.
    suggested.terms.environments.retain(|name| engine.config.environments.contains(name));
    let key_terms = suggested.terms.with(new.key_terms);
    key_terms.check(&engine.config.environments)?;
    let project = Project {
        id: new.id.unwrap_or_else(|| new_id("project")),
        user_id: new.user_id,
        name: text::name("the project's name", &new.name)?,
        key_form: new.key_form.unwrap_or(suggested.form),
        one_live_key: new.one_live_key.unwrap_or(suggested.one_live_key),
        key_terms,
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
    KeyTerms::default().with(to.key_terms.clone()).check(&engine.config.environments)?;
    let to = ProjectChanges { name, by_operator: by.is_admin(), ..to };
    match engine.store.update_project(act.now, act.origin, id.to_owned(), to).await? {
        true => engine.store.find_project(id).await,
        false => Ok(None),
    }
}

//! Owns the form for a project and its input.

use crate::model::{error::Error, key::KeyForm, params::Params};

/// Shown if the name is in use.
pub(in crate::web) const NAME_TAKEN: &str = "You already have a project with this name.";

/// An owner's input about a project.
#[derive(Debug, Clone, Default)]
pub struct ProjectForm {
    pub form: String,
    pub name: String,
    pub name_error: Option<String>,
    pub is_uuid: bool,
    pub one_live_key: bool,
}

/// The form with the user's input. Settings that an owner may not change, such as the plan, are ignored.
pub(in crate::web) fn typed(params: &Params<'_>) -> ProjectForm {
    ProjectForm {
        form: params.get("form").unwrap_or_default().to_owned(),
        name: params.get("name").unwrap_or_default().to_owned(),
        is_uuid: params.get("key_form") == Some(KeyForm::Uuid.as_str()),
        one_live_key: params.get("one_live_key") == Some("yes"),
        ..ProjectForm::default()
    }
}

/// The chosen form of keys.
pub(in crate::web) fn key_form(params: &Params<'_>) -> Result<KeyForm, Error> {
    params.get("key_form").map_or(Ok(KeyForm::Prefixed), KeyForm::choose)
}

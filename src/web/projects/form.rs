//! Owns the form for a project: what was typed.

use crate::model::{error::Error, key::KeyForm, params::Params};

/// Shown where a name is in use.
pub(in crate::web) const NAME_TAKEN: &str = "You have another project of this name.";

/// What an owner says about a project.
#[derive(Debug, Clone, Default)]
pub struct ProjectForm {
    pub form: String,
    pub name: String,
    pub name_error: Option<String>,
    pub is_uuid: bool,
    pub one_live_key: bool,
}

/// The form with what was typed. What is not an owner's to say, such as the plan, is not read.
pub(in crate::web) fn typed(params: &Params<'_>) -> ProjectForm {
    ProjectForm {
        form: params.get("form").unwrap_or_default().to_owned(),
        name: params.get("name").unwrap_or_default().to_owned(),
        is_uuid: params.get("key_form") == Some(KeyForm::Uuid.as_str()),
        one_live_key: params.get("one_live_key") == Some("yes"),
        ..ProjectForm::default()
    }
}

/// The form of keys that was chosen.
pub(in crate::web) fn key_form(params: &Params<'_>) -> Result<KeyForm, Error> {
    params.get("key_form").map_or(Ok(KeyForm::Prefixed), KeyForm::choose)
}

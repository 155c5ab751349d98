//! Owns paths of an API that grantd answers itself, such as "who am I?": a template over the holder of a credential.

use http_types::HeaderValue;
use serde_json::json;

use super::template::{Placeholder, Template, Value};
use crate::model::principal::Principal;

/// A path that grantd answers itself.
#[derive(Clone, Debug)]
pub struct OwnAnswer {
    /// The path.
    pub path: String,
    /// Media type of the body.
    pub content_type: HeaderValue,
    pub(super) body: Template,
    pub(super) anonymous: Option<Template>,
}

/// The holder of a credential, as such an answer shows it: only what the holder already knows, no address, no other keys.
#[derive(Debug)]
pub struct Holder<'p> {
    principal: Option<&'p Principal>,
    request_id: &'p str,
    api: &'p str,
    scopes: String,
    expires_at: Option<String>,
    key: Option<String>,
}

impl<'p> Holder<'p> {
    /// The holder of a credential with these scopes; without a principal, an anonymous caller.
    pub fn of(principal: Option<&'p Principal>, scopes: String, request_id: &'p str, api: &'p str) -> Self {
        let expires_at = principal.and_then(|principal| principal.expires_at).map(|end| end.rfc3339());
        let key = principal.and_then(|principal| principal.key.as_ref());
        let key = key.map(|key| json!({ "id": key.id, "name": key.name, "environment": key.environment }).to_string());
        Self { principal, request_id, api, scopes, expires_at, key }
    }

    fn value(&self, placeholder: Placeholder) -> Value<'_> {
        match placeholder {
            Placeholder::RequestId => return Value::Text(self.request_id),
            Placeholder::Api => return Value::Text(self.api),
            _ => {}
        }
        let Some(principal) = self.principal else { return Value::Nothing };
        let key = principal.key.as_ref();
        match placeholder {
            Placeholder::Subject => Value::Text(&principal.subject),
            // A key's holder may know its owner's name; an app would need its user's consent.
            Placeholder::User => text(principal.user.as_ref().filter(|_| key.is_some()).map(|user| user.name.as_str())),
            Placeholder::Plan => text(principal.quota.as_ref().map(|quota| quota.plan.as_str())),
            Placeholder::Credential => Value::Text(principal.kind.as_str()),
            Placeholder::Scope => Value::Text(&self.scopes),
            Placeholder::ClientId => text(principal.client_id.as_deref()),
            Placeholder::Key => self.key.as_deref().map_or(Value::Nothing, Value::Json),
            Placeholder::KeyId => text(key.map(|key| key.id.as_str())),
            Placeholder::KeyName => text(key.map(|key| key.name.as_str())),
            Placeholder::Environment => text(key.map(|key| key.environment.as_str())),
            Placeholder::Project => text(key.and_then(|key| key.project.as_ref()).map(|(id, _)| id.as_str())),
            Placeholder::ExpiresAt => text(self.expires_at.as_deref()),
            _ => Value::Nothing,
        }
    }
}

impl OwnAnswer {
    /// The body for this holder; `None` if a credential is needed and there is none.
    pub fn body(&self, holder: &Holder<'_>) -> Option<String> {
        let template = if holder.principal.is_some() { Some(&self.body) } else { self.anonymous.as_ref() };
        template.map(|template| template.render(|placeholder| holder.value(placeholder)))
    }
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Nothing, Value::Text)
}

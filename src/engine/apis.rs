//! Owns registering an API with the client of its resource server. Does not define its HTTP format; see its profile.

use super::{Along, Engine, attenuation::Attenuation, clients::new_secret};
use crate::{
    model::{
        api::{Api, ApiScope},
        audit::Act,
        client::{Client, ClientType},
        error::{Error, ErrorCode},
        management_api,
        scope::is_scope_token,
        secret::Secret,
        text,
    },
    store,
};

/// Longest identifier, in bytes.
pub const IDENTIFIER_MAX: usize = 512;
/// Longest slug, in bytes.
pub const SLUG_MAX: usize = 60;

/// A registered API, with the client of its resource server.
#[derive(Debug)]
pub struct RegisteredApi {
    /// The API.
    pub api: Api,
    /// The client's secret, to be shown once.
    pub secret: Secret,
}

/// Registers an API with a client for its resource server, and creates a signing key if the API's algorithm is new. The
/// client's secret is unrestricted, so a restricted credential cannot create it.
pub async fn register(
    engine: Engine<'_>,
    act: Act,
    by: &Attenuation<'_>,
    mut api: Api,
    along: impl FnOnce(&RegisteredApi) -> Along,
) -> Result<RegisteredApi, Error> {
    by.unbounded(engine.config, "the secret of an API's resource server")?;
    let (secret, kept) = new_secret(act.now);
    let name = format!("{} (resource server)", api.name).chars().take(100).collect();
    let client = Client {
        grant_types: Vec::new(),
        api_id: Some(api.id.clone()),
        secrets: vec![kept],
        ..Client::new(act.now, name, ClientType::Confidential)
    };
    api.client_id.clone_from(&client.id);
    engine.signing.ensure(act.now, &[api.algorithm]).await?;
    let registered = RegisteredApi { api, secret };
    let store = engine.store.storing(along(&registered)?);
    store.insert_api(act.now, act.origin, registered.api.clone(), client).await.map_err(|error| match error {
        store::Error::Conflict => Error::new(ErrorCode::Conflict, "an API with this identifier or slug already exists"),
        error => error.into(),
    })?;
    engine.catalog.reload().await?;
    Ok(registered)
}

/// Checks that an audience URI can identify a new API.
pub fn identifier(issuer: &str, text: String) -> Result<String, Error> {
    let absolute = url::Url::parse(&text).is_ok()
        && !text.contains(['#', ' '])
        && text.bytes().all(|b| (0x21..=0x7E).contains(&b));
    if !absolute || text.len() > IDENTIFIER_MAX {
        return Err(Error::invalid_request(
            "identifier must be an absolute URI without fragment, such as https://api.example.com",
        ));
    }
    if text == management_api::api(issuer).identifier {
        return Err(Error::invalid_request("this identifier is reserved for grantd"));
    }
    Ok(text)
}

/// A short name for URLs, derived from any name.
pub fn slug(text: &str) -> Result<String, Error> {
    let mapped: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let slug = mapped.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    if slug.is_empty() || slug.len() > SLUG_MAX {
        return Err(Error::invalid_request("slug must have 1 to 60 lower-case letters, digits and dashes"));
    }
    if slug == management_api::SLUG {
        return Err(Error::invalid_request("this slug is reserved for grantd"));
    }
    Ok(slug)
}

/// A new scope of an API.
pub fn scope(name: &str, description: &str) -> Result<ApiScope, Error> {
    // "all" means every scope, so no scope can have that name.
    if !is_scope_token(name) || name == "all" {
        return Err(Error::invalid_scope(
            "a scope's name must not contain spaces, quotes or backslashes, and must not be \"all\"",
        ));
    }
    if name.starts_with(management_api::SCOPE_PREFIX) {
        return Err(Error::invalid_scope("scopes that begin with grantd: are reserved"));
    }
    Ok(ApiScope { name: name.to_owned(), description: text::name("the scope's description", description)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_cannot_be_registered() {
        assert!(identifier("https://a.example", "https://a.example/api/v1".to_owned()).is_err());
        assert!(identifier("https://a.example", "https://b.example/api/v1".to_owned()).is_ok());
        assert!(slug("Grantd").is_err());
        assert_eq!(slug("My API").expect("a slug"), "my-api");
        assert!(scope("grantd:keys:read", "x").is_err() && scope("all", "x").is_err());
        assert!(scope("read", "Read").is_ok());
    }
}

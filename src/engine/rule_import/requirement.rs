//! Owns what the security requirements of an operation mean for its rule: scopes, of which all are needed, or that the
//! operation is public. What a rule cannot say is refused, never opened.

use std::collections::BTreeSet;

use super::{
    Options,
    document::{Document, Requirements, Scheme},
    reference::follow,
};

/// What an operation needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) scopes: BTreeSet<String>,
    pub(super) public: bool,
    /// Whether neither the operation nor the document says anything.
    pub(super) is_undeclared: bool,
}

/// What these requirements mean: those of the operation, or if there are none of the document.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn access(document: &Document, own: Option<&Requirements>, options: &Options) -> Result<Access, String> {
    let Some(alternatives) = own.or(document.security.as_ref()) else {
        return Ok(Access { public: options.undeclared_public, is_undeclared: true, ..Access::default() });
    };
    // None is needed, or one of them needs nothing: then a credential is optional.
    if alternatives.is_empty() || alternatives.iter().any(|needed| needed.0.is_empty()) {
        return Ok(Access { public: true, ..Access::default() });
    }
    let mut named = Vec::new();
    for needed in alternatives {
        let (mut scopes, mut can_name) = (BTreeSet::new(), false);
        for (name, of) in &needed.0 {
            can_name |= scheme(document, &name.value)?.has_scopes();
            scopes.extend(of.iter().flatten().cloned());
        }
        named.push((scopes, can_name));
    }
    // An API key or a password names no scopes in OpenAPI. Here it has them, and needs what a token does.
    let names_scopes = named.iter().any(|(scopes, _)| !scopes.is_empty());
    named.retain(|(scopes, can_name)| !names_scopes || *can_name || !scopes.is_empty());
    let weakest = named.iter().find(|(scopes, _)| named.iter().all(|(others, _)| scopes.is_subset(others)));
    let scopes = match weakest {
        Some((scopes, _)) => scopes.clone(),
        None if options.all_alternatives => named.into_iter().flat_map(|(scopes, _)| scopes).collect(),
        None => {
            let shown: Vec<String> = named.iter().map(|(scopes, _)| words(scopes)).collect();
            return Err(format!(
                "it takes {}; a rule can only need all of its scopes: say --all-alternatives to need all of these",
                shown.join(" or ")
            ));
        }
    };
    Ok(Access { scopes, ..Access::default() })
}

fn words(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// The scheme with this name.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn scheme<'d>(document: &'d Document, name: &str) -> Result<&'d Scheme, String> {
    let find = |name: &str| document.schemes().iter().find(|(key, _)| key.value == name).map(|(_, scheme)| scheme);
    let first = find(name).ok_or_else(|| format!("the security scheme {name:.60} is not defined"))?;
    let places = ["#/components/securitySchemes/", "#/securityDefinitions/"];
    follow(first, |scheme| scheme.reference.as_ref(), &places, find).map_err(|(_, words)| words)
}

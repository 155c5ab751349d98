//! Owns the base paths of an API: what stands before each of a document's paths, by its servers.

use std::collections::BTreeSet;

use super::document::{Server, Variable};

/// Most URLs that the variables of one server make.
const URLS_MAX: usize = 64;

/// The base paths of these servers, without a slash at the end. Without servers, the API is at the root.
///
/// # Errors
/// The line, and what is wrong there.
pub(super) fn base_paths(servers: &[Server]) -> Result<BTreeSet<String>, (u64, String)> {
    if servers.is_empty() {
        return Ok(BTreeSet::from([String::new()]));
    }
    let mut found = BTreeSet::new();
    for server in servers {
        let line = server.url.referenced.line();
        for url in urls(server).map_err(|words| (line, words))? {
            found.insert(path(&url).map_err(|words| (line, words))?.to_owned());
        }
    }
    Ok(found)
}

/// The server's URL with every value of its variables.
fn urls(server: &Server) -> Result<Vec<String>, String> {
    let mut made = vec![server.url.value.clone()];
    let variables = server.variables.iter().flat_map(|variables| &variables.0);
    for (name, Variable { default, values }) in variables {
        let place = format!("{{{}}}", name.value);
        let values = values.as_ref().filter(|values| !values.is_empty());
        let values: Vec<&String> = values.map_or_else(|| vec![default], |values| values.iter().collect());
        made = made.iter().flat_map(|url| values.iter().map(|value| url.replace(&place, value))).collect();
        made.sort_unstable();
        made.dedup();
        if made.len() > URLS_MAX {
            return Err(format!("the server's variables make more than {URLS_MAX} URLs: say --base-path"));
        }
    }
    Ok(made)
}

/// The path of a server's URL.
pub(super) fn path(url: &str) -> Result<&str, String> {
    let after_host = url.split_once("://").map(|(_, rest)| rest).or_else(|| url.strip_prefix("//"));
    let path = match after_host {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None if url.is_empty() || url.starts_with('/') => url,
        None => {
            return Err(format!("the server's URL {url:.100} is relative to that of the document: say --base-path"));
        }
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    if path.contains(['{', '}']) {
        return Err(format!("the server's URL {url:.100} has a variable that is not defined"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_base_path() {
        for (url, expected) in [
            ("https://api.example.com", ""),
            ("https://api.example.com/", ""),
            ("https://api.example.com:8443/v1/", "/v1"),
            ("//api.example.com/a/b?x#y", "/a/b"),
            ("/v2", "/v2"),
            ("/", ""),
            ("", ""),
        ] {
            assert_eq!(path(url), Ok(expected), "{url}");
        }
        for url in ["v1", "./v1", "../", "https://api.example.com/{version}"] {
            assert!(path(url).is_err(), "{url}");
        }
    }
}

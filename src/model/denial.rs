//! Owns the record of one refused request, for the owner of its credential.

use super::{clock::Timestamp, principal::Rejection};

/// Longest method and path kept, in characters.
const METHOD_MAX: usize = 20;
const PATH_MAX: usize = 200;

/// The contents of a refused request, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedRequest {
    /// Its method.
    pub method: Option<String>,
    /// Its path without the query, which may hold secrets.
    pub path: Option<String>,
    /// Scopes that it needs but its credential lacks, space-delimited.
    pub needs: Option<String>,
    /// Scopes that its credential has for this API, space-delimited.
    pub holds: Option<String>,
}

impl DeniedRequest {
    /// A request by `method` for `target`, a path with or without a query.
    #[must_use]
    pub fn of(method: &str, target: &str) -> Self {
        let short = |text: &str, most: usize| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
        let path = target.split(['?', '#']).next().unwrap_or_default();
        Self { method: Some(short(method, METHOD_MAX)), path: Some(short(path, PATH_MAX)), ..Self::default() }
    }
}

/// One refused request.
#[derive(Clone, Debug)]
pub struct DenialRecord {
    /// Its identifier, as sent in `X-Request-ID`. It may come from the sender, so it is not unique.
    pub request_id: String,
    /// When it was refused.
    pub at: Timestamp,
    /// The status of the response.
    pub status: u16,
    /// The reason in words, for the owner.
    pub reason: String,
    /// The word for its `Reason`; `None` for refusals recorded by older versions.
    pub kind: Option<&'static str>,
    /// The request.
    pub asked: DeniedRequest,
    /// Slug of the API it was for.
    pub api: Option<String>,
    /// The key it carried.
    pub key_id: Option<String>,
    /// The user that the credential belongs to.
    pub user_id: Option<String>,
    /// The client that holds the token it carried.
    pub client_id: Option<String>,
    /// The sender's address.
    pub address: String,
}

impl DenialRecord {
    /// A record of this rejection with `status`; the caller fills in the request's id, API and sender.
    #[must_use]
    pub fn of(now: Timestamp, status: u16, rejection: &Rejection, asked: DeniedRequest) -> Self {
        Self {
            request_id: String::new(),
            at: now,
            status,
            reason: rejection.reason.owner_text(now).into_owned(),
            kind: Some(rejection.reason.as_str()),
            asked,
            api: None,
            key_id: rejection.key_id.clone(),
            user_id: rejection.user_id.clone(),
            client_id: rejection.client_id.clone(),
            address: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kept_without_query_and_shortened() {
        let asked = DeniedRequest::of("GET", "/v1/things?api_key=secret#part");
        assert_eq!((asked.method.as_deref(), asked.path.as_deref()), (Some("GET"), Some("/v1/things")));
        let long = DeniedRequest::of(&"X".repeat(50), &format!("/{}\u{7}", "a".repeat(300)));
        assert_eq!((long.method.map(|text| text.len()), long.path.map(|text| text.len())), (Some(20), Some(200)));
    }
}

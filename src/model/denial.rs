//! Owns what is kept of one refused request, for the owner of what it carried.

use super::{clock::Timestamp, principal::Rejection};

/// Longest method and path kept, in characters.
const METHOD_MAX: usize = 20;
const PATH_MAX: usize = 200;

/// What a refused request asked for, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedRequest {
    /// Its method.
    pub method: Option<String>,
    /// Its path without the query, which may hold secrets.
    pub path: Option<String>,
    /// Scopes that it needs and its credential lacks, space-delimited.
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
    /// Its identifier, as answered in `X-Request-ID`. May come from the sender: several may be alike.
    pub request_id: String,
    /// When.
    pub at: Timestamp,
    /// What it was answered.
    pub status: u16,
    /// Why, in words for the owner.
    pub reason: String,
    /// The word of its `Reason`; unknown for refusals that older versions wrote.
    pub kind: Option<&'static str>,
    /// What was asked for.
    pub asked: DeniedRequest,
    /// Slug of the API it was for.
    pub api: Option<String>,
    /// The key it carried.
    pub key_id: Option<String>,
    /// The user behind what it carried.
    pub user_id: Option<String>,
    /// The client that holds the token it carried.
    pub client_id: Option<String>,
    /// Who sent it.
    pub address: String,
}

impl DenialRecord {
    /// That this was rejected with `status`; the request's id, API and sender are for the caller to fill in.
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
    fn a_path_is_kept_without_its_query_and_not_longer_than_people_read() {
        let asked = DeniedRequest::of("GET", "/v1/things?api_key=secret#part");
        assert_eq!((asked.method.as_deref(), asked.path.as_deref()), (Some("GET"), Some("/v1/things")));
        let long = DeniedRequest::of(&"X".repeat(50), &format!("/{}\u{7}", "a".repeat(300)));
        assert_eq!((long.method.map(|text| text.len()), long.path.map(|text| text.len())), (Some(20), Some(200)));
    }
}

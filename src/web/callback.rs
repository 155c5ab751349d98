//! Owns `/apps/callback`: a redirect URI for developers who try out a flow by hand.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};

use super::request::{PageResult, query};
use crate::{
    app::App,
    http::{
        page::{render, shell},
        session::Viewer,
    },
    model::params::Params,
    ui::{Nav, Shell, shell_quote},
};

/// Longest text from a query that is shown, in characters.
const SHOWN_MAX: usize = 1000;

/// `GET /apps/callback`: a redirect URI for example apps.
#[derive(Debug, Template)]
#[template(path = "callback.html")]
pub struct CallbackPage {
    pub shell: Shell,
    pub outcome: CallbackOutcome,
    pub state: String,
}

/// The response in the query. All of it is untrusted: shown, never acted on.
#[derive(Debug, Clone)]
pub enum CallbackOutcome {
    Code {
        code: String,
        curl: String,
    },
    Refused {
        error: String,
        description: String,
    },
    /// Opened without a response.
    Nothing,
}

/// `GET /apps/callback`
pub async fn callback(State(app): State<Arc<App>>, viewer: Viewer, uri: Uri) -> PageResult {
    let params = query(&uri)?;
    let page = CallbackPage {
        shell: shell(&app, &viewer, "Example callback", Nav::None),
        outcome: outcome(&app.config.issuer, &params),
        state: shown(&params, "state"),
    };
    Ok(render(&page))
}

fn outcome(issuer: &str, params: &Params<'_>) -> CallbackOutcome {
    let refused = |error: &str, description: &str| CallbackOutcome::Refused {
        error: error.to_owned(),
        description: description.to_owned(),
    };
    // RFC 9207 §2.4: a response that names another issuer is not ours, whatever else it contains.
    if params.get("iss").is_some_and(|iss| iss != issuer) {
        return refused("wrong issuer", "This response names another authorization server. An app must reject it.");
    }
    if params.get("error").is_some() {
        return refused(&shown(params, "error"), &shown(params, "error_description"));
    }
    let Some(code) = params.get("code") else { return CallbackOutcome::Nothing };
    if code.len() > SHOWN_MAX || !code.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b)) {
        return refused("not a code", "This is not an authorization code of this server.");
    }
    let curl = format!(
        "curl -u \"$CLIENT_ID:$CLIENT_SECRET\" {} \\\n  -d grant_type=authorization_code \\\n  -d code={code} \\\n  \
         -d redirect_uri={} \\\n  -d code_verifier=\"$VERIFIER\"",
        shell_quote(&format!("{issuer}/oauth/token")),
        shell_quote(&format!("{issuer}/apps/callback")),
    );
    CallbackOutcome::Code { code: code.to_owned(), curl }
}

fn shown(params: &Params<'_>, name: &str) -> String {
    params.get(name).unwrap_or_default().chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> CallbackOutcome {
        outcome("https://auth.example", &Params::form(query.as_bytes()).expect("query"))
    }

    #[test]
    fn only_a_plain_code_from_the_query_reaches_the_command() {
        // THREATS: AZ10
        assert!(
            matches!(of("code=gd_code_a-b_1&iss=https://auth.example"), CallbackOutcome::Code { curl, .. } if curl.contains("code=gd_code_a-b_1 "))
        );
        for bad in
            ["code=%24%28id%29", "code=a%27%3Bid", "code=a%0Ab", "code=a&iss=https://evil.example", "error=x&code=a"]
        {
            assert!(matches!(of(bad), CallbackOutcome::Refused { .. }), "{bad}");
        }
        assert!(matches!(of("state=x"), CallbackOutcome::Nothing));
    }
}

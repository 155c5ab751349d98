//! Owns the only page that ever shows a client secret, with an example of the code flow.

use askama::Template;
use axum::response::Response;

use crate::{
    app::App,
    engine::clients::WithSecret,
    http::{
        page::{render, shell},
        reply::with_query,
        session::Viewer,
    },
    model::{
        client::{Client, ClientType},
        redirect_uri::RedirectUri,
    },
    ui::{Nav, Shell, When, shell_quote},
    web::format,
};

/// The response for a new app or a new secret: the only page that ever shows the secret.
#[derive(Debug, Template)]
#[template(path = "apps/secret.html")]
pub struct AppSecretPage {
    pub shell: Shell,
    pub client_id: String,
    pub name: String,
    /// `None` for public clients, which have no secret.
    pub secret: Option<String>,
    /// True after a rotation, false for a new app.
    pub rotated: bool,
    /// When the previous secret stops working, if it still works.
    pub previous_ends: Option<When>,
    pub exchange: Exchange,
}

/// Ready-to-paste examples of the authorization-code flow for one app.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Creates the PKCE pair (RFC 7636 §4) and prints the URL to send the user to.
    pub start: String,
    /// Exchanges the returned code.
    pub curl: String,
}

/// The page for a new app, or for a new secret beside which the previous one works for `overlap` seconds.
pub(super) fn page(app: &App, viewer: &Viewer, made: WithSecret, overlap: Option<i64>) -> Response {
    let WithSecret { client, secret, others_end_at } = made;
    let title = if overlap.is_some() { "New secret" } else { "App registered" };
    render(&AppSecretPage {
        shell: shell(app, viewer, title, Nav::Apps),
        exchange: exchange(app, &client),
        client_id: client.id,
        name: client.name,
        secret: secret.map(|secret| secret.expose().to_owned()),
        rotated: overlap.is_some(),
        previous_ends: others_end_at.filter(|_| overlap > Some(0)).map(format::moment),
    })
}

/// The code flow of this app as commands to paste; shell variables are for the developer to fill in.
fn exchange(app: &App, client: &Client) -> Exchange {
    let issuer = &app.config.issuer;
    let redirect_uri = client.redirect_uris.first().map(RedirectUri::as_str).unwrap_or_default();
    let proof = match client.kind {
        ClientType::Confidential => format!("-u \"{}:$CLIENT_SECRET\"", client.id),
        ClientType::Public => format!("-d client_id={}", client.id),
    };
    let url = with_query(
        &format!("{issuer}/oauth/authorize"),
        &[
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", redirect_uri),
            ("scope", &client.scopes.to_string()),
            ("state", "demo"),
            ("code_challenge_method", "S256"),
        ],
    );
    Exchange {
        start: format!(
            "VERIFIER=$(openssl rand -hex 32)\n\
             CHALLENGE=$(printf %s \"$VERIFIER\" | openssl dgst -sha256 -binary |\n  \
             openssl base64 -A | tr '+/' '-_' | tr -d =)\n\
             echo \"{url}&code_challenge=$CHALLENGE\""
        ),
        curl: format!(
            "curl {proof} {} \\\n  -d grant_type=authorization_code \\\n  -d code=\"$CODE\" \\\n  \
             --data-urlencode {} \\\n  -d code_verifier=\"$VERIFIER\"",
            shell_quote(&format!("{issuer}/oauth/token")),
            shell_quote(&format!("redirect_uri={redirect_uri}")),
        ),
    }
}

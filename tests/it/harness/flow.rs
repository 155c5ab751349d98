//! Owns the flows: authorize, consent, exchange, refresh, as clients and people go through them.

use super::{Browser, OAuthClient, Reply, TestApp, app::CALLBACK};

pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The query of a valid authorization request; `change` replaces, adds, or with an empty value removes parameters.
pub fn authorize_url(client: &OAuthClient, change: &[(&str, &str)]) -> String {
    let mut params = vec![
        ("response_type", "code"),
        ("client_id", client.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("scope", "read write"),
        ("state", "st4te"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in change {
        params.retain(|(n, _)| n != name);
        if !value.is_empty() {
            params.push((name, value));
        }
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    format!("/oauth/authorize?{query}")
}

/// From the authorization request to the redirect to the client; allows access if the consent page is shown.
pub async fn authorize(browser: &Browser<'_>, client: &OAuthClient, change: &[(&str, &str)]) -> Reply {
    let reply = browser.follow(browser.get(&authorize_url(client, change)).await).await;
    if reply.status.as_u16() == 200 && reply.body.contains("name=\"decision\"") {
        decide(browser, &reply, "allow").await
    } else {
        reply
    }
}

/// Answers the consent page.
pub async fn decide(browser: &Browser<'_>, page: &Reply, decision: &str) -> Reply {
    let (csrf, interaction) = (page.input("csrf"), page.input("interaction"));
    let seen = page.input("seen");
    let form = [("csrf", csrf.as_str()), ("interaction", &interaction), ("seen", &seen), ("decision", decision)];
    browser.follow(browser.post("/consent", &form).await).await
}

/// A code for this client and the browser's user.
pub async fn code(browser: &Browser<'_>, client: &OAuthClient) -> String {
    let reply = authorize(browser, client, &[]).await;
    reply.redirect_param("code").unwrap_or_else(|| panic!("no code: {}", reply.location()))
}

/// Exchanges a code.
pub async fn exchange(app: &TestApp, client: &OAuthClient, code: &str) -> Reply {
    exchange_for(app, client, code, "").await
}

/// Exchanges a code for a token for this API; if it is empty, `resource` is not sent.
pub async fn exchange_for(app: &TestApp, client: &OAuthClient, code: &str, resource: &str) -> Reply {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("resource", resource),
    ];
    form.retain(|(_, value)| !value.is_empty());
    app.post_as(client, "/oauth/token", &form).await
}

/// Refreshes a token.
pub async fn refresh(app: &TestApp, client: &OAuthClient, refresh_token: &str) -> Reply {
    app.post_as(client, "/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

/// A user who signed in, a client, and the tokens the user granted it: (access token, refresh token).
pub async fn tokens(browser: &Browser<'_>, client: &OAuthClient) -> (String, String) {
    let code = code(browser, client).await;
    let reply = exchange(browser.app, client, &code).await;
    reply.status(200);
    (reply.text("access_token"), reply.text("refresh_token"))
}

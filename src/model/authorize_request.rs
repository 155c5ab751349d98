//! Owns the authorization request (RFC 6749 §4.1.1) after its client and redirect URI are checked.

use serde::{Deserialize, Serialize};

use super::{
    client::Client,
    error::{Error, ErrorCode},
    grant::Consent,
    params::Params,
    pkce::CodeChallenge,
    redirect_uri::display_host,
    resource::resources,
    scope::Scopes,
};

/// Longest `state` echoed, in bytes.
pub const STATE_MAX: usize = 4096;

/// OpenID Connect Core §3.1.2.1 `prompt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Whether no page may be shown.
    pub none: bool,
    /// Whether the user must sign in again.
    pub login: bool,
    /// Whether the user must be asked for consent again.
    pub consent: bool,
}

/// A request whose client and redirect URI were checked; kept while the user signs in and consents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizeRequest {
    /// The client.
    pub client_id: String,
    /// The redirect URI as sent.
    pub redirect_uri: String,
    /// Returned unchanged.
    pub state: Option<String>,
    /// The requested scopes, limited to those that exist and that the client may request.
    pub scopes: Scopes,
    /// The requested audience URIs.
    pub resources: Vec<String>,
    /// PKCE, unless the client opted out.
    pub code_challenge: Option<String>,
    /// The pages that may or must be shown.
    pub prompt: Prompt,
    /// Greatest age of the sign-in, in seconds.
    pub max_age_seconds: Option<i64>,
}

impl AuthorizeRequest {
    /// The access that the user is asked to allow `client`, with the details shown on the consent page.
    #[must_use]
    pub fn consent_to(&self, client: &Client) -> Consent {
        Consent {
            scopes: self.scopes.clone(),
            resources: self.resources.clone(),
            client_name: client.name.clone(),
            hosts: vec![display_host(&self.redirect_uri)],
        }
    }

    /// Parses everything after client and redirect URI. `scopes` are not yet limited to the client's.
    ///
    /// # Errors
    /// The codes of RFC 6749 §4.1.2.1, RFC 8707 §2 and OpenID Connect Core §3.1.2.6, to be sent by redirect.
    pub fn parse(params: &Params<'_>, client: &Client, redirect_uri: &str) -> Result<Self, Error> {
        params.refuse_duplicates(&["resource"])?;
        if params.get("request").is_some() {
            return Err(Error::new(ErrorCode::RequestNotSupported, "request objects are not supported"));
        }
        if params.get("request_uri").is_some() {
            return Err(Error::new(ErrorCode::RequestUriNotSupported, "request_uri is not supported"));
        }
        match params.get("response_type") {
            None => return Err(Error::invalid_request("response_type is missing")),
            Some("code") => {}
            Some(_) => return Err(Error::new(ErrorCode::UnsupportedResponseType, "response_type must be code")),
        }
        if params.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(Error::invalid_request("response_mode must be query"));
        }
        if params.get("id_token_hint").is_some() {
            return Err(Error::invalid_request("id_token_hint is not supported"));
        }
        let max_age_seconds = params.get("max_age").map(seconds).transpose()?;
        Ok(Self {
            client_id: client.id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            state: params.get("state").map(ToOwned::to_owned),
            scopes: Scopes::parse(params.get("scope").unwrap_or_default())?,
            resources: resources(params)?,
            code_challenge: challenge(params, client)?,
            prompt: prompt(params.get("prompt").unwrap_or_default())?,
            max_age_seconds,
        })
    }
}

fn challenge(params: &Params<'_>, client: &Client) -> Result<Option<String>, Error> {
    let method = params.get("code_challenge_method");
    match params.get("code_challenge") {
        Some(challenge) => Ok(Some(CodeChallenge::parse(challenge, method)?.as_str().to_owned())),
        // PKCE is required for every public client: nothing else binds a code to it.
        None if client.require_pkce || !client.is_confidential() || method.is_some() => {
            Err(Error::invalid_request("code_challenge is missing; PKCE with S256 is required"))
        }
        None => Ok(None),
    }
}

fn prompt(text: &str) -> Result<Prompt, Error> {
    let mut prompt = Prompt::default();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompt.none = true,
            // Choosing an account means signing in again: the page accepts any account.
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return Err(Error::invalid_request("prompt has an unknown value")),
        }
    }
    if prompt.none && (prompt.login || prompt.consent) {
        return Err(Error::invalid_request("prompt=none cannot be combined with other values"));
    }
    Ok(prompt)
}

fn seconds(text: &str) -> Result<i64, Error> {
    let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(seconds) if digits => Ok(seconds),
        _ => Err(Error::invalid_request("max_age must be a whole number of seconds")),
    }
}

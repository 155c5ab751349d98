//! Owns `/consent`: shows the access that an app requests and records the answer. `/oauth/authorize` acts on it.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};

use super::{
    format,
    request::{Form, Lapsable, PageResult, query, redirect},
};
use crate::{
    app::App,
    engine::interactions,
    http::{
        page::{render_toward_app, shell},
        session::Viewer,
        write_limit,
    },
    model::{
        api::{Api, Catalog},
        client::{Client, GrantType},
        error::Error,
        grant::{Consent, ConsentAnswer},
        redirect_uri::{display_host, is_local},
        scope::Scopes,
        secret::Digest,
    },
    ui::{Badge, Nav, ScopeLine, Shell},
};

/// `GET /consent`: the access that an app requests, in words.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    pub shell: Shell,
    pub interaction: String,
    /// Sent back with the answer: a tag of the app's details as shown on the page.
    pub seen: String,
    pub user: Badge,
    pub access: Access,
    pub redirect_host: String,
    /// Whether the answer goes to a program on this computer, which could be any program.
    pub loopback_only: bool,
}

/// The access that an app requests, in words.
#[derive(Debug, Clone)]
pub struct Access {
    pub client_name: String,
    pub client_id: String,
    /// "registered by …" or another hint for a client not vouched for by the operator; `None` for first-party apps.
    pub unverified: Option<String>,
    pub apis: Vec<ConsentApi>,
    /// How long the access lasts, such as "Until you remove it" or "1 hour".
    pub lasts: String,
}

/// The part of a request that concerns one API.
#[derive(Debug, Clone)]
pub struct ConsentApi {
    pub name: String,
    pub scopes: Vec<ScopeLine>,
}

/// `GET /consent`
pub async fn show(State(app): State<Arc<App>>, viewer: Viewer, uri: Uri) -> PageResult {
    let params = query(&uri)?;
    let id = params.get("interaction").unwrap_or_default();
    let request = interactions::find(&app.store, viewer.now, viewer.browser(), id).await?.request;
    let Some(user) = viewer.user() else { return Ok(redirect(&app, &format!("/oauth/authorize?interaction={id}"))) };
    let gone = || Error::invalid_request("this app is not registered with this server");
    let client = app.clients.find(&request.client_id).await?.ok_or_else(gone)?;
    let page = ConsentPage {
        shell: shell(&app, &viewer, "Allow access", Nav::None),
        interaction: id.to_owned(),
        seen: seen(&request.consent_to(&client)),
        user: Badge::of(user),
        access: Access::of(&app, &client, &request.scopes).await?,
        redirect_host: display_host(&request.redirect_uri),
        // A redirect to this server itself does not go to a local program.
        loopback_only: is_local(&request.redirect_uri)
            && !request.redirect_uri.starts_with(&format!("{}/", app.config.issuer)),
    };
    Ok(render_toward_app(&page))
}

/// `POST /consent`
pub async fn decide(State(app): State<Arc<App>>, form: Form<Lapsable>) -> PageResult {
    let id = form.get("interaction");
    let request = interactions::find(&app.store, form.now, form.browser(), id).await?.request;
    let back = redirect(&app, &format!("/oauth/authorize?interaction={id}"));
    let (Some(user), Some(session)) = (form.user(), form.session()) else { return Ok(back) };
    write_limit::admit(&app, form.now, &user.id, None).await?;
    let allow = match form.get("decision") {
        "allow" => true,
        "deny" => false,
        _ => return Err(Error::invalid_request("decision must be allow or deny").into()),
    };
    let (origin, user_id) = (form.info.origin(&user.id), user.id.clone());
    let gone = || Error::invalid_request("this app is not registered with this server");
    let client = app.clients.find(&request.client_id).await?.ok_or_else(gone)?;
    let asked = request.consent_to(&client);
    // The app's name or hosts have changed since the page was shown, so it is shown again.
    if form.params.get("seen").is_some_and(|sent| sent != seen(&asked)) {
        return Ok(back);
    }
    let answer = ConsentAnswer { interaction: Digest::of(id), user_id, client_id: client.id.clone(), asked, allow };
    if app.store.in_session(session, user.id.clone()).decide_consent(form.now, origin, answer).await? {
        Ok(back)
    } else {
        Err(Error::invalid_request("this sign-in has expired or was completed; start again from the app").into())
    }
}

impl Access {
    pub(super) async fn of(app: &App, client: &Client, scopes: &Scopes) -> Result<Self, Error> {
        let catalog = app.catalog.current();
        Ok(Self {
            client_name: client.name.clone(),
            client_id: client.id.clone(),
            unverified: registrant(app, client).await?,
            apis: apis(&catalog, scopes),
            lasts: lasts(app, client, &catalog, scopes),
        })
    }
}

/// A tag of the app's details as shown on the page, sent back with the answer.
fn seen(asked: &Consent) -> String {
    Digest::of(&format!("{}\n{}", asked.hosts.join("\n"), asked.client_name)).text()
}

/// The user who registered an app that the operator does not vouch for.
async fn registrant(app: &App, client: &Client) -> Result<Option<String>, Error> {
    let Some(owner_id) = client.owner_id.as_deref().filter(|_| !client.first_party) else { return Ok(None) };
    let owner = app.store.find_user(owner_id).await?;
    let name = owner.map(|owner| if owner.name.is_empty() { owner.email } else { owner.name });
    Ok(Some(format!("Registered by {} on {}", name.as_deref().unwrap_or("a user"), client.created_at.day())))
}

fn apis(catalog: &Catalog, scopes: &Scopes) -> Vec<ConsentApi> {
    let of = |api: &&Api| {
        let names: Scopes = api.scopes.iter().map(|scope| scope.name.clone()).collect();
        format::lines(catalog, &scopes.filter(|name| names.contains(name)))
    };
    catalog.of_scopes(scopes).iter().map(|api| ConsentApi { name: api.name.clone(), scopes: of(api) }).collect()
}

/// How long the app can act without asking again.
fn lasts(app: &App, client: &Client, catalog: &Catalog, scopes: &Scopes) -> String {
    if client.may_use(GrantType::RefreshToken) {
        return format!(
            "Until you remove it, at most {}",
            format::span(app.config.lifetimes.grant.as_secs().cast_signed())
        );
    }
    let seconds = catalog.of_scopes(scopes).iter().map(|api| api.access_token_seconds).max().unwrap_or_default();
    format::span(seconds)
}

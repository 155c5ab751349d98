//! Owns the tests of the pages, one file per page. Modules, and the steps that several of them share.

mod callback;
mod connected;
mod consent;
mod edge;
mod forms;
mod keys;
mod leaked;
mod login;
mod own_apps;
mod own_key;
mod projects;
mod return_path;
mod security;
mod sensitive;
mod sign_in_limits;
mod why;

use crate::harness::{Browser, Reply, app::PASSWORD};

/// Fills in the sign-in page.
async fn sign_in(browser: &Browser<'_>, page: &Reply, email: &str) -> Reply {
    let (csrf, interaction) = (page.input("csrf"), page.input("interaction"));
    let form = [("csrf", csrf.as_str()), ("interaction", &interaction), ("email", email), ("password", PASSWORD)];
    browser.post("/login", &form).await
}

/// Opens `page`, and sends its form with its own tokens and these fields.
async fn submit(browser: &Browser<'_>, page: &str, action: &str, fields: &[(&str, &str)]) -> Reply {
    let shown = browser.get(page).await;
    shown.status(200);
    let form = shown.input("form");
    let mut all = vec![("form", form.as_str())];
    all.extend_from_slice(fields);
    let csrf = shown.input("csrf");
    all.push(("csrf", &csrf));
    browser.post(action, &all).await
}

/// The text of the element with this id.
#[track_caller]
fn element(reply: &Reply, id: &str) -> String {
    let marker = format!("id=\"{id}\"");
    let at = reply.body.find(&marker).unwrap_or_else(|| panic!("no #{id}: {}", reply.body));
    let open = at + reply.body[at..].find('>').expect("the tag ends") + 1;
    let close = open + reply.body[open..].find('<').expect("the element ends");
    reply.body[open..close].to_owned()
}

//! Owns a person's browser at a real port: cookies, the forms of sign-in and consent. In process, use `browser`.

use std::collections::BTreeMap;

use axum::http::header;

use super::{Reply, app::PASSWORD, process::Server};

/// Most redirects followed.
const HOPS_MAX: usize = 10;

/// A browser that uses one server by its issuer.
pub struct Visitor<'s> {
    server: &'s Server,
    base: String,
    issuer: String,
    cookies: BTreeMap<String, String>,
}

impl<'s> Visitor<'s> {
    pub fn new(server: &'s Server, issuer: &str) -> Self {
        Self { server, base: server.base.clone(), issuer: issuer.to_owned(), cookies: BTreeMap::new() }
    }

    /// Opens the address an app sent it to, signs in and allows access; returns the redirect to the app.
    pub async fn allow(&mut self, authorize: &str, email: &str) -> String {
        let mut reply = self.get(authorize).await;
        for _ in 0..HOPS_MAX {
            reply = if reply.status == 303 {
                let to = reply.location();
                if !to.starts_with('/') && !to.starts_with(&self.issuer) {
                    return to;
                }
                self.get(&to).await
            } else {
                reply.status(200);
                let (csrf, interaction) = (reply.input("csrf"), reply.input("interaction"));
                let known = [("csrf", csrf.as_str()), ("interaction", interaction.as_str())];
                if reply.body.contains("name=\"password\"") {
                    self.post("/login", &[&known[..], &[("email", email), ("password", PASSWORD)]].concat()).await
                } else {
                    self.post("/consent", &[&known[..], &[("decision", "allow")]].concat()).await
                }
            };
        }
        panic!("more than {HOPS_MAX} steps, at {reply:?}");
    }

    async fn get(&mut self, target: &str) -> Reply {
        let path = target.strip_prefix(&self.issuer).unwrap_or(target);
        self.send(self.server.http.get(format!("{}{path}", self.base))).await
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Reply {
        let request = self.server.http.post(format!("{}{path}", self.base)).form(form);
        let request = request.header(header::ORIGIN, &self.issuer).header("sec-fetch-site", "same-origin");
        self.send(request).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Reply {
        // Resolves the issuer's host to this machine.
        let host = self.issuer.split_once("://").map_or(self.issuer.as_str(), |(_, host)| host);
        let request = request.header(header::HOST, host);
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = self.server.send(request.header(header::COOKIE, cookies.join("; "))).await.expect("a reply");
        for cookie in reply.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a pair");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        reply
    }
}

/// For tests with a proxy.
#[cfg(feature = "services")]
impl<'s> Visitor<'s> {
    /// A visitor who reaches the server at its issuer, behind a proxy.
    pub fn through(server: &'s Server, issuer: &str) -> Self {
        Self { base: issuer.to_owned(), ..Self::new(server, issuer) }
    }

    /// Signs in on the sign-in page.
    pub async fn sign_in(&mut self, email: &str) -> &mut Self {
        let csrf = self.get("/login").await.input("csrf");
        self.post("/login", &[("csrf", &csrf), ("email", email), ("password", PASSWORD)]).await.status(303);
        self
    }

    /// Generates a key with read access by the form on `page`; returns the key, shown once.
    pub async fn generate_key(&mut self, page: &str, action: &str, name: &str) -> String {
        let fields = [("name", name), ("scope", "read"), ("environment", "live"), ("expires_in", "90d")];
        self.new_key(page, action, &fields).await
    }

    /// Regenerates this key by the button on `page`; returns the new key, shown once.
    pub async fn regenerate_key(&mut self, page: &str, id: &str) -> String {
        self.new_key(page, &format!("/settings/keys/{id}/regenerate"), &[]).await
    }

    async fn new_key(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> String {
        let page = self.get(page).await;
        assert!(page.status(200).body.contains(&format!("action=\"{action}\"")), "no {action}: {}", page.body);
        let (csrf, form) = (page.input("csrf"), page.input("form"));
        let made = self.post(action, &[&[("csrf", csrf.as_str()), ("form", &form)], fields].concat()).await;
        let (_, key) = made.status(200).body.split_once("<code id=\"key\"").expect("a key");
        let (_, key) = key.split_once('>').expect("the element's text");
        key.split('<').next().unwrap_or_default().to_owned()
    }
}

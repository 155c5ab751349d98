//! Owns a running server: sending it requests, and stopping or killing it. It is started in `process`.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    thread,
};

use reqwest::redirect::Policy;

use super::{OAuthClient, Reply, wait};

/// A running server; killed when dropped, its log shown if the test failed.
pub struct Server {
    pub base: String,
    pub http: reqwest::Client,
    child: Child,
    log: PathBuf,
}

impl Server {
    pub fn new(base: String, child: Child, log: PathBuf) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().expect("a client");
        Self { base, http, child, log }
    }

    /// Waits until the server answers.
    pub async fn ready(&mut self) {
        let patience = wait::Patience::new();
        while !self.http.get(format!("{}/readyz", self.base)).send().await.is_ok_and(|reply| reply.status() == 200) {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{ended:?}\n{}", self.log());
            patience.pause("a server that is ready").await;
        }
    }

    /// Waits until the server has exited.
    pub fn ended(&mut self) -> ExitStatus {
        wait::until_now("the end of the server", || self.child.try_wait().expect("a child"))
    }

    /// Kills the server, as a power failure would.
    pub fn kill(self) {
        drop(self);
    }

    /// Asks the server to stop, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("/bin/sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status();
        assert!(kill.expect("a shell").success());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a request; an error if the connection was lost.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Reply { status, headers, body: response.text().await? })
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.http.get(format!("{}{path}", self.base))).await.expect("a reply")
    }

    /// GET with a Bearer credential.
    pub async fn get_as(&self, path: &str, credential: &str) -> Reply {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(credential);
        self.send(request).await.expect("a reply")
    }

    /// POST of a form by a client: Basic if it is confidential, else its id in the form.
    pub async fn try_post_as(
        &self,
        client: &OAuthClient,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Reply, reqwest::Error> {
        let mut form = form.to_vec();
        let request = self.http.post(format!("{}{path}", self.base));
        let request = match &client.secret {
            Some(secret) => request.basic_auth(&client.id, Some(secret)),
            None => {
                form.push(("client_id", &client.id));
                request
            }
        };
        self.send(request.form(&form)).await
    }

    pub async fn post_as(&self, client: &OAuthClient, path: &str, form: &[(&str, &str)]) -> Reply {
        self.try_post_as(client, path, form).await.expect("a reply")
    }

    pub async fn introspect(&self, api: &OAuthClient, token: &str) -> Reply {
        self.post_as(api, "/oauth/introspect", &[("token", token)]).await
    }

    pub async fn client_token(&self, client: &OAuthClient) -> String {
        let reply = self.post_as(client, "/oauth/token", &[("grant_type", "client_credentials")]).await;
        reply.status(200);
        reply.text("access_token")
    }

    /// Exchanges a code that [`super::prepare::code`] made.
    pub async fn try_exchange(&self, client: &OAuthClient, code: &str) -> Result<Reply, reqwest::Error> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", super::app::CALLBACK),
            ("code_verifier", super::flow::VERIFIER),
        ];
        self.try_post_as(client, "/oauth/token", &form).await
    }

    pub async fn try_refresh(&self, client: &OAuthClient, token: &str) -> Result<Reply, reqwest::Error> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.try_post_as(client, "/oauth/token", &form).await
    }

    /// Revokes a key with the key alone.
    pub async fn try_revoke_key(&self, key: &str) -> Result<Reply, reqwest::Error> {
        let form = [("token", key)];
        self.send(self.http.post(format!("{}/oauth/revoke", self.base)).bearer_auth(key).form(&form)).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited before.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

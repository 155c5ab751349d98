//! Owns `grantd token`.

use std::io::Read;

use clap::Subcommand;
use serde_json::json;

use super::{Global, context, output};
use crate::{
    app::App,
    model::{error::Error, secret::Digest},
};

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Revoke the access token, refresh token or API key given on standard input
    Revoke,
}

impl TokenCommand {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let app = context::command(global).await?;
        let mut text = String::new();
        std::io::stdin()
            .take(16 * 1024)
            .read_to_string(&mut text)
            .map_err(|_| Error::invalid_request("the token is not UTF-8"))?;
        let what = revoke(&app, text.trim()).await?;
        output::one(global, &[("revoked", json!(what))])
    }
}

async fn revoke(app: &App, token: &str) -> Result<&'static str, Error> {
    let now = app.clock.now();
    if let Some((grant, _)) = app.grant_tokens.read_refresh_token(token)
        && let Some(client) = app.store.grant_client(&grant).await?
    {
        app.store.revoke_grant(now, context::origin(), grant, client).await?;
        return Ok("grant");
    }
    if let Some(signed) = app.verifier.signed_token(token) {
        let expires_at = signed.expires_at();
        app.store.revoke_token(now, context::origin(), signed.jti, signed.client_id, expires_at).await?;
        return Ok("access_token");
    }
    if let Some(record) = app.store.find_key_by_digest(&Digest::of(token)).await? {
        app.store.revoke_key(now, context::origin(), record.key.id, None).await?;
        return Ok("api_key");
    }
    Err(Error::invalid_request("not a token or key of this server; pass it on standard input"))
}

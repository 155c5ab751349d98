//! Owns the `clients` and `client_secrets` tables. Does not authenticate clients; see `engine::clients`.

use super::{
    Error, Store,
    row::{Row, binds},
    tx::Tx,
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        client::{AuthMethod, Client, ClientSecret, ClientType, GrantType},
        clock::Timestamp,
        error::Error as ModelError,
        redirect_uri::RedirectUri,
        scope::Scopes,
        secret::Digest,
    },
};

/// Most clients one user registers.
const OWNED_MAX: i64 = 100;
/// Most live secrets of one client: the current one and those being replaced.
const SECRETS_MAX: i64 = 10;

/// Since when the client `c` is disabled: itself, or with the user who owns it. Whoever reads a client's state asks this.
macro_rules! client_disabled_at {
    () => {
        "COALESCE(c.disabled_at, (SELECT o.disabled_at FROM users o WHERE o.id = c.owner_id))"
    };
}
/// The columns of a client `c`, as [`client`] reads them.
macro_rules! client_columns {
    () => {
        concat!(
            "c.id, c.name, c.kind, c.auth_methods, c.redirect_uris, c.grant_types, c.scopes, c.owner_id, c.api_id,
             c.first_party, c.require_pkce, c.refresh_grace_ms, ",
            client_disabled_at!(),
            ", c.created_at"
        )
    };
}
pub(super) use {client_columns, client_disabled_at};

const OWNED_CLIENTS: &str =
    concat!("SELECT ", client_columns!(), " FROM clients c WHERE c.owner_id = $1 ORDER BY c.name, c.id LIMIT $2");
const ALL_CLIENTS: &str = concat!("SELECT ", client_columns!(), " FROM clients c ORDER BY c.name, c.id LIMIT $1");

/// What of a client is changed; what is not here stays. Who may change what is `engine::client_rules`.
#[derive(Clone, Debug, Default)]
pub struct ClientChanges {
    /// Name to show.
    pub name: Option<String>,
    /// Where codes may go.
    pub redirect_uris: Option<Vec<RedirectUri>>,
    /// The scopes it may ask for.
    pub scopes: Option<Scopes>,
}

impl ClientChanges {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.redirect_uris.is_none() && self.scopes.is_none()
    }
}

impl Tx {
    pub(super) async fn insert_client(
        &mut self,
        now: Timestamp,
        origin: &Origin,
        client: &Client,
    ) -> Result<(), Error> {
        if let Some(owner) = &client.owner_id {
            self.check_user(owner).await?;
            let row = self.row("SELECT COUNT(*) FROM clients WHERE owner_id = $1", binds![owner]).await?;
            if row.ok_or(Error::Corrupt("a count"))?.int(0)? >= OWNED_MAX {
                return Err(ModelError::invalid_request(format!(
                    "a user has at most {OWNED_MAX} apps; delete one first"
                ))
                .into());
            }
        }
        let methods: Vec<&str> = client.auth_methods.iter().map(|method| method.as_str()).collect();
        let grants: Vec<&str> = client.grant_types.iter().map(|grant| grant.as_str()).collect();
        self.execute(
            "INSERT INTO clients (id, name, kind, auth_methods, redirect_uris, grant_types, scopes, owner_id, api_id, first_party, require_pkce,
                                  refresh_grace_ms, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            binds![
                &client.id,
                &client.name,
                client.kind.as_str(),
                &methods.join(" "),
                &uris(&client.redirect_uris),
                &grants.join(" "),
                &client.scopes.to_string(),
                &client.owner_id,
                &client.api_id,
                client.first_party,
                client.require_pkce,
                client.refresh_grace_ms,
                now,
            ],
        )
        .await?;
        for secret in &client.secrets {
            self.insert_secret(&client.id, secret).await?;
        }
        self.touch(EntityKind::Client, client.id.as_str());
        let event = Event { user_id: client.owner_id.clone(), ..Event::new("client.create").client(&client.id) };
        self.audit(now, origin, event).await
    }

    async fn insert_secret(&mut self, client_id: &str, secret: &ClientSecret) -> Result<(), Error> {
        self.execute(
            "INSERT INTO client_secrets (id, client_id, digest, hint, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
            binds![&secret.id, client_id, &secret.digest.text(), &secret.hint, secret.created_at, secret.expires_at],
        )
        .await
        .map(drop)
    }
}

impl Store {
    /// Keeps a new client with its first secret. The same id twice is a conflict.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub async fn insert_client(&self, now: Timestamp, origin: Origin, client: Client) -> Result<(), Error> {
        self.write(now, move |tx| Box::pin(async move { tx.insert_client(now, &origin, &client).await })).await
    }

    /// The client with its secrets, whatever its state.
    pub async fn find_client(&self, id: &str) -> Result<Option<Client>, Error> {
        let row =
            self.row(concat!("SELECT ", client_columns!(), " FROM clients c WHERE c.id = $1"), binds![id]).await?;
        let Some(mut row) = row else { return Ok(None) };
        let mut client = client(&mut row)?;
        let secrets = self
            .rows("SELECT id, digest, hint, created_at, expires_at FROM client_secrets WHERE client_id = $1 ORDER BY created_at DESC", binds![id])
            .await?;
        client.secrets = secrets.into_iter().map(|mut row| secret(&mut row)).collect::<Result<_, _>>()?;
        Ok(Some(client))
    }

    /// The clients of one owner, or with none given all of them; by name, at most `limit`; without secrets.
    pub async fn list_clients(&self, owner_id: Option<&str>, limit: i64) -> Result<Vec<Client>, Error> {
        let rows = match owner_id {
            Some(owner) => self.rows(OWNED_CLIENTS, binds![owner, limit]).await?,
            None => self.rows(ALL_CLIENTS, binds![limit]).await?,
        };
        rows.into_iter().map(|mut row| client(&mut row)).collect()
    }

    /// Changes a client, with an owner given only that owner's; false if there is none, or it is an API's own. A redirect URI that is gone ends the codes sent to it.
    pub async fn update_client(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        owner_id: impl Into<Option<String>>,
        to: ClientChanges,
    ) -> Result<bool, Error> {
        let owner_id = owner_id.into();
        self.write(now, move |tx| {
            Box::pin(async move {
                let (uris, scopes) = (to.redirect_uris.as_deref().map(uris), to.scopes.map(|scopes| scopes.to_string()));
                let row = tx
                    .row(
                        "UPDATE clients SET name = COALESCE($3, name), redirect_uris = COALESCE($4, redirect_uris), scopes = COALESCE($5, scopes)
                         WHERE id = $1 AND api_id IS NULL AND ($2 IS NULL OR owner_id = $2) RETURNING owner_id",
                        binds![&id, &owner_id, &to.name, &uris, &scopes],
                    )
                    .await?;
                let Some(mut row) = row else { return Ok(false) };
                tx.touch(EntityKind::Client, id.as_str());
                let event = Event { user_id: row.opt_text(0)?, ..Event::new("client.update").client(&id) };
                tx.audit(now, &origin, event).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Adds a secret and lets the others end at `others_end_at`. With an owner given, only that owner's client.
    /// False if there is no such confidential client.
    pub async fn rotate_secret(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        owner_id: Option<String>,
        new: ClientSecret,
        others_end_at: Timestamp,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let row = tx
                    .row(
                        // Locked before its secrets are counted: of two rotations at once both keep to the bound.
                        "UPDATE clients SET name = name WHERE id = $1 AND kind = 'confidential' AND ($2 IS NULL OR owner_id = $2) RETURNING id",
                        binds![&id, &owner_id],
                    )
                    .await?;
                if row.is_none() {
                    return Ok(false);
                }
                tx.execute("DELETE FROM client_secrets WHERE client_id = $1 AND expires_at <= $2", binds![&id, now]).await?;
                tx.execute(
                    "UPDATE client_secrets SET expires_at = $2 WHERE client_id = $1 AND (expires_at IS NULL OR expires_at > $2)",
                    binds![&id, others_end_at],
                )
                .await?;
                tx.execute(
                    "DELETE FROM client_secrets WHERE client_id = $1 AND id NOT IN
                     (SELECT id FROM client_secrets WHERE client_id = $1 ORDER BY created_at DESC LIMIT $2)",
                    binds![&id, SECRETS_MAX - 1],
                )
                .await?;
                tx.insert_secret(&id, &new).await?;
                tx.touch(EntityKind::Client, id.as_str());
                let event = Event { user_id: owner_id, ..Event::new("client.secret").client(&id).object(&new.id) };
                tx.audit(now, &origin, event).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Disables or enables a client; false if there is none.
    pub async fn set_client_active(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        active: bool,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let disabled_at = (!active).then_some(now);
                let found =
                    tx.execute("UPDATE clients SET disabled_at = $2 WHERE id = $1", binds![&id, disabled_at]).await?
                        > 0;
                if found {
                    tx.touch(EntityKind::Client, id.as_str());
                    tx.audit(
                        now,
                        &origin,
                        Event::new(if active { "client.enable" } else { "client.disable" }).client(&id),
                    )
                    .await?;
                }
                Ok(found)
            })
        })
        .await
    }

    /// Deletes a client with its codes, grants, consents and secrets, in one transaction; with an owner given, only that
    /// owner's. False if there is none. The client of an API stays: the API would be unguarded.
    pub async fn delete_client(
        &self,
        now: Timestamp,
        origin: Origin,
        id: String,
        owner_id: Option<String>,
    ) -> Result<bool, Error> {
        self.write(now, move |tx| {
            Box::pin(async move {
                let found = tx
                    .execute(
                        "DELETE FROM clients WHERE id = $1 AND api_id IS NULL AND ($2 IS NULL OR owner_id = $2)",
                        binds![&id, &owner_id],
                    )
                    .await?;
                if found > 0 {
                    tx.touch(EntityKind::Client, id.as_str());
                    let event = Event { user_id: owner_id, ..Event::new("client.delete").client(&id) };
                    tx.audit(now, &origin, event).await?;
                }
                Ok(found > 0)
            })
        })
        .await
    }
}

fn uris(uris: &[RedirectUri]) -> String {
    // A redirect URI has no spaces, so words will do.
    uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) fn client(row: &mut Row) -> Result<Client, Error> {
    let known = |what| Error::Corrupt(what);
    Ok(Client {
        id: row.text(0)?,
        name: row.text(1)?,
        kind: ClientType::parse(&row.text(2)?).ok_or(known("a client type"))?,
        auth_methods: row
            .list(3)?
            .iter()
            .map(|word| AuthMethod::parse(word).ok_or(known("an authentication method")))
            .collect::<Result<_, _>>()?,
        redirect_uris: row
            .list(4)?
            .iter()
            .map(|uri| RedirectUri::register(uri).map_err(|_| known("a redirect URI")))
            .collect::<Result<_, _>>()?,
        grant_types: row
            .list(5)?
            .iter()
            .map(|word| GrantType::parse(word).ok_or(known("a grant type")))
            .collect::<Result<_, _>>()?,
        scopes: row.scopes(6)?,
        owner_id: row.opt_text(7)?,
        api_id: row.opt_text(8)?,
        first_party: row.flag(9)?,
        require_pkce: row.flag(10)?,
        refresh_grace_ms: row.int(11)?,
        active: row.opt_int(12)?.is_none(),
        created_at: row.at(13)?,
        secrets: Vec::new(),
    })
}

fn secret(row: &mut Row) -> Result<ClientSecret, Error> {
    Ok(ClientSecret {
        id: row.text(0)?,
        digest: Digest::parse(&row.text(1)?).ok_or(Error::Corrupt("a digest"))?,
        hint: row.text(2)?,
        created_at: row.at(3)?,
        expires_at: row.opt_at(4)?,
    })
}

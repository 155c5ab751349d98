//! Owns the `clients` and `client_secrets` tables. Does not authenticate clients; see `engine::clients`.

use super::{
    Error, Store,
    row::{binds, column, is_unset, record, words},
    tx::Tx,
};
use crate::{
    cache::EntityKind,
    model::{
        audit::{Event, Origin},
        client::{AuthMethod, Client, ClientSecret, ClientType, GrantType},
        clock::Timestamp,
        error::{Error as ModelError, ErrorCode},
        redirect_uri::RedirectUri,
        scope::Scopes,
        secret::Digest,
    },
};

/// Most clients that one user may register.
const OWNED_MAX: i64 = 100;
/// Most live secrets of one client: the current one and those being replaced.
const SECRETS_MAX: i64 = 10;

/// When client `c` was disabled, either itself or through its owner. Every query of a client's state uses this.
macro_rules! client_disabled_at {
    () => {
        "COALESCE(c.disabled_at, (SELECT o.disabled_at FROM users o WHERE o.id = c.owner_id))"
    };
}
pub(super) use client_disabled_at;

record! {
    client_columns: Client {
        id: "c.id", name: "c.name", kind: "c.kind", auth_methods: "c.auth_methods", redirect_uris: "c.redirect_uris",
        grant_types: "c.grant_types", scopes: "c.scopes", owner_id: "c.owner_id", api_id: "c.api_id",
        first_party: "c.first_party", require_pkce: "c.require_pkce", refresh_grace_ms: "c.refresh_grace_ms",
        active: client_disabled_at!() => is_unset, created_at: "c.created_at";
        secrets: Vec::new()
    }
}
pub(super) use client_columns;
record! {
    secret_columns: ClientSecret {
        id: "id", digest: "digest", hint: "hint", created_at: "created_at", expires_at: "expires_at",
    }
}
column!(ClientType, ClientType::parse, "a client type");
column!(Vec<AuthMethod>, |text| words(text).map(AuthMethod::parse).collect(), "an authentication method");
column!(Vec<GrantType>, |text| words(text).map(GrantType::parse).collect(), "a grant type");
column!(Vec<RedirectUri>, |text| words(text).map(|uri| RedirectUri::register(uri).ok()).collect(), "a redirect URI");
column!(Digest, Digest::parse, "a digest");

const FIND: &str = concat!("SELECT ", client_columns!(), " FROM clients c WHERE c.id = $1");
const OWNED: &str =
    concat!("SELECT ", client_columns!(), " FROM clients c WHERE c.owner_id = $1 ORDER BY c.name, c.id LIMIT $2");
const SECRETS: &str =
    concat!("SELECT ", secret_columns!(), " FROM client_secrets WHERE client_id = $1 ORDER BY created_at DESC");
/// Locks a client's row until the commit, before its secrets are counted, so concurrent rotations respect the limit.
const LOCK_CONFIDENTIAL: &str = "UPDATE clients SET name = name
                                 WHERE id = $1 AND kind = 'confidential' AND ($2 IS NULL OR owner_id = $2)";

/// Changes to a client; `None` leaves a field unchanged. `engine::client_rules` decides who may change what.
#[derive(Clone, Debug, Default)]
pub struct ClientChanges {
    /// Display name.
    pub name: Option<String>,
    /// Where authorization responses may be sent.
    pub redirect_uris: Option<Vec<RedirectUri>>,
    /// Scopes that it may request.
    pub scopes: Option<Scopes>,
    /// The client for which the changes were authorized. If it has changed since, nothing is written.
    pub allowed_for: Option<Box<Client>>,
}

impl ClientChanges {
    /// Whether there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.redirect_uris.is_none() && self.scopes.is_none()
    }
}

/// Refuses changes if the client differs from the one they were authorized for; locks its row.
async fn check_unchanged(tx: &mut Tx, id: &str, was: &Client) -> Result<(), Error> {
    let sql = "UPDATE clients SET name = name WHERE id = $1 RETURNING name, redirect_uris, scopes, first_party";
    type Judged = (String, Vec<RedirectUri>, Scopes, bool);
    let Some(now) = tx.find::<Judged>(sql, binds![id]).await? else { return Ok(()) };
    let is_same = now == (was.name.clone(), was.redirect_uris.clone(), was.scopes.clone(), was.first_party);
    if is_same {
        return Ok(());
    }
    let message = "this app was changed in the meantime; review it before you change it";
    Err(ModelError::new(ErrorCode::Conflict, message).into())
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
            let owned: i64 = self.one("SELECT COUNT(*) FROM clients WHERE owner_id = $1", binds![owner]).await?;
            if owned >= OWNED_MAX {
                return Err(ModelError::invalid_request(format!(
                    "a user can have at most {OWNED_MAX} apps; delete one first"
                ))
                .into());
            }
        }
        let methods: Vec<&str> = client.auth_methods.iter().map(|method| method.as_str()).collect();
        let grants: Vec<&str> = client.grant_types.iter().map(|grant| grant.as_str()).collect();
        self.execute(
            "INSERT INTO clients (id, name, kind, auth_methods, redirect_uris, grant_types, scopes, owner_id,
             api_id, first_party, require_pkce,
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
            "INSERT INTO client_secrets (id, client_id, digest, hint, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            binds![&secret.id, client_id, &secret.digest.text(), &secret.hint, secret.created_at, secret.expires_at],
        )
        .await
        .map(drop)
    }
}

impl Store {
    /// Stores a new client with its first secret. A duplicate id is a conflict.
    pub async fn insert_client(&self, now: Timestamp, origin: Origin, client: Client) -> Result<(), Error> {
        self.write(now, move |tx| Box::pin(async move { tx.insert_client(now, &origin, &client).await })).await
    }

    /// The client with its secrets, in any state.
    pub async fn find_client(&self, id: &str) -> Result<Option<Client>, Error> {
        let Some(mut client) = self.find::<Client>(FIND, binds![id]).await? else { return Ok(None) };
        client.secrets = self.list(SECRETS, binds![id]).await?;
        Ok(Some(client))
    }

    /// The clients of one owner sorted by name, at most `limit`; without secrets.
    pub async fn list_clients(&self, owner_id: &str, limit: i64) -> Result<Vec<Client>, Error> {
        self.list(OWNED, binds![owner_id, limit]).await
    }

    /// Changes a client; if an owner is given, only that owner's. Returns false if there is none, or it belongs to an
    /// API. Removing a redirect URI invalidates the codes sent to it.
    ///
    /// # Errors
    /// [`Error::Refused`] when the client has changed since the changes were authorized.
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
                if let Some(was) = &to.allowed_for {
                    check_unchanged(tx, &id, was).await?;
                }
                let (uris, scopes) =
                    (to.redirect_uris.as_deref().map(uris), to.scopes.map(|scopes| scopes.to_string()));
                let owner = tx
                    .find(
                        "UPDATE clients SET name = COALESCE($3, name), redirect_uris = COALESCE($4, redirect_uris),
                         scopes = COALESCE($5, scopes)
                         WHERE id = $1 AND api_id IS NULL AND ($2 IS NULL OR owner_id = $2) RETURNING owner_id",
                        binds![&id, &owner_id, &to.name, &uris, &scopes],
                    )
                    .await?;
                let Some(user_id) = owner else { return Ok(false) };
                tx.touch(EntityKind::Client, id.as_str());
                let event = Event { user_id, ..Event::new("client.update").client(&id) };
                tx.audit(now, &origin, event).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Adds a secret and makes the others expire at `others_end_at`. If an owner is given, only that owner's client.
    /// Returns false if there is no such confidential client.
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
                if tx.execute(LOCK_CONFIDENTIAL, binds![&id, &owner_id]).await? == 0 {
                    return Ok(false);
                }
                tx.execute("DELETE FROM client_secrets WHERE client_id = $1 AND expires_at <= $2", binds![&id, now])
                    .await?;
                tx.execute(
                    "UPDATE client_secrets SET expires_at = $2 WHERE client_id = $1
                     AND (expires_at IS NULL OR expires_at > $2)",
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

    /// Disables or enables a client; returns false if there is none.
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

    /// Deletes a client with its codes, grants, consents and secrets in one transaction; if an owner is given, only
    /// that owner's. Returns false if there is none. An API's client is never deleted: the API would be unprotected.
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
    // A redirect URI contains no spaces.
    uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>().join(" ")
}

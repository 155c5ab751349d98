//! Owns connections to PostgreSQL, and plain descriptions of connection errors. Does not use any table.

use std::time::Duration;

use sqlx::{
    ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use tokio::time::timeout;
use url::Url;

use super::{bounds::MARGIN, error::Error};
use crate::config::{is_local_host, ssl_mode};

pub(super) const CONNECTIONS: u32 = 16;

/// A pool that connects on demand, and a description of the server for messages to the operator.
pub(super) async fn connect(url: &str, wait: Duration) -> Result<(PgPool, String), Error> {
    let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
        // The message may repeat part of the URL, which may contain a password.
        drop(error);
        Error::Setup("invalid database URL; use postgres://user:password@host/database".to_owned())
    })?;
    let mut options = options.application_name("grantd").options([
        ("statement_timeout", format!("{}ms", wait.as_millis())),
        // A node that dies during a transaction must not block the other nodes' feed.
        ("idle_in_transaction_session_timeout", format!("{}ms", (wait + MARGIN).as_millis())),
        ("synchronous_commit", "on".to_owned()),
    ]);
    let is_local = options.get_socket().is_some() || is_local_host(options.get_host());
    let says = Url::parse(url).ok().and_then(|url| ssl_mode(&url));
    // Between machines TLS is required unless the URL specifies otherwise.
    if !is_local && says.is_none() && matches!(options.get_ssl_mode(), PgSslMode::Prefer) {
        options = options.ssl_mode(PgSslMode::Require);
    }
    let place = place(&options);
    // The pool would retry until its timeout; a single connection reports the error.
    let connected = match timeout(wait, options.connect()).await {
        Ok(connected) => connected.map_err(|error| unreachable(&place, &error))?,
        Err(_) => return Err(Error::Setup(format!("{place} did not answer within {} seconds", wait.as_secs()))),
    };
    connected.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(wait.mul_f32(0.75))
        .max_lifetime(Duration::from_secs(1800))
        // A ping before each use would double the reads; a broken connection makes the statement fail anyway.
        .test_before_acquire(false)
        .connect_lazy_with(options);
    Ok((pool, place))
}

/// A description of the server for messages to the operator; without the password.
fn place(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let (user, database) = (options.get_username(), options.get_database().unwrap_or(options.get_username()));
    format!("PostgreSQL at {host} (database {database}, user {user})")
}

fn unreachable(place: &str, error: &sqlx::Error) -> Error {
    Error::Setup(match error {
        sqlx::Error::Database(cause) => format!("{place} refused: {}", cause.message()),
        sqlx::Error::Io(cause) => format!("cannot reach {place}: {cause}"),
        sqlx::Error::Tls(cause) => format!(
            "{place}: {cause}; between machines TLS is required: turn it on there, or add ?sslmode=disable to the URL \
             where nobody else can listen on that network"
        ),
        error => format!("cannot connect to {place}: {error}"),
    })
}

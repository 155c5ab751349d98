//! Owns running the server: start, serve, and stop without losing anything. The parts are built in `app`.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Global, context, output};
use crate::{
    app::App,
    config::{Config, LogFormat},
    http::connections,
    model::error::Error,
    router::router,
    telemetry,
};

/// Run the server
#[derive(Debug, Args)]
pub struct Serve {
    /// Address to listen on, such as 127.0.0.1:8080, localhost:8080 or :8080 [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let config = context::config(global, &[("listen", self.listen)])?;
        prepare(&config)?;
        let listening = Listening::at(config.listen).await?;
        let app = Arc::new(context::app_or_new(config).await?);
        for warning in &app.config.warnings {
            tracing::warn!("{warning}");
        }
        let is_empty = app.store.list_users(1).await?.is_empty();
        serve(app, listening, |_| if is_empty { output::line(FIRST_STEPS) } else { Ok(()) }).await
    }
}

const FIRST_STEPS: &str = "\
The database is empty. To begin, run these in another terminal, with the same configuration:

  grantd user create --email you@example.com --admin          # prints a password once
  grantd api create --identifier https://api.example.com --name 'My API' \\
      --scope read='Read your data' --scope write='Change your data'
  grantd client create --name 'My app' --redirect-uri https://app.example.com/callback
  grantd key create --user you@example.com --scope read --expires-in 90d

Each prints what it created; the running server uses it within a second.
";

/// Starts the log, disables core dumps (they would hold secrets), and raises the limit of open files.
pub fn prepare(config: &Config) -> Result<(), Error> {
    telemetry::start_log(&config.log, config.log_format == LogFormat::Json)?;
    rlimit::increase_nofile_limit(u64::MAX).map_err(Error::server)?;
    rlimit::setrlimit(rlimit::Resource::CORE, 0, 0).map_err(Error::server)
}

/// A listening socket, and the signals that stop the server. Both exist from the first moment: a program that sees the
/// socket may stop the server. Bound before anything is created, so that a used port leaves no files.
#[derive(Debug)]
pub struct Listening {
    socket: TcpListener,
    terminate: Signal,
    interrupt: Signal,
}

impl Listening {
    /// Listens on this address.
    ///
    /// # Errors
    /// `invalid_request` with another address to try if it is in use.
    pub async fn at(address: SocketAddr) -> Result<Self, Error> {
        let terminate = signal(SignalKind::terminate()).map_err(Error::server)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Error::server)?;
        let socket = TcpListener::bind(address).await.map_err(|error| {
            Error::invalid_request(match error.kind() {
                ErrorKind::AddrInUse => format!(
                    "cannot listen on {address}: it is in use; choose another port, such as --listen {}",
                    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8080))
                ),
                _ => format!("cannot listen on {address}: {error}; choose another address with --listen"),
            })
        })?;
        Ok(Self { socket, terminate, interrupt })
    }
}

/// Serves until a signal; then requests finish and counts are written. `ready` is called once
/// the parts are built, before the first request is answered.
pub async fn serve(
    app: Arc<App>,
    listening: Listening,
    ready: impl FnOnce(SocketAddr) -> Result<(), Error>,
) -> Result<(), Error> {
    let Listening { socket, mut terminate, mut interrupt } = listening;
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    app.background.start(&tasks, &stop);
    let address = socket.local_addr().map_err(Error::server)?;
    // Before the first response, so that the output is there when the server answers. Connections wait in the socket.
    ready(address)?;
    let (taking, proxies) = (CancellationToken::new(), app.config.trusted_proxies.clone());
    let (bounds, until) = (app.config.connections.clone(), taking.clone());
    let routes = router(Arc::clone(&app));
    let serving = tokio::spawn(async move { connections::serve(socket, routes, &bounds, &proxies, until).await });
    tracing::info!(%address, issuer = %app.config.issuer, "serving");
    if let Some(warning) = app.config.missing_proxy() {
        tracing::warn!("{warning}");
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: finishing open requests first");
    taking.cancel();
    serving.await.map_err(Error::server)?.map_err(Error::server)?;
    // Before waiting for anything: the process may be killed before that ends.
    match app.background.flush().await {
        Ok(()) => tracing::info!("counts are written"),
        Err(error) => tracing::warn!(%error, "could not write counts; trying once more"),
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    app.background.flush().await?;
    // If another process has the database open, its log stays; the database file is complete nevertheless.
    Ok(app.store.checkpoint().await?)
}

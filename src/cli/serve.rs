//! Owns running the server: start, serve, stop without losing anything. Does not build the parts; see `app`.

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
    /// Where to listen, such as 127.0.0.1:8080, localhost:8080 or :8080 [default: 127.0.0.1:8080]
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
This database is empty. In another terminal, with the same configuration:

  grantd user create --email you@example.com --admin          # prints a password once
  grantd api create --identifier https://api.example.com --name 'My API' \\
      --scope read='Read your data' --scope write='Change your data'
  grantd client create --name 'My app' --redirect-uri https://app.example.com/callback
  grantd key create --user you@example.com --scope read --expires-in 90d

Each prints what it made; the running server notices.
";

/// Starts the log, keeps secrets out of core dumps, and allows as many open files as there may be.
pub fn prepare(config: &Config) -> Result<(), Error> {
    telemetry::start_log(&config.log, config.log_format == LogFormat::Json)?;
    rlimit::increase_nofile_limit(u64::MAX).map_err(Error::server)?;
    rlimit::setrlimit(rlimit::Resource::CORE, 0, 0).map_err(Error::server)
}

/// A socket that takes connections, and the signals that end it: heard from the first moment on, for whoever sees us
/// listen may tell us to stop. Bound before anything is created, so that a taken port leaves nothing behind.
#[derive(Debug)]
pub struct Listening {
    socket: TcpListener,
    terminate: Signal,
    interrupt: Signal,
}

impl Listening {
    /// Listens on this address.
    pub async fn at(address: SocketAddr) -> Result<Self, Error> {
        let terminate = signal(SignalKind::terminate()).map_err(Error::server)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Error::server)?;
        let socket = TcpListener::bind(address).await.map_err(|error| {
            Error::invalid_request(match error.kind() {
                ErrorKind::AddrInUse => format!(
                    "cannot listen on {address}: another program does already; choose another port, such as --listen {}",
                    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8080))
                ),
                _ => format!("cannot listen on {address}: {error}; --listen chooses another address"),
            })
        })?;
        Ok(Self { socket, terminate, interrupt })
    }
}

/// Serves until told to stop; then requests finish and counts are written. `ready` is called once
/// the parts are there, before the first request is answered.
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
    // Before the first answer: whoever has one can read what was said. Connections wait for us in the socket.
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
    tracing::info!("stopping: requests under way are finished first");
    taking.cancel();
    serving.await.map_err(Error::server)?.map_err(Error::server)?;
    // Before anything is waited for: whoever stops the server may not wait that long.
    match app.background.flush().await {
        Ok(()) => tracing::info!("counts are written"),
        Err(error) => tracing::warn!(%error, "counts could not be written and will be tried once more"),
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    app.background.flush().await?;
    // Whoever else has the database open keeps its log from being removed; the file alone is whole all the same.
    Ok(app.store.checkpoint().await?)
}

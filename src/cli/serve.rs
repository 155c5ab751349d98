//! Owns running the server: start, serve, stop without losing anything. Does not build the parts; see `app`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum_server::Handle;
use clap::Args;
use hyper_util::rt::TokioTimer;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Global, open, output};
use crate::{
    app::App,
    config::{Config, LogFormat},
    model::error::Error,
    router::router,
    telemetry,
};

/// Longest wait for a request's head, so that slow senders hold nothing open. hyper counts an idle connection's wait for
/// its next request too, so it is longer than the 60 s for which nginx keeps connections to its upstream.
const HEADER_TIMEOUT: Duration = Duration::from_secs(65);
/// Longest wait for requests to finish when stopping.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a request's head; hyper itself takes at most 100 headers.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Run the server
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), Error> {
        let config = open::config(global, &[("listen", self.listen)])?;
        prepare(&config)?;
        let app = Arc::new(open::app(config).await?);
        if app.store.list_users(1).await?.is_empty() {
            output::line(FIRST_STEPS)?;
        }
        serve(app, |_| Ok(())).await
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

/// Starts the log and keeps secrets out of core dumps.
pub fn prepare(config: &Config) -> Result<(), Error> {
    telemetry::start_log(&config.log, config.log_format == LogFormat::Json)?;
    rlimit::setrlimit(rlimit::Resource::CORE, 0, 0).map_err(Error::server)
}

/// Serves until told to stop; then requests finish and counts are written. `ready` is called once
/// the socket takes connections, before the first is answered.
pub async fn serve(app: Arc<App>, ready: impl FnOnce(SocketAddr) -> Result<(), Error>) -> Result<(), Error> {
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    app.background.start(&tasks, &stop);
    // Heard from the first moment on: whoever sees us listen may tell us to stop.
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::server)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::server)?;
    let listen = app.config.listen;
    let cannot = move |error: std::io::Error| Error::invalid_request(format!("cannot listen on {listen}: {error}"));
    let listener = std::net::TcpListener::bind(listen).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)
        .map_err(cannot)?
        .acceptor(axum_server::accept::NoDelayAcceptor::new())
        .handle(handle.clone());
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX);
    let service = router(Arc::clone(&app)).into_make_service_with_connect_info::<SocketAddr>();
    // Before the first answer: whoever has one can read what was said. Connections wait for us in the socket.
    ready(address)?;
    let serving = tokio::spawn(server.serve(service));
    tracing::info!(%address, issuer = app.config.issuer, "serving");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: requests under way are finished first");
    handle.graceful_shutdown(Some(STOP_TIMEOUT));
    serving.await.map_err(Error::server)?.map_err(Error::server)?;
    // Before anything is waited for: whoever stops the server may not wait that long.
    if let Err(error) = app.background.flush().await {
        tracing::warn!(%error, "counts could not be written and will be tried once more");
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    app.background.flush().await
}

//! Owns connections: how many are allowed, the timeouts of a peer, and their end when the server stops.
//!
//! HTTP/1.1 only: HTTP/2 is left to the proxy, as are its many ways to flood a server.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Extension, Router, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::config::Connections;

/// Bytes of a request's head, somewhat more than the longest URI; hyper itself accepts at most 100 headers.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How many networks' worth of connections an IPv6 site (a /48) may have in total.
const NETWORKS_OF_SITE: usize = 8;
/// Pause after a connection could not be accepted, for example for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Wait for a first request that is on its way when the server stops.
const STOP_HEAD: Duration = Duration::from_secs(1);
/// File descriptors reserved for the database, the log and outgoing requests.
const RESERVE: u64 = 128;
/// Most connections, however many file descriptors there are.
const CONNECTIONS_MAX: u64 = 1 << 20;

/// Accepts connections until `stop`; then finishes the requests in progress, for as long as the configuration allows.
///
/// # Errors
/// When the limit of file descriptors cannot be read.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: &Connections,
    trusted: &[IpNet],
    stop: CancellationToken,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(most(bounds, rlimit::Resource::NOFILE.get_soft()?)));
    let places = Arc::new(Slots { taken: Mutex::default(), most: bounds.per_network });
    // Built once, not for each request.
    let router: Router = router.with_state(());
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, peer) = listener.accept().await?;
            Ok::<_, io::Error>((permit, stream, peer))
        };
        let (permit, stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => match next {
                Ok(next) => next,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let address = peer.ip().to_canonical();
        // A trusted proxy forwards the requests of many senders.
        let is_trusted = trusted.iter().any(|network| network.contains(&address));
        let place = if is_trusted { None } else { places.take(address) };
        if place.is_none() && !is_trusted {
            continue;
        }
        let connection = Connection { stream, peer, bounds: bounds.clone(), _held: (permit, place) };
        open.spawn(connection.run(router.clone(), stop.child_token()));
    }
    drop(listener);
    let all = async { while open.join_next().await.is_some() {} };
    if timeout(Duration::from_secs(bounds.stop_seconds), all).await.is_err() {
        tracing::warn!(connections = open.len(), "some requests did not finish in time");
        open.shutdown().await;
    }
    Ok(())
}

/// Most connections at a time: the configured number, but never so many that the rest of the server has no descriptors.
fn most(bounds: &Connections, descriptors: u64) -> usize {
    let room = descriptors.saturating_sub(RESERVE).max(descriptors / 4).clamp(1, CONNECTIONS_MAX);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if bounds.total == 0 { room } else { room.min(bounds.total) }
}

/// One connection, with the permits it holds until it ends.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    bounds: Connections,
    _held: (OwnedSemaphorePermit, Option<Slot>),
}

impl Connection {
    async fn run(self, router: Router, stop: CancellationToken) {
        // Answers are written in one piece, so there is nothing to gain from Nagle's algorithm.
        if self.stream.set_nodelay(true).is_err() {
            return;
        }
        let seconds = Duration::from_secs;
        let heard = Arc::new(AtomicBool::new(false));
        let service = tower::ServiceBuilder::new()
            .layer(Extension(ConnectInfo(self.peer)))
            .map_request({
                let heard = Arc::clone(&heard);
                move |request: Request<Incoming>| {
                    heard.store(true, Ordering::Relaxed);
                    request
                }
            })
            .service(router);
        let stream = Unstalled { stream: self.stream, longest: seconds(self.bounds.write_seconds), stalled: None };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // hyper applies this timeout to an idle connection's wait for its next request too.
            .header_read_timeout(seconds(self.bounds.idle_seconds))
            .max_buf_size(HEAD_BYTES_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::pin!(connection);
        let until_heard = std::future::poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if heard.load(Ordering::Relaxed) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        });
        let stopped = async {
            stop.cancelled().await;
            sleep(STOP_HEAD).await;
        };
        // The connection ended, or no complete head came in time. After the first request, none of this is polled.
        let is_over = tokio::select! {
            biased;
            heard = timeout(seconds(self.bounds.first_head_seconds), until_heard) => heard.unwrap_or(true),
            () = stopped => true,
        };
        if is_over {
            return;
        }
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, peer = %self.peer, "connection lost");
        }
    }
}

/// How many connections each network and each IPv6 site has.
struct Slots {
    taken: Mutex<HashMap<IpNet, SlotGuard>>,
    most: usize,
}

#[derive(Default)]
struct SlotGuard {
    connections: usize,
    is_told: bool,
}

/// One connection's slot in its networks, until it is dropped.
struct Slot {
    places: Arc<Slots>,
    networks: Vec<IpNet>,
}

/// The networks that an address belongs to: one for an IPv4 address; for an IPv6 address, its subscriber's /64 and its
/// site's /48, which may have more connections.
fn networks(address: IpAddr) -> Vec<(IpNet, usize)> {
    let lengths: &[(u8, usize)] = if address.is_ipv4() { &[(32, 1)] } else { &[(64, 1), (48, NETWORKS_OF_SITE)] };
    let network = |&(length, times): &(u8, usize)| Some((IpNet::new(address, length).ok()?.trunc(), times));
    lengths.iter().filter_map(network).collect()
}

impl Slots {
    /// A slot, unless one of its networks is full. That is logged once, until the network has no connections left.
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let of = networks(address);
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for (network, times) in &of {
            let Some(taken) =
                all.get_mut(network).filter(|taken| taken.connections >= self.most.saturating_mul(*times))
            else {
                continue;
            };
            if !std::mem::replace(&mut taken.is_told, true) {
                tracing::warn!(
                    %network,
                    connections = taken.connections,
                    "too many connections from one network; closing further ones. If it is your proxy, add it to \
                     trusted_proxies; otherwise see connections.per_network"
                );
            }
            return None;
        }
        let networks: Vec<IpNet> = of.into_iter().map(|(network, _)| network).collect();
        for network in &networks {
            all.entry(*network).or_default().connections += 1;
        }
        drop(all);
        Some(Slot { places: Arc::clone(self), networks })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut all = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for network in &self.networks {
            let Some(taken) = all.get_mut(network) else { continue };
            taken.connections -= 1;
            if taken.connections == 0 {
                all.remove(network);
            }
        }
    }
}

/// A stream on which writing fails if the peer reads nothing for too long. The timer exists only while a write waits.
struct Unstalled {
    stream: TcpStream,
    longest: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Unstalled {
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.stream), cx) {
            self.stalled = None;
            return Poll::Ready(done);
        }
        let longest = self.longest;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(longest))).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Unstalled {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Unstalled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_per_network_are_bounded_and_released() {
        // THREATS: HX3
        let places = Arc::new(Slots { taken: Mutex::default(), most: 2 });
        let take = |address: &str| places.take(address.parse().expect("an address"));
        let held = [take("2001:db8:1:2::1"), take("2001:db8:1:2:ffff::")];
        assert!(held.iter().all(Option::is_some));
        assert!(take("2001:db8:1:2::3").is_none() && take("2001:db8:1:3::1").is_some());
        drop(held);
        assert!(places.taken.lock().expect("places").is_empty());
        assert!(take("2001:db8:1:2::3").is_some());
    }

    #[test]
    fn connections_of_an_ipv6_site_are_bounded() {
        // THREATS: HX3
        let places = Arc::new(Slots { taken: Mutex::default(), most: 2 });
        let take = |address: &str| places.take(address.parse().expect("an address"));
        let held: Vec<_> = (0..20).map(|subnet| take(&format!("2001:db8:1:{subnet:x}::1"))).collect();
        assert_eq!(held.iter().filter(|place| place.is_some()).count(), 16, "of one /48");
        assert!(take("2001:db8:2:1::1").is_some() && take("192.0.2.1").is_some(), "others are not affected");
        drop(held);
        assert!(places.taken.lock().expect("places").is_empty());
    }

    #[test]
    fn memory_of_unfinished_heads_is_bounded_by_default() {
        // THREATS: HX3
        let config = crate::config::Config::load(None, [], &[("issuer", "https://auth.example.test".to_owned())]);
        let bounds = config.expect("a configuration").connections;
        assert!(most(&bounds, u64::MAX) * HEAD_BYTES_MAX <= 256 << 20, "256 MiB");
    }

    #[test]
    fn connections_leave_file_descriptors_in_reserve() {
        // THREATS: HX3
        let bounds = |total| Connections {
            per_network: 256,
            total,
            first_head_seconds: 10,
            idle_seconds: 65,
            write_seconds: 30,
            stop_seconds: 20,
        };
        assert_eq!((most(&bounds(0), 1024), most(&bounds(100), 1024), most(&bounds(5000), 1024)), (896, 100, 896));
        assert_eq!((most(&bounds(0), 64), most(&bounds(0), u64::MAX)), (16, 1 << 20));
    }
}

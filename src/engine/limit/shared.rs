//! Owns counting together with the other nodes, in a shared Redis or Valkey. Does not decide what happens while it is
//! unavailable; see [`super::Limiter`].
//!
//! One script per decision keeps a count exact under concurrency. It uses Redis's own clock, so that nodes whose clocks
//! differ share one window. No request waits for a connection: a lost one is restored in the background.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use redis::{AsyncConnectionConfig, Client, Script, aio::MultiplexedConnection};
use tokio::time::{Instant, timeout};

use super::window::{Ask, Counted, Limit, Subject, WINDOWS, Window};
use crate::model::error::Error;

/// The timeout of a connection attempt, as a multiple of that of an answer. No request waits for a connection.
const CONNECT_WAITS: u32 = 10;
/// Pause between two connection attempts.
const REST: Duration = Duration::from_secs(1);
/// Bytes of a name: enough that no two subjects share one.
const NAME_BYTES: usize = 18;
const SCRIPT: &str = include_str!("shared.lua");

/// The counts shared by all nodes.
pub(super) struct Shared {
    client: Client,
    script: Script,
    names: hmac::Key,
    /// Longest wait for one decision. If Redis hangs, each request in progress waits this long, once.
    wait: Duration,
    link: ArcSwapOption<RedisConnection>,
    connecting: AtomicBool,
    is_gone: AtomicBool,
    started: Instant,
    rest_until_ms: std::sync::atomic::AtomicU64,
}

struct RedisConnection(MultiplexedConnection);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("Shared").field("is_gone", &self.is_gone).finish_non_exhaustive()
    }
}

impl Shared {
    /// Connects at once if possible; otherwise later, in the background.
    pub(super) async fn connect(url: &str, names: hmac::Key, wait: Duration) -> Result<Arc<Self>, Error> {
        let wrong = |_| Error::invalid_request("limits.shared is not a URL such as redis://127.0.0.1:6379/0");
        let shared = Arc::new(Self {
            client: Client::open(url).map_err(wrong)?,
            script: Script::new(SCRIPT),
            names,
            wait,
            link: ArcSwapOption::empty(),
            connecting: AtomicBool::new(true),
            is_gone: AtomicBool::new(false),
            started: Instant::now(),
            rest_until_ms: 0.into(),
        });
        shared.link_up().await;
        Ok(shared)
    }

    pub(super) fn is_reached(&self) -> bool {
        self.link.load().is_some()
    }

    /// The result of an operation, or `None` if Redis is unavailable.
    pub(super) async fn ask(self: &Arc<Self>, ask: Ask, subject: Subject<'_>, limits: &[Limit]) -> Option<Counted> {
        let Some(link) = self.link.load_full() else {
            self.look_again();
            return None;
        };
        let mut call = self.script.key(self.name(subject));
        call.arg(match ask {
            Ask::Peek => "peek",
            Ask::Count => "count",
            Ask::Release => "release",
            Ask::Reset => "forget",
        });
        for limit in limits {
            call.arg(limit.seconds).arg(u8::from(limit.aligned)).arg(limit.most.map_or(-1, i64::from));
        }
        let mut connection = link.0.clone();
        let answer = timeout(self.wait, call.invoke_async::<Vec<i64>>(&mut connection)).await;
        let counted = match answer {
            Ok(Ok(numbers)) => counted(&numbers).ok_or_else(|| "an unexpected response".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        counted.map_err(|error| self.lost(&link, &error)).ok()
    }

    /// The Redis key of a subject: a keyed hash, in the braces of a cluster hash tag.
    fn name(&self, subject: Subject<'_>) -> String {
        let mut context = hmac::Context::with_key(&self.names);
        for part in [subject.kind, subject.parts[0], subject.parts[1]] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        format!("grantd:limit:{{{}}}", BASE64URL_NOPAD.encode(&context.sign().as_ref()[..NAME_BYTES]))
    }

    /// Drops a connection that failed. Only the first caller to do so reports it.
    fn lost(&self, link: &Arc<RedisConnection>, error: &str) {
        let before = self.link.compare_and_swap(link, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, link)) {
            self.gone(error);
        }
    }

    fn gone(&self, error: &str) {
        self.rest_until_ms.store(self.steady_ms().saturating_add(millis(REST)), Ordering::Release);
        if !self.is_gone.swap(true, Ordering::AcqRel) {
            tracing::warn!(error, "cannot reach the shared limits; limits.shared_failure applies");
        }
    }

    /// Starts one connection attempt, unless one is in progress or the last one was a moment ago.
    fn look_again(self: &Arc<Self>) {
        if self.steady_ms() < self.rest_until_ms.load(Ordering::Acquire) || self.connecting.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let shared = Arc::clone(self);
        tokio::spawn(async move { shared.link_up().await });
    }

    async fn link_up(&self) {
        let wait = self.wait * CONNECT_WAITS;
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(wait)).set_response_timeout(Some(wait));
        let connect = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            // A server that accepts but does not answer is unavailable; so is one that may not run the script.
            self.script.load_async(&mut connection).await?;
            Ok::<_, redis::RedisError>(connection)
        };
        match timeout(wait, connect).await {
            Ok(Ok(connection)) => {
                self.link.store(Some(Arc::new(RedisConnection(connection))));
                if self.is_gone.swap(false, Ordering::AcqRel) {
                    tracing::info!("the shared limits are reachable again");
                }
            }
            Ok(Err(error)) => self.gone(&error.to_string()),
            Err(_) => self.gone("no connection in time"),
        }
        self.connecting.store(false, Ordering::Release);
    }

    fn steady_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Parses the script's answer: its clock, then for each window its end, its count, and whether it was full.
fn counted(numbers: &[i64]) -> Option<Counted> {
    let (&now, rest) = numbers.split_first()?;
    let mut counted = Counted { now, windows: [Window::default(); WINDOWS], over: [false; WINDOWS] };
    for (at, window) in rest.chunks(3).enumerate() {
        let [ends, count, over] = *window else { return None };
        *counted.windows.get_mut(at)? = Window { ends: u32::try_from(ends).ok()?, count: u32::try_from(count).ok()? };
        counted.over[at] = over != 0;
    }
    Some(counted)
}

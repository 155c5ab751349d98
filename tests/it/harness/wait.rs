//! Owns waiting: for a condition or an event, with a bound that only a broken server reaches. The only place in the
//! tests that reads a clock or sleeps, so that no verdict depends on the machine's speed; `tidy_time` checks that.

use std::{
    fmt::Display,
    panic::Location,
    process::Command,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// The same for timeouts of the server, in seconds, when the timeout is not tested.
pub const PATIENT: &str = "180";
const MOMENT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(10);

/// A polling loop: if asked for a pause again and again, it fails after [`PATIENCE`].
pub struct Patience(Instant);

impl Patience {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    fn is_over(&self) -> bool {
        self.0.elapsed() > PATIENCE
    }

    pub async fn pause(&self, what: impl Display) {
        assert!(!self.is_over(), "{what} did not come");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Polls until there is a result; fails with `what` if there is none.
#[track_caller]
pub fn until<T>(what: impl Display, probe: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move { try_until(probe).await.unwrap_or_else(|| panic!("{caller}: {what} did not come")) }
}

/// The same; `None` if there is no result.
pub async fn try_until<T>(mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let patience = Patience::new();
    loop {
        let found = probe().await;
        if found.is_some() || patience.is_over() {
            return found;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same without a runtime.
#[track_caller]
pub fn until_now<T>(what: impl Display, mut probe: impl FnMut() -> Option<T>) -> T {
    let patience = Patience::new();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(!patience.is_over(), "{what} did not come");
        thread::sleep(PAUSE);
    }
}

/// The result of something that ends by itself.
#[track_caller]
pub fn in_time<T>(what: impl Display, work: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move { tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{caller}: {what} does not end")) }
}

/// Kills the program with this id unless the returned value is dropped within [`PATIENCE`]: a command that should be
/// refused but is not may be a server that keeps running.
#[must_use]
pub fn or_kill(id: u32) -> Sender<()> {
    let (done, ended) = channel();
    thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // It may have ended at the last moment.
            drop(Command::new("/bin/sh").args(["-c", &format!("kill -KILL {id}")]).status());
        }
    });
    done
}

/// Waits at least this long. Only for assertions that hold after any longer time too.
pub async fn at_least(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Advances the runtime's clock, and with it every interval and timeout of a server in process. Needs a test with
/// one thread.
pub async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Waits briefly while this holds, as a courtesy; the result does not matter.
pub fn a_moment(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while holds() && began.elapsed() < MOMENT {
        thread::sleep(PAUSE);
    }
}

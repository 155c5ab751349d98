//! Owns waiting: for a condition or an event, with a bound that nothing but a broken server reaches. The only place of the
//! tests that looks at a clock or sleeps, so that no verdict depends on how fast a machine is; `tidy_time` sees to that.

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
/// The same for settings of the server, in seconds: what it gives up after is not what is tested.
pub const PATIENT: &str = "180";
const MOMENT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(10);

/// A loop that waits: asked for a pause again and again, it fails after [`PATIENCE`].
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

/// Asks again and again until there is an answer; `what` was waited for, if there is none.
#[track_caller]
pub fn until<T>(what: impl Display, probe: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move { try_until(probe).await.unwrap_or_else(|| panic!("{caller}: {what} did not come")) }
}

/// The same; nothing where it did not come.
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

/// What comes of this, which is to end by itself.
#[track_caller]
pub fn in_time<T>(what: impl Display, work: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move { tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{caller}: {what} does not end")) }
}

/// Kills the program with this id unless what is returned is dropped within [`PATIENCE`]: a command that ought to be refused
/// and is not may be a server that runs on.
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

/// Lets at least so much time pass. Only for what holds just as well after any longer time.
pub async fn at_least(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Moves the runtime's clock on at once, and with it every period and every limit of a server in process. Needs a test on
/// one thread.
pub async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Waits for a short while as long as this holds: for politeness alone, whatever comes of it.
pub fn a_moment(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while holds() && began.elapsed() < MOMENT {
        thread::sleep(PAUSE);
    }
}

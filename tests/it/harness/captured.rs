//! Owns the log lines of a test: everything the server would write, at every level. It captures one thread, that of a
//! test.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch,
    level_filters::LevelFilter,
    subscriber::{DefaultGuard, NoSubscriber},
};
use tracing_subscriber::{fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// With only one subscriber, a line's first thread decides for all threads whether it is ever written, and that
/// may be another test's, which has none. With two subscribers, every thread is asked.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

/// Captures until it is dropped.
pub struct Captured {
    text: Sink,
    _until_dropped: DefaultGuard,
}

impl Captured {
    /// In the format of `telemetry::start_log`, with another writer.
    pub fn start() -> Self {
        LazyLock::force(&SECOND);
        let text = Sink::default();
        let writer = text.clone();
        let layer = fmt::layer().with_target(false).with_ansi(false).with_writer(move || writer.clone());
        let guard = tracing_subscriber::registry().with(LevelFilter::TRACE).with(layer).set_default();
        Self { text, _until_dropped: guard }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.0.lock().expect("log")).into_owned()
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("log").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

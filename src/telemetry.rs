//! Owns logs and metrics. Does not decide what is logged; no secret is ever handed to it.

use std::{
    collections::HashMap,
    io::{IsTerminal, stderr},
    sync::RwLock,
    time::Duration,
};

use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::model::error::Error;

/// Bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 11] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// This server's metrics.
pub struct Telemetry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    routes: RwLock<HashMap<String, [Route; 6]>>,
}

/// The instruments of one route and status class.
#[derive(Clone)]
struct Route {
    requests: Counter,
    seconds: Histogram,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Telemetry")
    }
}

impl Telemetry {
    /// Instruments of one server.
    ///
    /// # Errors
    /// `server_error` when the recorder cannot be built.
    pub fn new() -> Result<Self, Error> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full("http_request_seconds".to_owned()), &BUCKETS)
            .map_err(Error::server)?
            .build_recorder();
        Ok(Self { handle: recorder.handle(), recorder, routes: RwLock::default() })
    }

    /// Counts one answered request. `route` is one of the router's own patterns, so there are few.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let class = usize::from(status / 100).min(5);
        let record = |instruments: &Route| {
            instruments.requests.increment(1);
            instruments.seconds.record(took);
        };
        if let Some(classes) = self.routes.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(route) {
            return record(&classes[class]);
        }
        let classes = std::array::from_fn(|class| self.instruments(route, class));
        record(&classes[class]);
        self.routes.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(route.to_owned(), classes);
    }

    /// The page of `/metrics`, in Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// Folds recorded values into their buckets, so that they do not pile up between two renderings.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn instruments(&self, route: &str, class: usize) -> Route {
        let labels = vec![Label::new("route", route.to_owned()), Label::new("status", format!("{class}xx"))];
        Route {
            requests: self
                .recorder
                .register_counter(&Key::from_parts("http_requests_total", labels.clone()), &METADATA),
            seconds: self.recorder.register_histogram(&Key::from_parts("http_request_seconds", labels), &METADATA),
        }
    }
}

/// Starts logging to standard error: lines for people, or JSON objects.
///
/// # Errors
/// `invalid_request` when the filter cannot be read.
pub fn start_log(filter: &str, json: bool) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|_| Error::invalid_request("log: a level such as info, or grantd=debug,info"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry.with(fmt::layer().json().with_writer(stderr)).try_init()
    } else {
        // Colours are for terminals; in a file they are noise.
        let layer = fmt::layer().with_target(false).with_ansi(stderr().is_terminal()).with_writer(stderr);
        registry.with(layer).try_init()
    };
    started.map_err(Error::server)
}

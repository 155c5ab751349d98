//! Owns the metric types, plain atomics that cost one addition, and the page in Prometheus' text format. Contains no
//! metric families; those are all in `ops::metrics`.
//!
//! No registry: each component owns its counters and needs no look-up, and nothing accumulates between two scrapes.

use std::{
    collections::HashMap,
    fmt::{Display, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

/// Upper bounds of the latency buckets, in seconds.
const BOUNDS: [f64; 8] = [0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5];
/// The same in nanoseconds.
const BOUNDS_NANOS: [u64; 8] =
    [100_000, 500_000, 1_000_000, 5_000_000, 25_000_000, 100_000_000, 500_000_000, 2_500_000_000];
/// Most names in one [`Named`]; further ones are counted as `other`.
const NAMES_MAX: usize = 256;

/// Number of times that something happened.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds one.
    pub fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Number of things in progress.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

/// One thing that is in progress until this is dropped.
#[derive(Debug)]
pub struct UnderWay<'l>(&'l Level);

impl Level {
    /// Counts one thing for as long as the returned value is held.
    pub fn enter(&self) -> UnderWay<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// The current number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Durations, in buckets.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Latency {
    /// Records one duration.
    pub fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NANOS.iter().position(|&bound| nanos <= bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Metrics distinguished by a name, of which there are few. A look-up takes no lock.
#[derive(Debug)]
pub struct Named<T> {
    known: ArcSwap<HashMap<Box<str>, Arc<T>>>,
    adding: Mutex<()>,
}

impl<T> Default for Named<T> {
    /// Without names.
    fn default() -> Self {
        Self { known: ArcSwap::default(), adding: Mutex::default() }
    }
}

impl<T: Default> Named<T> {
    /// With these names from the start, so that their first event is an increase and not a new series.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let named = Self::default();
        for name in names {
            named.add(name);
        }
        named
    }

    /// Calls `then` with the metric of this name.
    pub fn with<R>(&self, name: &str, then: impl FnOnce(&T) -> R) -> R {
        if let Some(known) = self.known.load().get(name) {
            return then(known);
        }
        then(&self.add(name))
    }

    /// Every name with its metric, sorted.
    #[must_use]
    pub fn all(&self) -> Vec<(Box<str>, Arc<T>)> {
        let known = self.known.load();
        let mut all: Vec<_> = known.iter().map(|(name, one)| (name.clone(), Arc::clone(one))).collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    fn add(&self, name: &str) -> Arc<T> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = HashMap::clone(&self.known.load());
        let name = if known.len() < NAMES_MAX { name } else { "other" };
        let added = Arc::clone(known.entry(name.into()).or_default());
        self.known.store(Arc::new(known));
        added
    }
}

/// Prometheus type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only increases.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Latencies in buckets.
    Histogram,
}

/// The page of `/metrics`, in Prometheus' text format 0.0.4.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Starts a family; its samples follow.
    pub fn family(&mut self, kind: Kind, name: &'static str, help: &'static str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { page: self, name }
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        _ = self.0.write_fmt(text);
    }
}

/// A family to which samples are added.
#[derive(Debug)]
pub struct Family<'p> {
    page: &'p mut Page,
    name: &'static str,
}

impl Family<'_> {
    /// Adds one sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, None, value)
    }

    /// Adds one histogram.
    pub fn latency(&mut self, labels: &[(&str, &str)], latency: &Latency) -> &mut Self {
        let mut count = 0;
        let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bucket, bound) in latency.buckets.iter().zip(bounds) {
            count += bucket.load(Ordering::Relaxed);
            self.line("_bucket", labels, Some(&bound), count);
        }
        let seconds = Duration::from_nanos(latency.nanos.load(Ordering::Relaxed)).as_secs_f64();
        self.line("_sum", labels, None, seconds).line("_count", labels, None, count)
    }

    fn line(&mut self, end: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl Display) -> &mut Self {
        self.page.write(format_args!("{}{end}", self.name));
        let bound = bound.map(|bound| ("le", bound));
        for (at, (label, text)) in labels.iter().copied().chain(bound).enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.page.write(format_args!("{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' }));
        }
        let close = if labels.is_empty() && bound.is_none() { "" } else { "}" };
        self.page.write(format_args!("{close} {value}\n"));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_page_follows_the_prometheus_format() {
        let (latency, mut page) = (Latency::default(), Page::default());
        latency.record(Duration::from_micros(100));
        latency.record(Duration::from_millis(2));
        latency.record(Duration::from_secs(9));
        page.family(Kind::Gauge, "a", "What it is").sample(&[("x", "say \"hi\"\\\n"), ("y", "")], 1.5);
        page.family(Kind::Histogram, "b_seconds", "How long").latency(&[("route", "/")], &latency);
        let expected = r#"# HELP a What it is
# TYPE a gauge
a{x="say \"hi\"\\\n",y=""} 1.5
# HELP b_seconds How long
# TYPE b_seconds histogram
b_seconds_bucket{route="/",le="0.0001"} 1
b_seconds_bucket{route="/",le="0.0005"} 1
b_seconds_bucket{route="/",le="0.001"} 1
b_seconds_bucket{route="/",le="0.005"} 2
b_seconds_bucket{route="/",le="0.025"} 2
b_seconds_bucket{route="/",le="0.1"} 2
b_seconds_bucket{route="/",le="0.5"} 2
b_seconds_bucket{route="/",le="2.5"} 2
b_seconds_bucket{route="/",le="+Inf"} 3
b_seconds_sum{route="/"} 9.0021
b_seconds_count{route="/"} 3
"#;
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn number_of_names_is_bounded() {
        let named: Named<Count> = Named::of(["first"]);
        for n in 0..2 * NAMES_MAX {
            named.with(&n.to_string(), Count::one);
        }
        let all = named.all();
        assert_eq!((all.len(), all.iter().map(|(_, count)| count.get()).sum::<u64>()), (NAMES_MAX + 1, 512));
        assert!(all.iter().any(|(name, count)| &**name == "other" && count.get() == 257));
    }

    #[test]
    fn level_counts_work_until_it_is_dropped() {
        let level = Level::default();
        let one = level.enter();
        drop(level.enter());
        assert_eq!(level.get(), 1);
        drop(one);
        assert_eq!(level.get(), 0);
    }
}

//! Owns logging and request metrics. Does not decide what is logged; secrets are never passed to it.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    meters::{Count, Latency, Named},
    model::{error::Error, reason::Reason},
};

/// Outcomes of sign-ins.
pub const SIGN_INS: [&str; 4] = ["success", "wrong", "limited", "unavailable"];

/// Request metrics.
#[derive(Debug)]
pub struct Telemetry {
    /// By route pattern.
    pub routes: Named<Route>,
    /// Sign-ins by outcome, see [`SIGN_INS`].
    pub sign_ins: Named<Count>,
    /// Refused requests by [`Reason::as_str`].
    pub refusals: Named<Count>,
}

/// Metrics of one route.
#[derive(Debug, Default)]
pub struct Route {
    /// Responses by the first digit of their status; statuses outside HTTP's classes come first.
    pub answers: [Count; 6],
    /// From the request head to the response head.
    pub took: Latency,
}

impl Default for Telemetry {
    /// Nothing counted yet.
    fn default() -> Self {
        Self { routes: Named::default(), sign_ins: Named::of(SIGN_INS), refusals: Named::of(Reason::WORDS) }
    }
}

impl Telemetry {
    /// Counts one answered request. `route` is a route pattern of the router, so there are few.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        self.routes.with(route, |route| {
            route.answers.get(usize::from(status / 100)).unwrap_or(&route.answers[0]).one();
            route.took.record(took);
        });
    }
}

/// Starts logging to standard error: text for people, or JSON objects.
///
/// # Errors
/// `invalid_request` when the filter cannot be parsed.
pub fn start_log(filter: &str, json: bool) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|_| Error::invalid_request("log must be a level such as info, or grantd=debug,info"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry.with(fmt::layer().json().with_writer(stderr)).try_init()
    } else {
        // Colors are for terminals only.
        let layer = fmt::layer().with_target(false).with_ansi(stderr().is_terminal()).with_writer(stderr);
        registry.with(layer).try_init()
    };
    started.map_err(Error::server)
}

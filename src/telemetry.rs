//! Owns logs, and what is counted of requests. Does not decide what is logged; no secret is ever handed to it.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    meters::{Count, Latency, Named},
    model::{error::Error, reason::Reason},
};

/// How sign-ins end.
pub const SIGN_INS: [&str; 4] = ["success", "wrong", "limited", "unavailable"];

/// What is counted of requests.
#[derive(Debug)]
pub struct Telemetry {
    /// By the router's own pattern.
    pub routes: Named<Route>,
    /// Sign-ins by how they ended, see [`SIGN_INS`].
    pub sign_ins: Named<Count>,
    /// Refused requests by [`Reason::as_str`].
    pub refusals: Named<Count>,
}

/// What is counted of one route.
#[derive(Debug, Default)]
pub struct Route {
    /// Answers by the first digit of their status; those of none of HTTP's own classes first.
    pub answers: [Count; 6],
    /// From the request's head to the answer's.
    pub took: Latency,
}

impl Default for Telemetry {
    /// Nothing counted yet.
    fn default() -> Self {
        Self { routes: Named::default(), sign_ins: Named::of(SIGN_INS), refusals: Named::of(Reason::WORDS) }
    }
}

impl Telemetry {
    /// Counts one answered request. `route` is one of the router's own patterns, so there are few.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        self.routes.with(route, |route| {
            route.answers.get(usize::from(status / 100)).unwrap_or(&route.answers[0]).one();
            route.took.record(took);
        });
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

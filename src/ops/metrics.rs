//! Owns every family of `/metrics`: its name, its help text and the source of its numbers. Counts nothing itself.

use super::process;
use crate::{
    app::App,
    meters::{
        Count,
        Kind::{Counter, Gauge, Histogram},
        Named, Page,
    },
};

/// HTTP status classes by first digit.
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The page, read from every part. Runs no query; its size does not depend on the number of users, keys or grants.
pub(super) fn page(app: &App) -> String {
    let mut page = Page::default();
    let database = if app.config.is_embedded() { "sqlite" } else { "postgres" };
    page.family(Gauge, "grantd_build_info", "Version and database engine of this node; always 1")
        .sample(&[("version", env!("CARGO_PKG_VERSION")), ("database", database)], 1);
    process::write(&mut page);
    requests(&mut page, app);
    credentials(&mut page, app);
    limits(&mut page, app);
    store(&mut page, app);
    states(&mut page, app);
    background(&mut page, app);
    page.into_text()
}

fn requests(page: &mut Page, app: &App) {
    let routes = app.telemetry.routes.all();
    let mut answers = page.family(Counter, "grantd_http_requests_total", "Responses by route and status class");
    for (name, route) in &routes {
        let seen = route.answers.iter().zip(CLASSES).filter(|(count, _)| count.get() > 0);
        for (count, class) in seen {
            answers.sample(&[("route", name), ("status", class)], count.get());
        }
    }
    let help = "Time from a request's head to the response, in seconds";
    let mut took = page.family(Histogram, "grantd_http_request_duration_seconds", help);
    for (name, route) in &routes {
        took.latency(&[("route", name)], &route.took);
    }
    let help = "Sign-ins by outcome; limited ones were not checked";
    by_name(page, "grantd_sign_ins_total", help, "outcome", &app.telemetry.sign_ins);
    let help = "Requests refused because of their credential, by reason; without introspection";
    by_name(page, "grantd_refusals_total", help, "reason", &app.telemetry.refusals);
}

fn credentials(page: &mut Page, app: &App) {
    let (checks, entries, bytes) = app.verifier.meters();
    let help = "Credentials checked by this server, the gateway or introspection, by kind and outcome";
    let mut checked = page.family(Counter, "grantd_credentials_checked_total", help);
    for (kind, outcome, count) in checks.all() {
        checked.sample(&[("kind", kind), ("outcome", &outcome)], count);
    }
    page.family(Counter, "grantd_credential_cache_lookups_total", "Credential cache lookups: hit or miss")
        .sample(&[("outcome", "hit")], checks.hits.get())
        .sample(&[("outcome", "miss")], checks.misses.get());
    page.family(Gauge, "grantd_credential_cache_entries", "Cached credentials").sample(&[], entries);
    page.family(Gauge, "grantd_credential_cache_bytes", "Estimated memory of cached credentials").sample(&[], bytes);
    let help = "Maximum memory of cached credentials (limits.credential_cache_mebibytes)";
    page.family(Gauge, "grantd_credential_cache_capacity_bytes", help)
        .sample(&[], app.config.limits.credential_cache());
}

fn limits(page: &mut Page, app: &App) {
    let help = "Requests over their plan's hourly limit or burst, by plan";
    by_name(page, "grantd_plan_limited_total", help, "plan", &app.limiter.limited);
    let help = "Attempts refused after too many failures, by guard";
    by_name(page, "grantd_guard_refusals_total", help, "guard", &app.limiter.throttled);
    let help = "Whether limits.shared is reachable: 0 or 1; absent if not configured";
    let mut shared = page.family(Gauge, "grantd_shared_limits_up", help);
    if let Some(is_reached) = app.limiter.is_shared() {
        shared.sample(&[], u8::from(is_reached));
    }
}

fn store(page: &mut Page, app: &App) {
    let operations = app.store.meter().operations();
    let help = "Time of database operations, in seconds: read, feed (polling for changes), write (whole), commit";
    let mut took = page.family(Histogram, "grantd_database_duration_seconds", help);
    for (name, operation) in operations {
        took.latency(&[("operation", name)], &operation.took);
    }
    let mut failed = page.family(Counter, "grantd_database_errors_total", "Failed database operations");
    for (name, operation) in operations {
        failed.sample(&[("operation", name)], operation.failed.get());
    }
    let connections = app.store.connections();
    page.family(Gauge, "grantd_database_connections", "Connections of this node to the database, by state")
        .sample(&[("state", "busy")], connections.busy)
        .sample(&[("state", "idle")], connections.idle);
    page.family(Gauge, "grantd_database_connections_max", "Maximum number of connections")
        .sample(&[], connections.most);
    let help = "Writes waiting or in progress; the embedded database refuses more than 1024";
    page.family(Gauge, "grantd_writer_queue_length", help).sample(&[], app.store.meter().writing.get());
    let lag_ms = app.store.freshness().lag_ms();
    let help = "Time since this node last read all changes; from 1 s on it does not use its caches";
    page.family(Gauge, "grantd_feed_lag_seconds", help).sample(&[], lag_ms as f64 / 1000.0);
}

fn states(page: &mut Page, app: &App) {
    let told = app.background.census.totals();
    let families = [
        ("grantd_api_keys", "API keys by state, as of the last complete count"),
        ("grantd_grants", "Grants by state, as of the last complete count; a pending one has an unredeemed code"),
    ];
    for ((states, told), (name, help)) in told.iter().zip(families) {
        let mut family = page.family(Gauge, name, help);
        for (state, count) in states.iter().zip(told.iter().flat_map(|told| &told.states)) {
            family.sample(&[("state", state)], count);
        }
    }
    let now = app.clock.now();
    let help = "Age of the counts of keys and grants: a minute, more if there are over 40,000";
    let mut age = page.family(Gauge, "grantd_count_age_seconds", help);
    for ((_, told), of) in told.iter().zip(["api_keys", "grants"]) {
        if let Some(told) = told {
            age.sample(&[("of", of)], now.seconds() - told.at.seconds());
        }
    }
    let help = "Age of the current signing key of each algorithm, in seconds";
    let mut ages = page.family(Gauge, "grantd_signing_key_age_seconds", help);
    for (algorithm, age) in app.signing.ages(now) {
        ages.sample(&[("algorithm", algorithm.as_str())], age);
    }
}

fn background(page: &mut Page, app: &App) {
    let mailer = &app.background.mailer;
    page.family(Gauge, "grantd_mail_queue_length", "Mails waiting to be sent").sample(&[], mailer.waiting());
    let help = "Mails sent, given up or dropped, and failed attempts";
    let mut mails = page.family(Counter, "grantd_mails_total", help);
    for (outcome, count) in mailer.mails().map(Named::all).unwrap_or_default() {
        mails.sample(&[("outcome", &outcome)], count.get());
    }
    let help =
        "Background work that failed and will be retried: follow (changes), flush (counts), tend (keys, expired rows)";
    by_name(page, "grantd_background_failures_total", help, "task", &app.background.failures);
    let help = "Records dropped because there were too many at once";
    page.family(Counter, "grantd_records_dropped_total", help)
        .sample(&[("record", "refusal")], app.denials.dropped.get())
        .sample(&[("record", "ended_key_use")], app.background.usage.dropped.get());
}

fn by_name(page: &mut Page, name: &'static str, help: &'static str, label: &str, counts: &Named<Count>) {
    let mut family = page.family(Counter, name, help);
    for (text, count) in counts.all() {
        family.sample(&[(label, &text)], count.get());
    }
}

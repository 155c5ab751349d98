//! Owns `grantd doctor`: one line per check with its result and what to do, then a verdict. Changes nothing.

mod database;
mod local;
mod remote;

use serde_json::json;

use self::database::OpenedDatabase;
use super::{Global, context, files, output};
use crate::model::{clock::Clock, error::Error};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What one check found, and what to do about it.
#[derive(Clone, Debug)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    todo: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), todo: String::new() }
    }

    fn warn(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, found: found.into(), todo: todo.into() }
    }

    fn fail(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(check, found, todo) }
    }
}

/// Runs every check. One that cannot run is a finding, and the others still run.
///
/// # Errors
/// `invalid_request` where a check failed, after every finding was printed.
pub async fn run(global: &Global) -> Result<(), Error> {
    let findings = match context::config(global, &[]) {
        Ok(config) => {
            // First, because closing the database checkpoints the log.
            let log = local::write_ahead_log(&config);
            let opened = OpenedDatabase::look(&config, Clock::system().now()).await;
            let kids = opened.kids();
            let ((issuer, skew), mail, shared) =
                tokio::join!(remote::issuer(&config, kids), remote::mail(&config), remote::shared_limits(&config));
            let mut findings = vec![local::configuration(&config), issuer, opened.clock(skew), local::disk(&config)];
            findings.extend(opened.checks());
            findings.extend([log, mail, shared]);
            findings.extend([local::trusted_proxies(&config), local::file_modes(global, &config), opened.backup()]);
            findings
        }
        Err(error) => {
            let todo = "Correct it (`grantd config` prints every setting with its default); nothing else was checked";
            vec![Finding::fail("configuration", error.description, todo)]
        }
    };
    report(global, &findings)
}

fn report(global: &Global, findings: &[Finding]) -> Result<(), Error> {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
    let failed = count(Verdict::Fail);
    if global.json {
        let checks: Vec<_> = findings
            .iter()
            .map(|one| json!({ "check": one.check, "verdict": one.verdict.as_str(), "found": one.found, "todo": one.todo }))
            .collect();
        output::line(&json!({ "verdict": worst.as_str(), "checks": checks }).to_string())?;
    } else {
        for Finding { check, verdict, found, todo } in findings {
            // One line per check, even if a library's message has several.
            let words = if todo.is_empty() { format!("{found}.") } else { format!("{found}. {todo}.") };
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            output::line(&format!("{:<4}  {check:<15}  {words}", verdict.as_str()))?;
        }
        let (ok, warned) = (count(Verdict::Ok), count(Verdict::Warn));
        output::line(&format!("{}: {} checks: {ok} ok, {warned} warn, {failed} fail", worst.as_str(), findings.len()))?;
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Error::invalid_request(format!("{failed} of {} checks failed", findings.len())))
}

//! Owns the checks over the network: the issuer's address, mail, shared limits. Each has a timeout of seconds, and
//! none changes anything.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::time::timeout;

use super::Finding;
use crate::{
    config::Config,
    engine::mail::Mailer,
    model::clock::{Clock, Timestamp},
};

/// Timeout of each check.
const WAIT: Duration = Duration::from_secs(5);
/// Longest document read, in bytes.
const DOCUMENT_MAX: usize = 65_536;

/// Whether the server at the issuer is this deployment, that is, has this database's signing keys (`kids`). Also returns by
/// how many seconds this machine's clock is ahead of that server's.
pub(super) async fn issuer(config: &Config, kids: Option<Vec<String>>) -> (Finding, Option<i64>) {
    let (check, issuer) = ("issuer", &config.issuer);
    let todo = "Start `grantd serve`, and check DNS, the proxy and the certificate";
    let asked = timeout(WAIT, ask(config)).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) => return (Finding::fail(check, format!("{issuer} cannot be reached: {error}"), todo), None),
    };
    let skew = answer.date.map(|date| Clock::system().now().seconds() - date.seconds());
    if answer.issuer != **issuer {
        let found = format!("the server at {issuer} reports the issuer {:?}", answer.issuer);
        return (Finding::fail(check, found, "Set the same issuer on both, or correct the DNS name"), skew);
    }
    let finding = match kids {
        None => {
            let found =
                format!("{issuer} answers; without the database, grantd cannot tell whether it is this deployment");
            Finding::warn(check, found, "Fix the database check, then run this again")
        }
        Some(kids) if kids.iter().any(|kid| answer.kids.contains(kid)) => {
            Finding::ok(check, format!("{issuer} answers, with this database's signing keys"))
        }
        Some(_) => {
            let found = format!("another deployment answers at {issuer}: its signing keys are not this database's");
            Finding::fail(check, found, "Compare that server's database with the one configured here")
        }
    };
    (finding, skew)
}

/// What the server at the issuer reports about itself.
struct ServerFacts {
    issuer: String,
    kids: Vec<String>,
    date: Option<Timestamp>,
}

async fn ask(config: &Config) -> Result<ServerFacts, String> {
    let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).user_agent("grantd doctor");
    if !config.issuer.is_https() {
        // The server is on this machine, so a proxy from the environment must not be used.
        client = client.no_proxy();
    }
    let client = client.build().map_err(|error| causes(&error))?;
    let get = async |path: &str| -> Result<(Value, Option<Timestamp>), String> {
        let url = format!("{}/.well-known/{path}", config.issuer);
        let mut response = client.get(url).send().await.map_err(|error| causes(&error))?;
        if !response.status().is_success() {
            return Err(format!("{path} answers {}", response.status()));
        }
        let date = response.headers().get("date").and_then(|date| Timestamp::read_http(date.to_str().ok()?));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > DOCUMENT_MAX {
                return Err(format!("{path} is too long"));
            }
        }
        Ok((serde_json::from_slice(&body).map_err(|_| format!("{path} is not JSON"))?, date))
    };
    let (metadata, date) = get("oauth-authorization-server").await?;
    let (jwks, _) = get("jwks.json").await?;
    let keys = jwks["keys"].as_array().cloned().unwrap_or_default();
    let kids = keys.iter().filter_map(|key| key["kid"].as_str().map(ToOwned::to_owned)).collect();
    Ok(ServerFacts { issuer: metadata["issuer"].as_str().unwrap_or_default().to_owned(), kids, date })
}

/// An error with its causes: "connection refused" is at the end of the chain.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}

/// Whether mail can be sent: connects and authenticates, but sends nothing.
pub(super) async fn mail(config: &Config) -> Finding {
    let check = "mail";
    let todo = "Correct mail.url, or see the mail server's log";
    let mailer = match Mailer::new(&config.mail) {
        Ok(mailer) => mailer,
        Err(error) => return Finding::fail(check, error.description, todo),
    };
    match timeout(WAIT, mailer.test()).await {
        Ok(None) => Finding::ok(check, "not configured: owners of leaked keys are not notified"),
        Ok(Some(Err(error))) => Finding::fail(check, format!("cannot send mail: {error}"), todo),
        Err(_) => Finding::fail(check, "the mail server did not answer in time", todo),
        Ok(Some(Ok(()))) if config.mail.from.contains("@localhost") => Finding::warn(
            check,
            format!("the sender is {}, which most servers refuse", config.mail.from),
            "Set mail.from",
        ),
        Ok(Some(Ok(()))) => Finding::ok(check, "the mail server accepts connections; no mail was sent"),
    }
}

/// Whether the Redis that nodes share for limits answers.
pub(super) async fn shared_limits(config: &Config) -> Finding {
    let check = "shared limits";
    let url = config.limits.shared.expose_secret();
    if url.is_empty() {
        return Finding::ok(check, "not configured: each node counts on its own");
    }
    match timeout(WAIT, ping(url)).await {
        Ok(Ok(_)) => Finding::ok(check, "Redis answers"),
        gone => {
            let why = match gone {
                Ok(Err(error)) => error.to_string(),
                _ => "no answer in time".to_owned(),
            };
            let todo = "Start Redis, or correct limits.shared; until then limits.shared_failure applies";
            Finding::fail(check, format!("Redis cannot be reached: {why}"), todo)
        }
    }
}

async fn ping(url: &str) -> Result<String, redis::RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(WAIT)).set_response_timeout(Some(WAIT));
    let mut connection = Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("PING").query_async(&mut connection).await
}

//! Owns the checks that go out: the issuer's own address, mail, the shared limits. Each ends by itself within seconds, and
//! none changes anything where it goes.

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

/// Longest wait for one of them.
const WAIT: Duration = Duration::from_secs(5);
/// Longest document read, in bytes.
const DOCUMENT_MAX: usize = 65_536;

/// Whether who answers at the issuer is this deployment: its signing keys are the database's (`kids`). And by how many
/// seconds this machine's clock is ahead of its.
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
        let found = format!("the server at {issuer} says that its issuer is {:?}", answer.issuer);
        return (Finding::fail(check, found, "Set the same issuer on both, or correct the DNS name"), skew);
    }
    let finding = match kids {
        None => {
            let found = format!("{issuer} answers; without the database it is not known whether it is this deployment");
            Finding::warn(check, found, "Fix what failed for the database, then run this again")
        }
        Some(kids) if kids.iter().any(|kid| answer.kids.contains(kid)) => {
            Finding::ok(check, format!("{issuer} answers, with this database's signing keys"))
        }
        Some(_) => {
            let found = format!("another deployment answers at {issuer}: its signing keys are not this database's");
            Finding::fail(check, found, "See which database that server has, and which --database names here")
        }
    };
    (finding, skew)
}

/// What the server at the issuer says of itself.
struct ServerFacts {
    issuer: String,
    kids: Vec<String>,
    date: Option<Timestamp>,
}

async fn ask(config: &Config) -> Result<ServerFacts, String> {
    let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).user_agent("grantd doctor");
    if !config.issuer.is_https() {
        // What is on this machine is asked on this machine.
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

/// An error with what is behind it: "connection refused" stands at the end of the chain.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}

/// Whether mail could be sent: connects, greets and signs in, and sends none.
pub(super) async fn mail(config: &Config) -> Finding {
    let check = "mail";
    let todo = "Correct mail.url, or see what the mail server's log says";
    let mailer = match Mailer::new(&config.mail) {
        Ok(mailer) => mailer,
        Err(error) => return Finding::fail(check, error.description, todo),
    };
    match timeout(WAIT, mailer.test()).await {
        Ok(None) => Finding::ok(check, "not configured: nobody is told by mail of a leaked key"),
        Ok(Some(Err(error))) => Finding::fail(check, format!("no mail can be sent: {error}"), todo),
        Err(_) => Finding::fail(check, "the mail server does not answer in time", todo),
        Ok(Some(Ok(()))) if config.mail.from.contains("@localhost") => {
            Finding::warn(check, format!("sent from {}, which most servers refuse", config.mail.from), "Set mail.from")
        }
        Ok(Some(Ok(()))) => Finding::ok(check, "the mail server accepts a connection as for a mail; none was sent"),
    }
}

/// Whether the Redis answers in which nodes count together.
pub(super) async fn shared_limits(config: &Config) -> Finding {
    let check = "shared limits";
    let url = config.limits.shared.expose_secret();
    if url.is_empty() {
        return Finding::ok(check, "not configured: each node counts for itself");
    }
    match timeout(WAIT, ping(url)).await {
        Ok(Ok(_)) => Finding::ok(check, "Redis answers"),
        gone => {
            let why = match gone {
                Ok(Err(error)) => error.to_string(),
                _ => "no answer in time".to_owned(),
            };
            let todo = "Start it, or correct limits.shared; until then limits.shared_failure says what counts";
            Finding::fail(check, format!("Redis cannot be reached: {why}"), todo)
        }
    }
}

async fn ping(url: &str) -> Result<String, redis::RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(WAIT)).set_response_timeout(Some(WAIT));
    let mut connection = Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("PING").query_async(&mut connection).await
}

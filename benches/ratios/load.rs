//! Owns the closed-loop load: 32 keep-alive connections, each sending its next request after the
//! reply to the last. Any reply but the right one ends the run.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use form_urlencoded::byte_serialize;
use serde::Deserialize;
use tokio::task::LocalSet;

use crate::{
    Fallible, bare,
    http::{Connection, Jar, get, post},
};

pub(crate) const CONNECTIONS: usize = 32;
const TOKENS_IN_TURN: usize = 1000;
const MAX_REDIRECTS: usize = 6;

/// A server's address and credentials.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) address: SocketAddr,
    pub(crate) introspect: &'static str,
    /// Where a proxy asks, if anywhere.
    pub(crate) gateway: Option<&'static str>,
    pub(crate) authorize: &'static str,
    pub(crate) token: &'static str,
    /// Mints the access tokens to introspect; the bare server introspects another kind than it signs.
    pub(crate) mint: &'static str,
    pub(crate) resource_server: Client,
    pub(crate) service: Client,
    pub(crate) service_form: &'static str,
    pub(crate) app: Client,
    pub(crate) redirect_uri: &'static str,
    pub(crate) scope: &'static str,
    pub(crate) api_key: String,
    pub(crate) sessions: Vec<Jar>,
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Client {
    pub(crate) fn basic(&self) -> String {
        format!("Authorization: Basic {}\r\n", BASE64.encode(format!("{}:{}", self.id, self.secret).as_bytes()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    IntrospectToken,
    IntrospectKey,
    IntrospectTokens,
    Gateway,
    ClientCredentials,
    Refresh,
    CodeFlow,
    Proxied,
}

impl Operation {
    pub(crate) const ALL: [Self; 7] = [
        Self::IntrospectToken,
        Self::IntrospectKey,
        Self::IntrospectTokens,
        Self::Gateway,
        Self::ClientCredentials,
        Self::Refresh,
        Self::CodeFlow,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IntrospectToken => "introspection, one access token",
            Self::IntrospectKey => "introspection, one API key",
            Self::IntrospectTokens => "introspection, 1,000 access tokens in turn",
            Self::Gateway => "gateway, one API key, plan counted",
            Self::ClientCredentials => "client_credentials, ES256",
            Self::Refresh => "refresh with rotation, SQLite",
            Self::CodeFlow => "code flow: authorize, code, token",
            Self::Proxied => "nginx to an upstream: guarded against unguarded",
        }
    }

    /// The minimum acceptable ratio of grantd to the bare server, if there is one.
    pub(crate) fn target(self) -> Option<f64> {
        match self {
            Self::IntrospectToken | Self::IntrospectKey => Some(0.75),
            Self::IntrospectTokens | Self::CodeFlow => Some(0.70),
            Self::Gateway => Some(0.65),
            Self::ClientCredentials => Some(0.85),
            Self::Refresh => Some(0.80),
            Self::Proxied => None,
        }
    }

    /// The requests of each connection; refresh chains start with their own code flow.
    pub(crate) async fn prepare(self, surface: &Surface) -> Fallible<Vec<Work>> {
        let introspection = |token: &str| {
            let form = format!("token={token}");
            post(surface.address, surface.introspect, &surface.resource_server.basic(), &form)
        };
        let same = |requests: Vec<Vec<u8>>, proof| {
            let requests: Rc<[Vec<u8>]> = requests.into();
            let start = |worker| worker * requests.len() / CONNECTIONS;
            (0..CONNECTIONS)
                .map(|worker| Work::Same { requests: requests.clone(), next: start(worker), proof })
                .collect()
        };
        Ok(match self {
            Self::IntrospectToken => same(vec![introspection(&mint(surface, 1).await?[0])], ACTIVE),
            Self::IntrospectKey => same(vec![introspection(&surface.api_key)], ACTIVE),
            Self::IntrospectTokens => {
                let tokens = mint(surface, TOKENS_IN_TURN).await?;
                same(tokens.iter().map(|token| introspection(token)).collect(), ACTIVE)
            }
            // The bare server has no gateway, so it is measured by introspection.
            Self::Gateway => match surface.gateway {
                Some(path) => same(vec![get(surface.address, path, &forwarded(&surface.api_key))], PASSED),
                None => same(vec![introspection(&surface.api_key)], ACTIVE),
            },
            Self::Proxied => {
                let bearer = format!("Authorization: Bearer {}\r\n", surface.api_key);
                same(vec![get(surface.address, PROXIED_PATH, &bearer)], UPSTREAM)
            }
            Self::ClientCredentials => {
                let basic = surface.service.basic();
                same(vec![post(surface.address, surface.token, &basic, surface.service_form)], ISSUED)
            }
            Self::Refresh => {
                let mut connection = Connection::open(surface.address).await?;
                let mut chains = Vec::with_capacity(CONNECTIONS);
                for jar in &surface.sessions {
                    let token = code_flow(surface, &mut connection, &mut jar.clone()).await?;
                    chains.push(Work::Refresh { token: token.ok_or("the code flow gave no refresh token")? });
                }
                chains
            }
            Self::CodeFlow => surface.sessions.iter().map(|jar| Work::CodeFlow { jar: jar.clone() }).collect(),
        })
    }
}

const ACTIVE: &[u8] = b"\"active\":true";
const ISSUED: &[u8] = b"\"access_token\":\"";
const PASSED: &[u8] = b"x-auth-credential: api_key";
/// The upstream behind nginx and its response.
pub(crate) const UPSTREAM: &[u8] = b"the upstream";
const PROXIED_PATH: &str = "/v1/users/42?fields=name";

/// The headers of a proxy's subrequest for a request with this key.
fn forwarded(key: &str) -> String {
    format!(
        "Authorization: Bearer {key}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: {PROXIED_PATH}\r\n\
         X-Forwarded-For: 192.0.2.7\r\nUser-Agent: bench/1.0\r\n"
    )
}

/// The repeated work of one connection.
pub(crate) enum Work {
    /// The same requests in turn; a right reply is 200 and contains `proof`, in its head or body.
    Same {
        requests: Rc<[Vec<u8>]>,
        next: usize,
        proof: &'static [u8],
    },
    Refresh {
        token: String,
    },
    CodeFlow {
        jar: Jar,
    },
}

impl Work {
    async fn step(&mut self, surface: &Surface, connection: &mut Connection) -> Fallible<()> {
        match self {
            Self::Same { requests, next, proof } => {
                let reply = connection.exchange(&requests[*next]).await?;
                *next = (*next + 1) % requests.len();
                let is_right = reply.status == 200 && reply.says(proof);
                if is_right { Ok(()) } else { Err(reply.unexpected(&String::from_utf8_lossy(proof))) }
            }
            Self::Refresh { token } => {
                let form = format!("grant_type=refresh_token&refresh_token={}", encode(token));
                let successor = redeem(surface, connection, &surface.app, &form).await?;
                *token = successor.filter(|new| new != token).ok_or("the refresh token did not rotate")?;
                Ok(())
            }
            Self::CodeFlow { jar } => code_flow(surface, connection, jar).await.map(drop),
        }
    }
}

/// One measured round.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) operations: u64,
    pub(crate) seconds: f64,
}

/// Drives all connections until the time is over and the last replies have arrived.
pub(crate) async fn drive(surface: &Surface, work: &mut Vec<Work>, time: Duration) -> Fallible<Round> {
    let mut workers = Vec::with_capacity(CONNECTIONS);
    for work in work.drain(..) {
        workers.push((work, Connection::open(surface.address).await?, surface.clone()));
    }
    let start = Instant::now();
    let set = LocalSet::new();
    let handles: Vec<_> = workers
        .into_iter()
        .map(|(mut work, mut connection, surface)| {
            set.spawn_local(async move {
                let mut operations = 0;
                while start.elapsed() < time {
                    work.step(&surface, &mut connection).await.map_err(|error| error.to_string())?;
                    operations += 1;
                }
                Ok::<_, String>((work, operations))
            })
        })
        .collect();
    let operations = set
        .run_until(async {
            let mut total = 0;
            for handle in handles {
                let (worker, operations) = handle.await??;
                work.push(worker);
                total += operations;
            }
            Fallible::Ok(total)
        })
        .await?;
    Ok(Round { operations, seconds: start.elapsed().as_secs_f64() })
}

/// Access tokens by client_credentials.
async fn mint(surface: &Surface, count: usize) -> Fallible<Vec<String>> {
    let mut connection = Connection::open(surface.address).await?;
    let request = post(surface.address, surface.mint, &surface.service.basic(), surface.service_form);
    let mut tokens = Vec::with_capacity(count);
    for _ in 0..count {
        let reply = connection.exchange(&request).await?;
        if reply.status != 200 {
            return Err(reply.unexpected("an access token"));
        }
        tokens.push(serde_json::from_slice::<Issued<'_>>(reply.body)?.access_token.to_owned());
    }
    Ok(tokens)
}

#[derive(Deserialize)]
struct Issued<'a> {
    access_token: &'a str,
    refresh_token: Option<&'a str>,
}

/// Redeems a code or refresh token; returns the new refresh token.
async fn redeem(
    surface: &Surface,
    connection: &mut Connection,
    client: &Client,
    form: &str,
) -> Fallible<Option<String>> {
    let request = post(surface.address, surface.token, &client.basic(), form);
    let reply = connection.exchange(&request).await?;
    if reply.status != 200 {
        return Err(reply.unexpected("tokens"));
    }
    let issued: Issued<'_> = serde_json::from_slice(reply.body)?;
    if issued.access_token.is_empty() {
        return Err(reply.unexpected("an access token"));
    }
    Ok(issued.refresh_token.map(str::to_owned))
}

/// A whole flow in a session with stored consent; returns its refresh token.
async fn code_flow(surface: &Surface, connection: &mut Connection, jar: &mut Jar) -> Fallible<Option<String>> {
    let proof = Proof::new();
    let mut path = proof.authorize_path(surface);
    for _ in 0..MAX_REDIRECTS {
        let reply = connection.exchange(&get(surface.address, &path, jar.line())).await?;
        jar.take(&reply);
        let location = reply.header("location").ok_or_else(|| reply.unexpected("a redirect"))?;
        if location.starts_with(surface.redirect_uri) {
            let code = proof.code(location)?;
            let form = format!(
                "grant_type=authorization_code&code={code}&redirect_uri={}&code_verifier={}",
                encode(surface.redirect_uri),
                proof.verifier
            );
            return redeem(surface, connection, &surface.app, &form).await;
        }
        path = local(surface.address, location);
    }
    Err(format!("more than {MAX_REDIRECTS} redirects, at {path}").into())
}

/// The path of a redirect to the same server.
pub(crate) fn local(address: SocketAddr, location: &str) -> String {
    location.strip_prefix(&format!("http://{address}")).unwrap_or(location).to_owned()
}

/// The fresh values of one flow.
pub(crate) struct Proof {
    verifier: String,
    state: String,
    nonce: String,
}

impl Proof {
    pub(crate) fn new() -> Self {
        Self { verifier: bare::random(), state: bare::random(), nonce: bare::random() }
    }

    pub(crate) fn authorize_path(&self, surface: &Surface) -> String {
        let challenge = digest::digest(&digest::SHA256, self.verifier.as_bytes());
        format!(
            "{}?response_type=code&client_id={}&redirect_uri={}&scope={}&state={}&nonce={}&code_challenge={}\
             &code_challenge_method=S256",
            surface.authorize,
            encode(&surface.app.id),
            encode(surface.redirect_uri),
            encode(surface.scope),
            self.state,
            self.nonce,
            BASE64URL_NOPAD.encode(challenge.as_ref()),
        )
    }

    /// The code in the redirect to the client, if the state matches.
    fn code<'a>(&self, location: &'a str) -> Fallible<&'a str> {
        let field = |name| location.split(['?', '&']).find_map(|pair| pair.strip_prefix(name));
        match (field("code="), field("state=")) {
            (Some(code), Some(state)) if state == self.state => Ok(code),
            _ => Err(format!("no code, or not our state: {location}").into()),
        }
    }
}

fn encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

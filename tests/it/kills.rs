//! Owns kill -9 at random moments: what was acknowledged holds, and what is single-use is used once.
//!
//! A lane is one installation whose server is started, driven from many sides, and killed, again and again. After each
//! start it is asked about everything of the round before; at the end about everything there was.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use grantd::{
    model::{audit::Origin, secret::Digest, secret::random_bytes},
    store::NewSession,
};
use tokio::task::JoinSet;

use crate::harness::{
    Installation, OAuthClient, Reply,
    app::CALLBACK,
    prepare,
    process::{Server, now},
};

const LANES: usize = 4;
const KILLS_EACH: usize = 50;
/// Codes made before each start, more than a round can exchange.
const CODES: usize = 60;
/// Longest time between the first request and the kill.
const ALIVE_MS: u64 = 120;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_used_twice() {
    // THREATS: ST1
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        lanes.spawn(async {
            let mut lane = Lane::new().await;
            for _ in 0..KILLS_EACH {
                lane.round().await;
            }
            lane.end().await
        });
    }
    let counts = lanes.join_all().await.into_iter().fold(Counts::default(), |sum, lane| Counts {
        exchanged: sum.exchanged + lane.exchanged,
        refreshed: sum.refreshed + lane.refreshed,
        made: sum.made + lane.made,
        revoked: sum.revoked + lane.revoked,
        cut: sum.cut + lane.cut,
    });
    // The kills hit work of every kind, or this test shows nothing.
    let least = counts.exchanged.min(counts.refreshed).min(counts.made).min(counts.revoked).min(counts.cut);
    println!("{counts:?}");
    assert!(least >= LANES * KILLS_EACH / 2, "{counts:?}");
}

/// What happened in a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    exchanged: usize,
    refreshed: usize,
    made: usize,
    revoked: usize,
    /// Requests whose answer the kill cut off.
    cut: usize,
}

/// What is known of something the server was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It was acknowledged.
    Done,
    /// The answer was lost.
    Unknown,
}

/// A chain of refresh tokens of one grant.
#[derive(Clone, Debug)]
struct Family {
    client: OAuthClient,
    access: String,
    head: String,
    /// The answer to a refresh with `head` was lost.
    cut: bool,
    revoked: Option<Known>,
}

/// What one round did.
#[derive(Debug, Default)]
struct Round {
    codes: Vec<(OAuthClient, String, Known)>,
    families: Vec<Family>,
    revoked_keys: Vec<(String, Known)>,
    made_keys: Vec<String>,
}

struct Lane {
    here: Installation,
    user: String,
    cookie: String,
    api: OAuthClient,
    /// With and without a grace window.
    clients: [OAuthClient; 2],
    last: Round,
    live_keys: Vec<String>,
    dead_keys: Vec<String>,
    counts: Counts,
}

impl Lane {
    async fn new() -> Self {
        let here = Installation::new();
        let (api, user) = (here.api(), here.user("alice@example.com"));
        let client = |grace: &str| here.client(&["--redirect-uri", CALLBACK, "--refresh-grace", grace]);
        let clients = [client("60"), client("0")];
        let cookie = data_encoding::BASE64URL_NOPAD.encode(&random_bytes::<32>());
        let (_, password) = here.store().await.find_user("alice@example.com").await.expect("a look").expect("a user");
        let session = NewSession {
            digest: Digest::of(&cookie),
            user_id: user.clone(),
            password: password.expect("a password"),
            expires_at: now().plus_seconds(3600),
            agent: String::new(),
            replaces: None,
        };
        here.store().await.insert_session(now(), Origin::default(), session).await.expect("an answer");
        let (last, counts) = (Round::default(), Counts::default());
        Self { here, user, cookie, api, clients, last, live_keys: Vec::new(), dead_keys: Vec::new(), counts }
    }

    async fn round(&mut self) {
        let codes = self.prepare().await;
        let server = Arc::new(self.here.serve().await);
        let families = self.check(&server).await;
        let round = Arc::new(Mutex::new(Round { families, ..Round::default() }));
        let mut work = self.drive(&server, codes, &round);
        tokio::time::sleep(Duration::from_micros(random_below(ALIVE_MS * 1000))).await;
        server.signal("KILL");
        while let Some(done) = work.join_next().await {
            done.expect("no panic");
        }
        drop(server);
        self.last = std::mem::take(&mut *round.lock().expect("a round"));
        self.count();
    }

    /// Codes of either client, made through the store, which is closed again before the server starts.
    async fn prepare(&self) -> Vec<(OAuthClient, String)> {
        let (store, tokens) = (self.here.store().await, self.here.grant_tokens());
        let (mut codes, at) = (Vec::new(), now());
        for n in 0..CODES {
            let client = &self.clients[n % 2];
            codes.push((client.clone(), prepare::code(&store, &tokens, at, &self.user, &client.id).await));
        }
        codes
    }

    /// Everything at once until the connection is lost.
    fn drive(&self, server: &Arc<Server>, codes: Vec<(OAuthClient, String)>, round: &Arc<Mutex<Round>>) -> JoinSet<()> {
        let mut work = JoinSet::new();
        for own in codes.chunks(CODES / 3) {
            work.spawn(exchange(Arc::clone(server), own.to_vec(), Arc::clone(round)));
        }
        let families = std::mem::take(&mut round.lock().expect("a round").families);
        for (n, family) in families.into_iter().enumerate() {
            // Every third is revoked instead of refreshed.
            let revoke = n % 3 == 2;
            work.spawn(refresh_or_revoke(Arc::clone(server), family, revoke, Arc::clone(round)));
        }
        let spare = self.live_keys.len().min(20);
        work.spawn(revoke_keys(Arc::clone(server), self.live_keys[..spare].to_vec(), Arc::clone(round)));
        work.spawn(make_keys(Arc::clone(server), self.cookie.clone(), Arc::clone(round)));
        let create = ["key", "create", "--user", "alice@example.com", "--scope", "read", "--json"];
        let command =
            self.here.command(&create).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary");
        work.spawn_blocking({
            let round = Arc::clone(round);
            move || kill_command(command, &round)
        });
        work
    }

    /// Asks a server that has just started about the round before, and returns the families that go on.
    async fn check(&mut self, server: &Server) -> Vec<Family> {
        let last = std::mem::take(&mut self.last);
        for key in &last.made_keys {
            server.introspect(&self.api, key).await.active();
        }
        for (key, known) in last.revoked_keys {
            if known == Known::Unknown {
                server.try_revoke_key(&key).await.expect("a reply").status(200);
            }
            server.introspect(&self.api, &key).await.inactive();
            self.live_keys.retain(|live| *live != key);
            self.dead_keys.push(key);
        }
        self.live_keys.extend(last.made_keys);
        for (client, code, known) in last.codes {
            let again = server.try_exchange(&client, &code).await.expect("a reply");
            if known == Known::Unknown && again.status == 200 {
                server.try_exchange(&client, &code).await.expect("a reply").oauth_error("invalid_grant");
            } else {
                again.oauth_error("invalid_grant");
            }
        }
        let mut going_on = Vec::new();
        for family in last.families {
            going_on.extend(self.check_family(server, family).await);
        }
        going_on
    }

    async fn check_family(&self, server: &Server, mut family: Family) -> Option<Family> {
        let has_grace = family.client.id == self.clients[0].id;
        let refresh = |token: String| {
            let client = family.client.clone();
            async move { server.try_refresh(&client, &token).await.expect("a reply") }
        };
        let reply = refresh(family.head.clone()).await;
        if family.revoked == Some(Known::Done) {
            reply.oauth_error("invalid_grant");
            server.introspect(&self.api, &family.access).await.inactive();
            return None;
        }
        let lost = family.revoked == Some(Known::Unknown) || (family.cut && !has_grace);
        if lost && reply.status != 200 {
            reply.oauth_error("invalid_grant");
            server.introspect(&self.api, &family.access).await.inactive();
            return None;
        }
        reply.status(200);
        server.introspect(&self.api, &reply.text("access_token")).await.active();
        let old = std::mem::replace(&mut family.head, reply.text("refresh_token"));
        family.access = reply.text("access_token");
        let again = refresh(old).await;
        if has_grace {
            assert_eq!(again.text("refresh_token"), family.head, "one head");
            (family.cut, family.revoked) = (false, None);
            Some(family)
        } else {
            again.oauth_error("invalid_grant");
            refresh(family.head).await.oauth_error("invalid_grant");
            None
        }
    }

    /// Everything of all rounds, once more.
    async fn end(mut self) -> Counts {
        let server = self.here.serve().await;
        self.check(&server).await;
        for key in &self.live_keys {
            server.introspect(&self.api, key).await.active();
        }
        for key in &self.dead_keys {
            server.introspect(&self.api, key).await.inactive();
        }
        self.counts
    }

    fn count(&mut self) {
        let last = &self.last;
        let cut = last.families.iter().filter(|family| family.cut || family.revoked == Some(Known::Unknown)).count()
            + last.codes.iter().filter(|(.., known)| *known == Known::Unknown).count()
            + last.revoked_keys.iter().filter(|(_, known)| *known == Known::Unknown).count();
        self.counts.exchanged += last.codes.len();
        self.counts.refreshed += last.families.iter().filter(|family| family.revoked.is_none()).count();
        self.counts.made += last.made_keys.len();
        self.counts.revoked += last.revoked_keys.len();
        self.counts.cut += cut;
    }
}

/// Exchanges codes; each third goes on as a family.
async fn exchange(server: Arc<Server>, codes: Vec<(OAuthClient, String)>, round: Arc<Mutex<Round>>) {
    for (n, (client, code)) in codes.into_iter().enumerate() {
        let reply = server.try_exchange(&client, &code).await;
        let mut round = round.lock().expect("a round");
        let Ok(reply) = reply else {
            return round.codes.push((client, code, Known::Unknown));
        };
        reply.status(200);
        if n % 3 == 0 {
            let (access, head) = (reply.text("access_token"), reply.text("refresh_token"));
            round.families.push(Family { client, access, head, cut: false, revoked: None });
        } else {
            round.codes.push((client, code, Known::Done));
        }
    }
}

async fn refresh_or_revoke(server: Arc<Server>, mut family: Family, revoke: bool, round: Arc<Mutex<Round>>) {
    if revoke {
        let form = [("token", family.head.as_str())];
        let reply = server.try_post_as(&family.client, "/oauth/revoke", &form).await;
        family.revoked = Some(acknowledged(reply));
    } else {
        while let Ok(reply) = server.try_refresh(&family.client, &family.head).await {
            reply.status(200);
            (family.access, family.head) = (reply.text("access_token"), reply.text("refresh_token"));
        }
        family.cut = true;
    }
    round.lock().expect("a round").families.push(family);
}

async fn revoke_keys(server: Arc<Server>, keys: Vec<String>, round: Arc<Mutex<Round>>) {
    for key in keys {
        let known = acknowledged(server.try_revoke_key(&key).await);
        round.lock().expect("a round").revoked_keys.push((key, known));
        if known == Known::Unknown {
            return;
        }
    }
}

/// Generates keys on the page, as a person does.
async fn make_keys(server: Arc<Server>, cookie: String, round: Arc<Mutex<Round>>) {
    let url = format!("{}/settings/keys", server.base);
    let cookie = format!("grantd_session={cookie}");
    while let Ok(page) = server.send(server.http.get(&url).header("cookie", &cookie)).await {
        let (csrf, form) = (page.input("csrf"), page.input("form"));
        let fields = [("csrf", csrf.as_str()), ("form", &form), ("name", "Key"), ("scope", "read")];
        let Ok(shown) = server.send(server.http.post(&url).header("cookie", &cookie).form(&fields)).await else {
            return;
        };
        shown.status(200);
        let start = shown.body.find("gd_live_").expect("a key");
        let key = shown.body[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        round.lock().expect("a round").made_keys.push(key);
    }
}

/// Kills `grantd key create` at a random moment: a key that it has shown is kept.
fn kill_command(mut command: std::process::Child, round: &Mutex<Round>) {
    std::thread::sleep(Duration::from_micros(random_below(60_000)));
    // It may have ended.
    drop(command.kill());
    let output = command.wait_with_output().expect("an end").stdout;
    if let Ok(shown) = serde_json::from_slice::<serde_json::Value>(&output) {
        round.lock().expect("a round").made_keys.push(shown["key"].as_str().expect("a key").to_owned());
    }
}

fn acknowledged(reply: Result<Reply, reqwest::Error>) -> Known {
    reply.map_or(Known::Unknown, |reply| {
        reply.status(200);
        Known::Done
    })
}

fn random_below(most: u64) -> u64 {
    u64::from_be_bytes(random_bytes()) % most
}

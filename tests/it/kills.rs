//! Owns tests of kill -9 at random moments: what was acknowledged holds, and what is single-use is used once.
//!
//! A lane is one installation whose server is started, used by many tasks, and killed, again and again. After each
//! start everything of the round before is checked; at the end, everything of all rounds.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use grantd::{
    model::{audit::Origin, authentication::Proof, secret::Digest, secret::random_bytes},
    store::NewSession,
};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

use crate::harness::{
    Installation, OAuthClient, Reply, prepare,
    process::{Server, now},
    wait,
};

const LANES: usize = 4;
const KILLS_EACH: usize = 50;
/// Codes created before each start, more than a round can exchange.
const CODES: usize = 60;
/// The kill comes after at most so many acknowledged operations of one kind.
const ACKNOWLEDGED_MAX: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_nothing_acknowledged_and_allow_no_reuse() {
    // THREATS: ST1
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        lanes.spawn(async {
            let mut lane = Lane::new().await;
            for act in Act::ALL.into_iter().cycle().take(KILLS_EACH) {
                lane.round(act).await;
            }
            lane.end().await
        });
    }
    let cut: usize = lanes.join_all().await.into_iter().sum();
    // A round that refreshes continues until the kill; if nothing were cut off, this test would show nothing.
    assert!(cut >= LANES * KILLS_EACH / Act::ALL.len(), "{cut}");
}

/// The results of a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Requests whose response a kill cut off.
    cut: usize,
}

/// Kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Exchange,
    Refresh,
    MakeKey,
    RevokeKey,
}

impl Act {
    /// In an order in which each finds what the previous one left: families to refresh, keys to revoke.
    const ALL: [Self; 4] = [Self::Exchange, Self::Refresh, Self::MakeKey, Self::RevokeKey];
}

/// How often a server has acknowledged each operation.
#[derive(Clone, Debug)]
struct Acknowledged(watch::Sender<[usize; Act::ALL.len()]>);

impl Acknowledged {
    fn new() -> Self {
        Self(watch::Sender::new([0; Act::ALL.len()]))
    }

    fn count(&self, act: Act) {
        self.0.send_modify(|counts| counts[act as usize] += 1);
    }

    /// Waits until this operation was acknowledged so often.
    async fn reached(&self, act: Act, count: usize) {
        let mut counts = self.0.subscribe();
        let reached = counts.wait_for(|counts| counts[act as usize] >= count);
        wait::in_time(format!("{count} of {act:?}"), reached).await.expect("the counter lives");
    }
}

/// What is known about an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It was acknowledged.
    Done,
    /// The response was lost.
    Unknown,
}

/// A chain of refresh tokens of one grant.
#[derive(Clone, Debug)]
struct Family {
    client: OAuthClient,
    access: String,
    head: String,
    /// The response to a refresh with `head` was lost.
    cut: bool,
    revoked: Option<Known>,
}

/// The results of one round.
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
        let clients = [here.client_with_grace(true).await, here.client_with_grace(false).await];
        let cookie = data_encoding::BASE64URL_NOPAD.encode(&random_bytes::<32>());
        let (_, password) =
            here.store().await.find_user_by_email("alice@example.com").await.expect("a look").expect("a user");
        let session = NewSession {
            digest: Digest::of(&cookie),
            user_id: user.clone(),
            proof: Proof::Password(password.expect("a password")),
            expires_at: now().plus_seconds(3600),
            agent: String::new(),
            replaces: None,
        };
        here.store().await.insert_session(now(), Origin::default(), session).await.expect("an answer");
        let (last, counts) = (Round::default(), Counts::default());
        Self { here, user, cookie, api, clients, last, live_keys: Vec::new(), dead_keys: Vec::new(), counts }
    }

    /// Kills the server after this operation was acknowledged a random number of times, with all others in progress.
    async fn round(&mut self, act: Act) {
        let codes = self.prepare().await;
        let server = Arc::new(self.here.serve().await);
        let families = self.check(&server).await;
        let round = Arc::new(Mutex::new(Round { families, ..Round::default() }));
        let most = if act == Act::RevokeKey { self.spare_keys().len() } else { ACKNOWLEDGED_MAX };
        let driver = Driver { server, round, acknowledged: Acknowledged::new() };
        let mut work = self.drive(&driver, codes);
        driver.acknowledged.reached(act, 1 + random_below(most)).await;
        driver.server.signal("KILL");
        while let Some(done) = work.join_next().await {
            done.expect("no panic");
        }
        self.last = std::mem::take(&mut *driver.round.lock().expect("a round"));
        self.counts.cut += self.last.cut();
    }

    /// Those to revoke in the next round.
    fn spare_keys(&self) -> &[String] {
        &self.live_keys[..self.live_keys.len().min(20)]
    }

    /// Codes of either client, created in the store, which is closed before the server starts.
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
    fn drive(&self, driver: &Driver, codes: Vec<(OAuthClient, String)>) -> JoinSet<()> {
        let mut work = JoinSet::new();
        for own in codes.chunks(CODES / 3) {
            work.spawn(driver.clone().exchange(own.to_vec()));
        }
        let families = std::mem::take(&mut driver.round.lock().expect("a round").families);
        for (n, family) in families.into_iter().enumerate() {
            // Every third is revoked instead of refreshed.
            let revoke = n % 3 == 2;
            work.spawn(driver.clone().refresh_or_revoke(family, revoke));
        }
        work.spawn(driver.clone().revoke_keys(self.spare_keys().to_vec()));
        work.spawn(driver.clone().make_keys(self.cookie.clone()));
        let create = ["key", "create", "--user", "alice@example.com", "--scope", "read", "--json"];
        let command = Command::from(self.here.command(&create)).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        work.spawn(driver.clone().kill_command(command.expect("the binary")));
        work
    }

    /// Checks the previous round on a server that has just started, and returns the families that continue.
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

    /// Checks everything of all rounds once more.
    async fn end(mut self) -> usize {
        let server = self.here.serve().await;
        self.check(&server).await;
        for key in &self.live_keys {
            server.introspect(&self.api, key).await.active();
        }
        for key in &self.dead_keys {
            server.introspect(&self.api, key).await.inactive();
        }
        self.counts.cut
    }
}

impl Round {
    /// Operations whose responses the kill cut off.
    fn cut(&self) -> usize {
        self.families.iter().filter(|family| family.cut || family.revoked == Some(Known::Unknown)).count()
            + self.codes.iter().filter(|(.., known)| *known == Known::Unknown).count()
            + self.revoked_keys.iter().filter(|(_, known)| *known == Known::Unknown).count()
    }
}

/// One task of a round.
#[derive(Clone)]
struct Driver {
    server: Arc<Server>,
    round: Arc<Mutex<Round>>,
    acknowledged: Acknowledged,
}

impl Driver {
    /// Exchanges codes; each third continues as a family.
    async fn exchange(self, codes: Vec<(OAuthClient, String)>) {
        for (n, (client, code)) in codes.into_iter().enumerate() {
            let reply = self.server.try_exchange(&client, &code).await;
            let mut round = self.round.lock().expect("a round");
            let Ok(reply) = reply else {
                return round.codes.push((client, code, Known::Unknown));
            };
            reply.status(200);
            self.acknowledged.count(Act::Exchange);
            if n % 3 == 0 {
                let (access, head) = (reply.text("access_token"), reply.text("refresh_token"));
                round.families.push(Family { client, access, head, cut: false, revoked: None });
            } else {
                round.codes.push((client, code, Known::Done));
            }
        }
    }

    async fn refresh_or_revoke(self, mut family: Family, revoke: bool) {
        if revoke {
            let form = [("token", family.head.as_str())];
            let reply = self.server.try_post_as(&family.client, "/oauth/revoke", &form).await;
            family.revoked = Some(acknowledged(reply));
        } else {
            while let Ok(reply) = self.server.try_refresh(&family.client, &family.head).await {
                reply.status(200);
                self.acknowledged.count(Act::Refresh);
                (family.access, family.head) = (reply.text("access_token"), reply.text("refresh_token"));
            }
            family.cut = true;
        }
        self.round.lock().expect("a round").families.push(family);
    }

    async fn revoke_keys(self, keys: Vec<String>) {
        for key in keys {
            let known = acknowledged(self.server.try_revoke_key(&key).await);
            self.round.lock().expect("a round").revoked_keys.push((key, known));
            if known == Known::Unknown {
                return;
            }
            self.acknowledged.count(Act::RevokeKey);
        }
    }

    /// Generates keys on the page, as a person does.
    async fn make_keys(self, cookie: String) {
        let server = &self.server;
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
            self.round.lock().expect("a round").made_keys.push(key);
            self.acknowledged.count(Act::MakeKey);
        }
    }

    /// Kills `grantd key create` after a random number of exchanges, unless it has ended: a key it has shown must exist.
    async fn kill_command(self, mut command: Child) {
        let count = random_below(4 * ACKNOWLEDGED_MAX);
        let kill = tokio::select! {
            () = self.acknowledged.reached(Act::Exchange, count) => true,
            _ = command.wait() => false,
        };
        // It may have ended meanwhile.
        drop(kill.then(|| command.start_kill()));
        let output = command.wait_with_output().await.expect("an end").stdout;
        if let Ok(shown) = serde_json::from_slice::<serde_json::Value>(&output) {
            self.round.lock().expect("a round").made_keys.push(shown["key"].as_str().expect("a key").to_owned());
        }
    }
}

fn acknowledged(reply: Result<Reply, reqwest::Error>) -> Known {
    reply.map_or(Known::Unknown, |reply| {
        reply.status(200);
        Known::Done
    })
}

fn random_below(most: usize) -> usize {
    usize::from_be_bytes(random_bytes()) % most
}

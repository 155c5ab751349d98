//! Owns the wiring: builds every part from the few values it needs. No part has access to `App`.

use std::time::Duration;

use std::sync::{Arc, Once};

use axum::http::HeaderName;
use secrecy::ExposeSecret;

use crate::{
    config::Config,
    engine::{
        Engine,
        background::{Background, TASKS},
        catalog::CatalogCache,
        census::Census,
        clients::Clients,
        cursors::Cursors,
        denials::Denials,
        event_counts::EventCounts,
        grant_limit::GrantLimit,
        grant_token::GrantTokens,
        idempotency::Idempotency,
        leaks::Leaks,
        limit::Limiter,
        mail::Mailer,
        master::{MasterKey, Purpose},
        mint::Mint,
        password::Passwords,
        sessions::Sessions,
        signing::Signing,
        usage::Usage,
        verify::{Verifier, VerifierParts},
    },
    meters::Named,
    model::{
        api::Algorithm,
        clock::{Clock, Timestamp},
        error::Error,
    },
    store::{Bounds, ChangeFeed, Store},
    telemetry::Telemetry,
};

/// A clock this far behind the newest row is wrong.
const CLOCK_BEHIND: Duration = Duration::from_mins(5);

/// The server's parts.
#[derive(Debug)]
pub struct App {
    /// Configuration.
    pub config: Config,
    /// Clock.
    pub clock: Arc<Clock>,
    /// The database.
    pub store: Arc<Store>,
    /// APIs and scopes.
    pub catalog: Arc<CatalogCache>,
    /// Signing keys.
    pub signing: Arc<Signing>,
    /// Creates access tokens.
    pub mint: Mint,
    /// Credential → principal.
    pub verifier: Verifier,
    /// Finds and authenticates clients.
    pub clients: Clients,
    /// Finds sessions.
    pub sessions: Sessions,
    /// Authorization codes and refresh tokens.
    pub grant_tokens: GrantTokens,
    /// User passwords.
    pub passwords: Passwords,
    /// Counts requests against plans, and failed attempts.
    pub limiter: Limiter,
    /// Counts frequent events.
    pub event_counts: Arc<EventCounts>,
    /// Stored responses for retries.
    pub idempotency: Idempotency,
    /// Pagination cursors.
    pub cursors: Cursors,
    /// Reasons why requests were refused.
    pub denials: Arc<Denials>,
    /// Revokes keys that were found in public.
    pub leaks: Leaks,
    /// Names of the headers that identify the caller to an upstream, in the order of `config::Gateway::names`.
    pub identity_headers: Vec<HeaderName>,
    /// Authenticates forms.
    pub forms: aws_lc_rs::hmac::Key,
    /// Recognizes browsers that signed in before.
    pub devices: aws_lc_rs::hmac::Key,
    /// Whether an untrusted forwarding peer was already warned about: unknown peers first, possible own proxies second.
    pub unheard_proxies: [Once; 2],
    /// Background tasks.
    pub background: Background,
    /// Request metrics.
    pub telemetry: Telemetry,
}

impl App {
    /// Opens the database and builds every part. Starts no background tasks. Fails if the database belongs to another
    /// master key, or the clock is clearly wrong.
    pub async fn new(config: Config, master: MasterKey, clock: Clock) -> Result<Self, Error> {
        let store = Store::open_with(config.database.expose(), Bounds::from(&config.limits), |_| Ok(None)).await?;
        Self::on(store, config, master, clock).await
    }

    /// As [`Self::new`], on a database that is already open.
    pub async fn on(store: Store, config: Config, master: MasterKey, clock: Clock) -> Result<Self, Error> {
        let store = Arc::new(store);
        let now = clock.now();
        check(&store, &master, now).await?;
        let catalog = Arc::new(CatalogCache::load(Arc::clone(&store), config.issuer.to_string()).await?);
        let algorithms: Vec<Algorithm> = catalog.current().apis.iter().map(|api| api.algorithm).collect();
        let lifetime = config.lifetimes.signing_key;
        let signing = Arc::new(Signing::load(Arc::clone(&store), master.clone(), lifetime, now, &algorithms).await?);
        let (usage, denials, event_counts): (Arc<Usage>, Arc<Denials>, Arc<EventCounts>) = Default::default();
        let mailer = Arc::new(Mailer::new(&config.mail)?);
        let (issuer, keys_url) = (config.issuer.to_string(), config.leaks.keys_url.clone());
        let leaks = Leaks::new(Arc::clone(&store), Arc::clone(&mailer), issuer, keys_url);
        let clock = Arc::new(clock);
        let background = Background {
            store: Arc::clone(&store),
            catalog: Arc::clone(&catalog),
            signing: Arc::clone(&signing),
            usage: Arc::clone(&usage),
            event_counts: Arc::clone(&event_counts),
            denials: Arc::clone(&denials),
            clock: Arc::clone(&clock),
            mailer,
            grant_limit: Arc::new(GrantLimit::new(config.limits.grants_per_user_and_client)),
            census: Arc::new(Census::default()),
            failures: Arc::new(Named::of(TASKS)),
            audit_key: master.mac(Purpose::Audit)?,
            audit_lifetime: config.lifetimes.audit,
        };
        // Cached answers are not trusted until the first poll. Polling here makes the first request fast.
        background.poll(&mut ChangeFeed::default()).await?;
        let verifier = Verifier::new(VerifierParts {
            store: Arc::clone(&store),
            catalog: Arc::clone(&catalog),
            signing: Arc::clone(&signing),
            usage,
            issuer: config.issuer.to_string(),
            client_plan: config.limits.client_plan.clone(),
            memory: config.limits.credential_cache(),
        });
        warn_of_plan(&config.limits.client_plan, &catalog);
        let limiter = match config.limits.shared.expose_secret() {
            "" => Limiter::default(),
            url => Limiter::shared(url, master.mac(Purpose::Limits)?, &config.limits).await?,
        };
        Ok(Self {
            mint: Mint::new(config.issuer.to_string(), Arc::clone(&signing)),
            clients: Clients::new(Arc::clone(&store)),
            sessions: Sessions::new(Arc::clone(&store)),
            grant_tokens: GrantTokens::new(&master)?,
            passwords: Passwords::default(),
            limiter,
            identity_headers: identity_headers(&config)?,
            forms: master.mac(Purpose::Forms)?,
            devices: master.mac(Purpose::Device)?,
            cursors: Cursors::new(&master)?,
            idempotency: Idempotency::new(master),
            telemetry: Telemetry::default(),
            unheard_proxies: [const { Once::new() }; 2],
            config,
            clock,
            store,
            catalog,
            signing,
            verifier,
            event_counts,
            denials,
            leaks,
            background,
        })
    }
}

impl App {
    /// The parts that operations need.
    pub fn engine(&self) -> Engine<'_> {
        let Self { config, store, catalog, signing, passwords, limiter, event_counts, .. } = self;
        Engine { config, store, catalog, signing, passwords, limiter, event_counts }
    }

    /// As [`Self::engine`], but writes go through `store`.
    pub fn engine_on<'a>(&'a self, store: &'a Store) -> Engine<'a> {
        Engine { store, ..self.engine() }
    }
}

/// Warns if `limits.client_plan` names a plan that does not exist. Startup continues: the plan can still be created.
fn warn_of_plan(client_plan: &str, catalog: &CatalogCache) {
    if !client_plan.is_empty() && catalog.current().plans.find(client_plan).is_none() {
        tracing::warn!(
            client_plan,
            "limits.client_plan: there is no such plan, so clients acting for themselves have no limit"
        );
    }
}

fn identity_headers(config: &Config) -> Result<Vec<HeaderName>, Error> {
    let name = |name: &str| HeaderName::try_from(name).map_err(Error::server);
    config.gateway.names().into_iter().map(|(_, text)| name(text)).collect()
}

/// Refuses a database that was created with another master key.
pub async fn check_master(store: &Store, master: &MasterKey, now: Timestamp) -> Result<(), Error> {
    if !master.has_fingerprint(&store.keep_once(now, "master_key", master.fingerprint()?).await?)? {
        return Err(Error::invalid_request("the master key does not match this database"));
    }
    Ok(())
}

/// Refuses a database that was created with another master key, and a clock that is clearly wrong.
async fn check(store: &Store, master: &MasterKey, now: Timestamp) -> Result<(), Error> {
    check_master(store, master, now).await?;
    if let Some(newest) = store.newest_entry_at().await?
        && newest > now + CLOCK_BEHIND
    {
        let (newest, now) = (newest.rfc3339(), now.rfc3339());
        return Err(Error::invalid_request(format!(
            "the clock says {now}, but the newest row in the database is from {newest}: correct the clock; if it was ahead \
             when that row was written, start again after that time, or restore an older backup"
        )));
    }
    Ok(())
}

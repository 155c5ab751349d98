//! Owns the one command that measures how fast grantd is: the same load on a bare minimal server and on
//! grantd, alternating, on the same machine in the same run. Ratios can be compared between machines, absolute
//! numbers cannot. Replies are only checked to be the right ones. One client sends everything, so the
//! limits of a client are set as high as possible (`limits.token_requests_per_client`, `limits.client_plan`): they count
//! and never refuse.
//!
//!     cargo bench --bench ratios -- [--quick] [--rounds N] [--seconds N] [--noise] [OPERATION]…
//!
//! `OPERATION` is a part of an operation's name; `--noise` measures the bare server against a second one
//! of its kind, which shows this machine's noise. `--keys N` only measures uncached keys, among a thousand
//! and among N (10000000 takes an hour and 5 GB of disk). `--rules N` only measures gateway decisions, among ten rules and
//! among N; `--profiles`, with the profile `bearer` and with one that uses every setting.

mod bare;
mod decisions;
mod grantd;
mod http;
mod keys;
mod load;
mod nginx;
mod process;
mod report;

use std::{
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use self::{
    http::Jar,
    load::{Client, Operation, Surface, drive},
    process::{Server, cpu_of_others},
    report::{Comparison, Report},
};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

const BARE_ARGUMENT: &str = "serve-bare";

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, directory] = arguments.as_slice()
        && first == BARE_ARGUMENT
    {
        return bare::serve(Path::new(directory));
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        // `cargo test --all-targets` starts benches too, with an unoptimized binary whose results mean nothing.
        return Ok(writeln!(std::io::stderr(), "ratios: only `cargo bench` measures")?);
    }
    let plan = Plan::parse(&arguments)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(&plan))
}

/// What to measure and for how long.
struct Plan {
    rounds: usize,
    round: Duration,
    warm_up: Duration,
    is_noise: bool,
    is_proxied: bool,
    keys: Option<u64>,
    rules: Option<u64>,
    is_of_profiles: bool,
    operations: Vec<Operation>,
}

impl Plan {
    fn parse(arguments: &[String]) -> Fallible<Self> {
        let (mut rounds, mut seconds, mut warm_up, mut is_noise, mut is_of_profiles) = (3, 5, 2, false, false);
        let (mut keys, mut rules, mut wanted) = (None, None, Vec::new());
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || -> Fallible<u64> { Ok(arguments.next().ok_or("a number is missing")?.parse()?) };
            match argument.as_str() {
                "--bench" => {}
                "--quick" => (rounds, seconds, warm_up) = (1, 1, 1),
                "--rounds" => rounds = number()?.max(1),
                "--seconds" => seconds = number()?.max(1),
                "--noise" => is_noise = true,
                "--keys" => keys = Some(number()?.max(1000)),
                "--rules" => rules = Some(number()?.max(10)),
                "--profiles" => is_of_profiles = true,
                flag if flag.starts_with('-') => return Err(format!("unknown flag {flag}").into()),
                part => wanted.push(part.to_owned()),
            }
        }
        let is_wanted = |operation: &Operation| {
            wanted.is_empty() || wanted.iter().any(|part| operation.name().contains(part.as_str()))
        };
        Ok(Self {
            rounds: usize::try_from(rounds)?,
            round: Duration::from_secs(seconds),
            warm_up: Duration::from_secs(warm_up),
            is_noise,
            is_proxied: !is_noise && is_wanted(&Operation::Proxied),
            keys,
            rules,
            is_of_profiles,
            operations: Operation::ALL.into_iter().filter(|operation| is_wanted(operation)).collect(),
        })
    }
}

/// A server under load: its address and its cost.
struct Contender {
    name: &'static str,
    surface: Surface,
    server: Server,
}

async fn measure(plan: &Plan) -> Fallible<()> {
    let directory = tempfile::tempdir()?;
    if let Some(many) = plan.keys {
        return keys::measure(directory.path(), many, plan.rounds).await;
    }
    if let Some(many) = plan.rules {
        return decisions::among_rules(directory.path(), many, plan.rounds).await;
    }
    if plan.is_of_profiles {
        return decisions::with_profiles(directory.path(), plan.rounds).await;
    }
    let mut report = Report::new(plan.rounds, plan.round);
    let bare = start_bare(directory.path(), "bare")?;
    let other = if plan.is_noise {
        start_bare(directory.path(), "bare again")?
    } else {
        let installation = grantd::Installation::new(&directory.path().join("grantd"))?;
        report.footprint = Some(installation.footprint()?);
        installation.start().await?
    };
    for &operation in &plan.operations {
        report.comparisons.push(compare(plan, operation, &bare, &other).await?);
    }
    if plan.is_proxied {
        let (unguarded, guarded) = nginx::start(directory.path(), &other.surface)?;
        report.comparisons.push(compare(plan, Operation::Proxied, &unguarded, &guarded).await?);
    }
    report.resident_after_load_mib = other.server.resident_mib()?;
    report.print(&mut std::io::stdout(), other.name)
}

/// Alternates the two servers, so that other load on the machine affects both.
async fn compare(plan: &Plan, operation: Operation, bare: &Contender, other: &Contender) -> Fallible<Comparison> {
    let blame = |contender: &Contender, error: Box<dyn std::error::Error>| {
        format!("{}, {}: {error}", contender.name, operation.name())
    };
    let mut sides = Vec::with_capacity(2);
    for contender in [bare, other] {
        let mut work = operation.prepare(&contender.surface).await.map_err(|error| blame(contender, error))?;
        drive(&contender.surface, &mut work, plan.warm_up).await.map_err(|error| blame(contender, error))?;
        sides.push((contender, work));
    }
    let mut comparison = Comparison::new(operation);
    for _ in 0..plan.rounds {
        for (side, (contender, work)) in sides.iter_mut().enumerate() {
            let (cpu, others) = (contender.server.cpu()?, cpu_of_others(&contender.server)?);
            let round = drive(&contender.surface, work, plan.round).await.map_err(|error| blame(contender, error))?;
            comparison.add(side, round, contender.server.cpu()? - cpu);
            comparison.others += cpu_of_others(&contender.server)?.saturating_sub(others);
        }
    }
    Ok(comparison)
}

/// The bare server is this program again, in a process of its own.
fn start_bare(directory: &Path, name: &'static str) -> Fallible<Contender> {
    let directory = directory.join(name);
    std::fs::create_dir(&directory)?;
    let started = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    let mut server = Server::start(command.arg(BARE_ARGUMENT).arg(&directory), &directory.join("log"))?;
    let address = server.first_line()?.parse()?;
    server.wait_until_ready(address, started)?;
    let client = Client { id: bare::CLIENT_ID.to_owned(), secret: bare::CLIENT_SECRET.to_owned() };
    let surface = Surface {
        address,
        introspect: "/introspect/opaque",
        gateway: None,
        authorize: "/authorize",
        token: "/token/es256",
        mint: "/token/opaque",
        resource_server: client.clone(),
        service: client.clone(),
        service_form: "grant_type=client_credentials&scope=read",
        app: client,
        redirect_uri: "https://app.example.test/callback",
        scope: "openid offline_access read",
        api_key: bare::KNOWN_TOKEN.to_owned(),
        sessions: (0..load::CONNECTIONS).map(|number| Jar::with("session", &bare::session(number))).collect(),
    };
    Ok(Contender { name, surface, server })
}

//! Owns the measure of a decision of the gateway: how long it takes among ten rules and among many, or with the profile
//! `bearer` and with one that uses every setting, in turns. Commands fill the servers, as anybody would.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use crate::{
    Fallible,
    grantd::Installation,
    http::{Connection, get},
    load::Surface,
    process::Server,
    report::{machine, median},
};

const FEW: u64 = 10;
/// Decisions in one round, and before that.
const ASKED: u64 = 20_000;
const WARM_UP: u64 = 2_000;
const TARGET_OF_RULES: f64 = 2.0;
const TARGET_OF_PROFILES: f64 = 1.03;
const EVERY_SETTING: &str = include_str!("every-setting.toml");

/// Servers with ten rules and with `many`.
pub(crate) async fn among_rules(directory: &Path, many: u64, rounds: usize) -> Fallible<()> {
    let side = |name: &str, rules| Side::new(&directory.join(name), format!("{rules} rules"), rules, None);
    compare([side("few", FEW)?, side("many", many)?], ("p99", 0.99, TARGET_OF_RULES), rounds).await
}

/// Servers with the profile `bearer`, and with one that uses every setting.
pub(crate) async fn with_profiles(directory: &Path, rounds: usize) -> Fallible<()> {
    let side = |name: &str, profile| Side::new(&directory.join(name), name.to_owned(), FEW, profile);
    let sides = [side("bearer", None)?, side("every setting", Some(EVERY_SETTING))?];
    compare(sides, ("p50", 0.5, TARGET_OF_PROFILES), rounds).await
}

/// Asks the servers in turns, and judges the ratio of one quantile.
async fn compare(mut sides: [Side; 2], judged: (&str, f64, f64), rounds: usize) -> Fallible<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}\n", machine()?)?;
    for _ in 0..rounds {
        for side in &mut sides {
            side.ask().await?;
        }
    }
    let [one, other] = &sides;
    writeln!(out, "| | {} | {} |\n| --- | ---: | ---: |", one.name, other.name)?;
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        writeln!(out, "| gateway, {name} | {:.1} µs | {:.1} µs |", one.quantile(part), other.quantile(part))?;
    }
    writeln!(out, "| resident | {:.0} MiB | {:.0} MiB |", one.server.resident_mib()?, other.server.resident_mib()?)?;
    let (name, part, target) = judged;
    let ratio = other.quantile(part) / one.quantile(part);
    let verdict = if ratio <= target { "met" } else { "missed" };
    writeln!(
        out,
        "\n{name} of {ASKED} decisions, the median of {rounds} rounds in turns: ratio {ratio:.2}, target {target:.2} {verdict}"
    )?;
    Ok(())
}

/// A server with its rules and profile, and what was measured of it.
struct Side {
    name: String,
    rules: u64,
    server: Server,
    surface: Surface,
    /// Microseconds of each decision, by rounds.
    rounds: Vec<Vec<f64>>,
}

impl Side {
    fn new(directory: &Path, name: String, rules: u64, profile: Option<&str>) -> Fallible<Self> {
        let installation = Installation::new(directory)?;
        let file = directory.join("rules.yaml");
        let mut lines = BufWriter::new(File::create(&file)?);
        writeln!(lines, "rules:")?;
        for number in 0..rules {
            writeln!(lines, "- {{ method: GET, path: \"/v1/things{number}/{{id}}\", scopes: [read] }}")?;
        }
        lines.into_inner()?.sync_all()?;
        installation.import_rules(&file)?;
        fs::remove_file(&file)?;
        if let Some(profile) = profile {
            let file = directory.join("profile.toml");
            fs::write(&file, profile)?;
            installation.import_profile(&file)?;
        }
        let (server, surface) = installation.start_alone()?;
        Ok(Self { name, rules, server, surface, rounds: Vec::new() })
    }

    /// Asks about requests for which rules all over the list decide.
    async fn ask(&mut self) -> Fallible<()> {
        let (surface, mut micros) = (&self.surface, Vec::new());
        let path = surface.gateway.ok_or("no gateway")?;
        let mut connection = Connection::open(surface.address).await?;
        for asked in 0..ASKED + WARM_UP {
            let headers = format!(
                "Authorization: Bearer {}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /v1/things{}/{asked}\r\n",
                surface.api_key,
                asked * 7919 % self.rules
            );
            let request = get(surface.address, path, &headers);
            let began = Instant::now();
            let reply = connection.exchange(&request).await?;
            let took = began.elapsed();
            if reply.status != 200 {
                return Err(reply.unexpected("a request that passes"));
            }
            if asked >= WARM_UP {
                micros.push(took.as_secs_f64() * 1e6);
            }
        }
        micros.sort_by(f64::total_cmp);
        self.rounds.push(micros);
        Ok(())
    }

    /// Of each round, and the median of those: a round that something else disturbed does not decide.
    fn quantile(&self, part: f64) -> f64 {
        let of_round = |round: &Vec<f64>| round.get((round.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
        median(&self.rounds.iter().map(of_round).collect::<Vec<_>>())
    }
}

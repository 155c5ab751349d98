//! Owns the measure of many rules: how long a decision of the gateway takes among ten rules and among many, in turns. Fills
//! both by `grantd api routes import`, as anybody would.

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
const TARGET: f64 = 2.0;

/// Servers with ten rules and with `many`, asked in turns.
pub(crate) async fn measure(directory: &Path, many: u64, rounds: usize) -> Fallible<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}\n", machine()?)?;
    let mut sides = [Side::new(&directory.join("few"), FEW)?, Side::new(&directory.join("many"), many)?];
    for _ in 0..rounds {
        for side in &mut sides {
            side.ask().await?;
        }
    }
    let [few, many] = &sides;
    writeln!(out, "| | {} rules | {} rules |\n| --- | ---: | ---: |", few.rules, many.rules)?;
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        writeln!(out, "| gateway, {name} | {:.1} µs | {:.1} µs |", few.quantile(part), many.quantile(part))?;
    }
    writeln!(out, "| resident | {:.0} MiB | {:.0} MiB |", few.server.resident_mib()?, many.server.resident_mib()?)?;
    let ratio = many.quantile(0.99) / few.quantile(0.99);
    let verdict = if ratio <= TARGET { "met" } else { "missed" };
    writeln!(
        out,
        "\np99 of {ASKED} decisions, the median of {rounds} rounds in turns: ratio {ratio:.2}, target {TARGET:.2} {verdict}"
    )?;
    Ok(())
}

/// A server with its rules, and what was measured of it.
struct Side {
    rules: u64,
    server: Server,
    surface: Surface,
    /// Microseconds of each decision, by rounds.
    rounds: Vec<Vec<f64>>,
}

impl Side {
    fn new(directory: &Path, rules: u64) -> Fallible<Self> {
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
        let (server, surface) = installation.start_alone()?;
        Ok(Self { rules, server, surface, rounds: Vec::new() })
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

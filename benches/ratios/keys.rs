//! Owns the measurement of many keys: the latency of uncached keys among a thousand and among millions, alternating,
//! and their memory and disk usage. Fills both databases by `grantd key import`.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use grantd::{
    engine::limit::Limiter,
    model::{clock::Timestamp, plan::Plan},
};

use crate::{
    Fallible,
    grantd::Installation,
    http::{Connection, post},
    process::resident_mib,
    report::{machine, median},
};

const FEW: u64 = 1000;
/// Keys looked up in one round, each once; and as many before, to warm up connections and statements.
const ASKED: u64 = 800;
const WARM_UP: u64 = 100;
const OWNERS: u64 = 10_000;
const TARGET: f64 = 3.0;
const SUBJECTS: u64 = 10_000_000;

/// Databases with a thousand keys and with `many`, alternating.
pub(crate) async fn measure(directory: &Path, many: u64, rounds: usize) -> Fallible<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}\n", machine()?)?;
    let few = Filled::new(&directory.join("few"), FEW)?;
    let many = Filled::new(&directory.join("many"), many)?;
    writeln!(out, "| | {} keys | {} keys |\n| --- | ---: | ---: |", few.keys, many.keys)?;
    let line = |name: &str, of: fn(&Filled) -> String| format!("| {name} | {} | {} |", of(&few), of(&many));
    writeln!(out, "{}", line("import, keys/s", |filled| format!("{:.0}", filled.per_second)))?;
    writeln!(out, "{}", line("import, resident at most", |filled| format!("{:.0} MiB", filled.import_mib)))?;
    writeln!(out, "{}", line("database", |filled| format!("{:.1} MiB", filled.database_mib)))?;
    let mut sides = [Side::default(), Side::default()];
    for round in 0..rounds {
        for (filled, side) in [&few, &many].into_iter().zip(&mut sides) {
            side.ask(filled, round as u64).await?;
        }
    }
    let [few_side, many_side] = &sides;
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        let (few, many) = (few_side.quantile(part), many_side.quantile(part));
        writeln!(out, "| introspection of a cold key, {name} | {few:.0} µs | {many:.0} µs |")?;
    }
    // The system can reclaim mapped pages of the file.
    for (name, at) in [("resident", 0), ("of it its own, not the file's pages", 1)] {
        let (few, many) = (few_side.resident_mib[at], many_side.resident_mib[at]);
        writeln!(out, "| {name}, after {ASKED} cold keys | {few:.0} MiB | {many:.0} MiB |")?;
    }
    let ratio = many_side.quantile(0.99) / few_side.quantile(0.99);
    let verdict = if ratio <= TARGET { "met" } else { "missed" };
    writeln!(
        out,
        "\np99 of {ASKED} cold keys, the median of {rounds} rounds in turns: ratio {ratio:.2}, target {TARGET:.2} {verdict}"
    )?;
    let mib = count_subjects().await?;
    writeln!(out, "Limits of {SUBJECTS} subjects, each counted once: {mib:.0} MiB more, in this process")?;
    Ok(())
}

/// An installation with its keys.
struct Filled {
    installation: Installation,
    keys: u64,
    per_second: f64,
    import_mib: f64,
    database_mib: f64,
}

impl Filled {
    fn new(directory: &Path, keys: u64) -> Fallible<Self> {
        let installation = Installation::new(directory)?;
        let file = directory.join("keys.csv");
        let mut rows = BufWriter::new(File::create(&file)?);
        writeln!(rows, "key,owner,scopes")?;
        for number in 0..keys {
            writeln!(rows, "{},user{}@example.test,read", key(number), number % OWNERS)?;
        }
        rows.into_inner()?.sync_all()?;
        let began = Instant::now();
        let (told, import_mib) = installation.import(&file)?;
        let per_second = keys as f64 / began.elapsed().as_secs_f64();
        fs::remove_file(&file)?;
        if told["imported"] != keys {
            return Err(format!("not every key was imported: {told}").into());
        }
        let bytes = |name| fs::metadata(directory.join(name)).map_or(0, |file| file.len());
        let database_mib = (bytes("grantd.db") + bytes("grantd.db-wal")) as f64 / 1024.0 / 1024.0;
        Ok(Self { installation, keys, per_second, import_mib, database_mib })
    }
}

/// The measurements of one database.
#[derive(Default)]
struct Side {
    /// Microseconds of each lookup, by rounds.
    rounds: Vec<Vec<f64>>,
    resident_mib: [f64; 2],
}

impl Side {
    /// Starts a server with an empty cache, and looks up keys from all over the database, each once.
    async fn ask(&mut self, filled: &Filled, round: u64) -> Fallible<()> {
        let (server, surface) = filled.installation.start_alone()?;
        let mut micros = Vec::new();
        let mut connection = Connection::open(surface.address).await?;
        let step = filled.keys / (ASKED + WARM_UP);
        for asked in 0..ASKED + WARM_UP {
            // Other keys in every round, not in the database's order.
            let number = (asked * 389 % (ASKED + WARM_UP)) * step + round % step.max(1);
            let form = format!("token={}", key(number));
            let request = post(surface.address, surface.introspect, &surface.resource_server.basic(), &form);
            let began = Instant::now();
            let reply = connection.exchange(&request).await?;
            let took = began.elapsed();
            if reply.status != 200 || !reply.body.windows(13).any(|window| window == b"\"active\":true") {
                return Err(reply.unexpected("an active key"));
            }
            if asked >= WARM_UP {
                micros.push(took.as_secs_f64() * 1e6);
            }
        }
        micros.sort_by(f64::total_cmp);
        self.rounds.push(micros);
        self.resident_mib = [server.resident_mib()?, server.own_mib()?];
        Ok(())
    }

    /// Of each round, and their median, so that one disturbed round does not decide.
    fn quantile(&self, part: f64) -> f64 {
        let of_round = |round: &Vec<f64>| round.get((round.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
        median(&self.rounds.iter().map(of_round).collect::<Vec<_>>())
    }
}

/// The same key for the same number, not predictable from another.
fn key(number: u64) -> String {
    let digest = digest::digest(&digest::SHA256, &number.to_be_bytes());
    format!("bench_{}", &HEXLOWER.encode(digest.as_ref())[..32])
}

/// How much memory the limits of many subjects take, in MiB.
async fn count_subjects() -> Fallible<f64> {
    let before = resident_mib("self")?;
    let (limiter, plan) = (Limiter::default(), Plan { name: "bench".to_owned(), per_hour: Some(1000), burst: 50 });
    for name in 0..SUBJECTS {
        limiter.count(Timestamp(1_795_219_200_000), &plan, &name.to_string(), "api").await?;
    }
    Ok(resident_mib("self")? - before)
}

//! Owns the figures: medians, ratios, and the Markdown in which they are printed.

use std::{io::Write, process::Command, time::Duration};

use crate::{
    Fallible,
    load::{CONNECTIONS, Operation, Round},
};

/// The cost of one operation on both servers, in alternating rounds.
pub(crate) struct Comparison {
    operation: Operation,
    rates: [Vec<f64>; 2],
    operations: [u64; 2],
    cpu: [u64; 2],
    seconds: f64,
    /// Microseconds that other programs used meanwhile.
    pub(crate) others: u64,
}

impl Comparison {
    pub(crate) fn new(operation: Operation) -> Self {
        Self { operation, rates: Default::default(), operations: [0; 2], cpu: [0; 2], seconds: 0.0, others: 0 }
    }

    pub(crate) fn add(&mut self, side: usize, round: Round, cpu: u64) {
        self.rates[side].push(round.operations as f64 / round.seconds);
        self.operations[side] += round.operations;
        self.cpu[side] += cpu;
        self.seconds += round.seconds;
    }

    /// grantd to bare, each round with the previous one.
    fn ratios(&self) -> Vec<f64> {
        let [bare, other] = &self.rates;
        bare.iter().zip(other).map(|(bare, other)| other / bare).collect()
    }

    fn cpu_per_operation(&self, side: usize) -> f64 {
        self.cpu[side] as f64 / self.operations[side].max(1) as f64
    }
}

/// The memory of a running grantd before its first request.
pub(crate) struct Footprint {
    pub(crate) ready: Vec<f64>,
    pub(crate) resident_mib: f64,
    pub(crate) binary_mib: f64,
}

pub(crate) struct Report {
    rounds: usize,
    round: Duration,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) footprint: Option<Footprint>,
    pub(crate) resident_after_load_mib: f64,
}

impl Report {
    pub(crate) fn new(rounds: usize, round: Duration) -> Self {
        Self { rounds, round, comparisons: Vec::new(), footprint: None, resident_after_load_mib: 0.0 }
    }

    pub(crate) fn print(&self, out: &mut impl Write, name: &str) -> Fallible<()> {
        let (rounds, seconds) = (self.rounds, self.round.as_secs());
        writeln!(out, "{}\n", machine()?)?;
        writeln!(out, "{CONNECTIONS} keep-alive connections, closed loop, {rounds} x {seconds} s each in turn\n")?;
        writeln!(
            out,
            "| operation | bare /s | {name} /s | ratio (min..max) | target | bare CPU µs/op | {name} CPU µs/op |"
        )?;
        writeln!(out, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for comparison in &self.comparisons {
            let ratios = comparison.ratios();
            let (ratio, target) = (median(&ratios), comparison.operation.target());
            let verdict = target.map_or_else(
                || "reported".to_owned(),
                |target| format!("{target:.2} {}", if ratio >= target { "met" } else { "missed" }),
            );
            writeln!(
                out,
                "| {} | {:.0} | {:.0} | {ratio:.2} ({:.2}..{:.2}) | {verdict} | {:.1} | {:.1} |",
                comparison.operation.name(),
                median(&comparison.rates[0]),
                median(&comparison.rates[1]),
                ratios.iter().copied().fold(f64::INFINITY, f64::min),
                ratios.iter().copied().fold(0.0, f64::max),
                comparison.cpu_per_operation(0),
                comparison.cpu_per_operation(1),
            )?;
        }
        if self.comparisons.iter().any(|comparison| comparison.operation == Operation::Proxied) {
            writeln!(out, "\nIn the row of nginx, \"bare\" is nginx without the guard, and CPU is nginx's alone.")?;
        }
        writeln!(out, "\nOther programs used {:.2} cores meanwhile.", self.others())?;
        let Some(footprint) = &self.footprint else { return Ok(()) };
        writeln!(out, "\n| {name} | |\n| --- | ---: |")?;
        writeln!(out, "| exec to first 200 on /readyz, existing database | {:.0} ms |", median(&footprint.ready))?;
        writeln!(out, "| resident when idle (VmRSS) | {:.1} MiB |", footprint.resident_mib)?;
        writeln!(out, "| resident after this load | {:.1} MiB |", self.resident_after_load_mib)?;
        writeln!(out, "| binary | {:.1} MiB |", footprint.binary_mib)?;
        Ok(())
    }

    /// Cores used by other programs: unless near 0, the rates say more about them than about the servers.
    fn others(&self) -> f64 {
        let seconds: f64 = self.comparisons.iter().map(|comparison| comparison.seconds).sum();
        let microseconds: u64 = self.comparisons.iter().map(|comparison| comparison.others).sum();
        microseconds as f64 / 1e6 / seconds.max(f64::MIN_POSITIVE)
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Where and when: figures are meaningless without that.
pub(crate) fn machine() -> Fallible<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, model)| model);
    let cores = std::thread::available_parallelism()?;
    let date = time::OffsetDateTime::from(std::time::SystemTime::now()).date();
    let compiler =
        Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output()?;
    Ok(format!("{date}, {cores} cores of {model}, {}", String::from_utf8_lossy(&compiler.stdout).trim()))
}

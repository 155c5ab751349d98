//! Owns server processes: starting, waiting until ready, measuring their cost, and stopping. Reads /proc, so
//! it needs Linux.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::Fallible;

/// Linux counts process times in hundredths of a second, whatever the kernel's own tick.
const MICROSECONDS_PER_TICK: u64 = 10_000;
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts it with standard error in a file and standard output in a pipe.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Fallible<Self> {
        let log = fs::File::options().create(true).append(true).open(log)?;
        Ok(Self { child: command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()? })
    }

    /// The first line it prints.
    pub(crate) fn first_line(&mut self) -> Fallible<String> {
        let mut output = self.child.stdout.take().ok_or("no standard output")?;
        let (mut line, mut byte) = (Vec::new(), [0]);
        while output.read(&mut byte)? == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        self.child.stdout = Some(output);
        Ok(String::from_utf8(line)?)
    }

    /// Polls `/readyz` until it answers 200; how long that took since `started`.
    pub(crate) fn wait_until_ready(&mut self, address: SocketAddr, started: Instant) -> Fallible<Duration> {
        while started.elapsed() < START_LIMIT {
            if is_ready(address) {
                return Ok(started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended at its start: {status}").into());
            }
            thread::sleep(Duration::from_micros(200));
        }
        Err(format!("not ready after {START_LIMIT:?}").into())
    }

    /// User and system time used so far, in microseconds.
    pub(crate) fn cpu(&self) -> Fallible<u64> {
        cpu_of(&self.child.id().to_string())
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> Fallible<f64> {
        resident_mib(&self.child.id().to_string())
    }

    /// The part of it that is not pages of files, in MiB.
    pub(crate) fn own_mib(&self) -> Fallible<f64> {
        status_mib(&self.child.id().to_string(), "RssAnon:")
    }
}

/// Resident memory of a process in MiB.
pub(crate) fn resident_mib(process: &str) -> Fallible<f64> {
    status_mib(process, "VmRSS:")
}

fn status_mib(process: &str, line: &str) -> Fallible<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = status.lines().find_map(|text| text.strip_prefix(line)).ok_or("no such line in /proc/PID/status")?;
    Ok(kib.trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time used so far by everything but this server and this program, in microseconds.
pub(crate) fn cpu_of_others(server: &Server) -> Fallible<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().ok_or("/proc/stat")?;
    // cpu user nice system idle iowait irq softirq steal
    let times: Vec<u64> = line.split_whitespace().skip(1).take(8).map(str::parse).collect::<Result<_, _>>()?;
    let [user, nice, system, _, _, irq, softirq, steal] = times[..] else { return Err("/proc/stat".into()) };
    let all = (user + nice + system + irq + softirq + steal) * MICROSECONDS_PER_TICK;
    Ok(all.saturating_sub(server.cpu()? + cpu_of("self")?))
}

fn cpu_of(process: &str) -> Fallible<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The process name in parentheses may hold blanks; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks = times.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks * MICROSECONDS_PER_TICK)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

//! Owns the checks of this machine: configuration, disk, write-ahead log, proxies, file modes. Opens no database.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Finding, Global, files};
use crate::config::Config;

const MIB: u64 = 1 << 20;
/// With less free space than this, writes are about to fail.
const FREE_FAIL: u64 = 100 * MIB;
const FREE_WARN: u64 = 1024 * MIB;
/// SQLite checkpoints the log at 32 MiB at the latest. If it is longer, a reader holds it open or no checkpoint runs.
const LOG_WARN: u64 = 128 * MIB;

/// The configuration was read, or this would not run; only warnings and the issuer are checked.
pub(super) fn configuration(config: &Config) -> Finding {
    let check = "configuration";
    if !config.warnings.is_empty() {
        return Finding::warn(check, config.warnings.join("; "), "Change the settings named here");
    }
    if config.issuer.is_https() {
        return Finding::ok(check, format!("issuer {}, listening on {}", config.issuer, config.listen));
    }
    let todo = "That is enough to try grantd. In production, set issuer to the public https URL";
    Finding::warn(check, format!("the issuer {} is http, on this machine", config.issuer), todo)
}

/// Free space where the database is.
pub(super) fn disk(config: &Config) -> Finding {
    let check = "disk";
    let Some(file) = config.database.file() else {
        return Finding::ok(check, "not checked: PostgreSQL manages its own disk");
    };
    let folder = folder_of(file);
    let free = match rustix::fs::statvfs(folder.as_path()) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => {
            let found = format!("{} cannot be read: {}", folder.display(), io::Error::from(error));
            return Finding::fail(check, found, "Create the directory, or name another with --database");
        }
    };
    space(free, &folder)
}

fn space(free: u64, folder: &Path) -> Finding {
    let (check, found) = ("disk", format!("{} MiB free in {}", free / MIB, folder.display()));
    match free {
        ..FREE_FAIL => Finding::fail(check, found, "Free some space; writes are about to fail"),
        FREE_FAIL..FREE_WARN => Finding::warn(check, found, "Free some space, or move the database"),
        _ => Finding::ok(check, found),
    }
}

/// Whether the log is checkpointed into the database.
pub(super) fn write_ahead_log(config: &Config) -> Finding {
    let check = "write-ahead log";
    let Some(file) = config.database.file() else { return Finding::ok(check, "not checked: PostgreSQL has its own") };
    let bytes = fs::metadata(beside(file, "-wal")).map_or(0, |log| log.len());
    let found = if bytes == 0 { "empty".to_owned() } else { format!("{} KiB", bytes.div_ceil(1024)) };
    if bytes < LOG_WARN {
        return Finding::ok(check, found);
    }
    let todo = "It is not being checkpointed; close other programs that have the database open, then restart grantd";
    Finding::warn(check, found, todo)
}

/// Whether a proxy in front is trusted; otherwise the callers' addresses are unknown.
pub(super) fn trusted_proxies(config: &Config) -> Finding {
    let check = "trusted proxies";
    if let Some(missing) = config.missing_proxy() {
        return Finding::warn(check, missing, "Also make the proxy send X-Forwarded-For");
    }
    let networks: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    Finding::ok(check, if networks.is_empty() { "none, and none needed".to_owned() } else { networks.join(", ") })
}

/// Whether files with secrets are readable only by their owner.
pub(super) fn file_modes(global: &Global, config: &Config) -> Finding {
    let mut holders = vec![PathBuf::from("demo.env")];
    if let Some(database) = config.database.file() {
        holders.push(folder_of(database).join("demo.env"));
        holders.extend(["", ".key", "-wal", "-shm"].map(|end| beside(database, end)));
    }
    let settings = global.config.clone().unwrap_or_else(|| PathBuf::from("grantd.toml"));
    if fs::read_to_string(&settings).is_ok_and(|text| text.lines().any(holds_secret)) {
        holders.push(settings);
    }
    holders.sort_unstable();
    holders.dedup();
    let open: Vec<String> =
        holders.iter().filter(|file| files::is_open(file)).map(|file| file.display().to_string()).collect();
    if open.is_empty() {
        return Finding::ok("file modes", "only their owner can read the files with secrets");
    }
    let open = open.join(" ");
    Finding::fail("file modes", format!("other users can read {open}"), format!("chmod 600 {open}"))
}

/// Whether a line of the configuration sets a secret, or a URL with a password.
fn holds_secret(line: &str) -> bool {
    let Some((key, value)) = line.split_once('=') else { return false };
    let (key, value) = (key.trim(), value.trim().trim_matches(['"', '\'']));
    let is_secret = ["master_key", "metrics_token"].contains(&key) && !value.is_empty();
    is_secret || (!key.starts_with('#') && value.contains("://") && value.contains('@'))
}

fn beside(file: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", file.display()))
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn low_disk_space_warns_and_almost_none_fails() {
        for (free, verdict) in [(99 * MIB, Verdict::Fail), (100 * MIB, Verdict::Warn), (1024 * MIB, Verdict::Ok)] {
            assert_eq!(space(free, Path::new("/data")).verdict, verdict);
        }
    }

    #[test]
    fn configuration_lines_with_secrets_are_recognized() {
        for line in ["master_key = \"abc\"", "url = \"smtps://me:pw@mail.example.com\"", " metrics_token='x'"] {
            assert!(holds_secret(line), "{line}");
        }
        for line in ["master_key = \"\"", "# url = \"smtps://me:pw@mail\"", "issuer = \"https://a.example\"", "[mail]"]
        {
            assert!(!holds_secret(line), "{line}");
        }
    }
}

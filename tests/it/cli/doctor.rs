//! Owns tests of `grantd doctor`: each check on a healthy deployment and with one problem.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    thread,
};

use grantd::engine::master::MasterKey;
use serde_json::{Value, json};

use crate::harness::{
    Installation,
    database::Database,
    process::{Ran, free_port, now},
};

const CHECKS: [&str; 14] = [
    "configuration",
    "issuer",
    "clock",
    "disk",
    "database",
    "schema",
    "first steps",
    "master key",
    "signing keys",
    "write-ahead log",
    "mail",
    "shared limits",
    "trusted proxies",
    "file modes",
];

/// Each check's verdict and text.
fn examined(here: &Installation) -> (Ran, BTreeMap<String, (String, String)>) {
    let ran = here.run(&["doctor", "--json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let checks = told["checks"].as_array().expect("checks").iter().map(|one| {
        let words = format!("{}. {}", text(&one["found"]), text(&one["todo"]));
        (text(&one["check"]), (text(&one["verdict"]), words))
    });
    let checks: BTreeMap<_, _> = checks.collect();
    let has_failed = checks.values().any(|(verdict, _)| verdict == "fail");
    assert_eq!(ran.status.code(), Some(i32::from(has_failed)), "{ran:?}");
    assert_eq!(told["verdict"] == "fail", has_failed, "{ran:?}");
    (ran, checks)
}

/// Asserts the verdict and text of one check.
#[track_caller]
fn says(here: &Installation, check: &str, verdict: &str, words: &str) {
    let (ran, checks) = examined(here);
    let (found, said) = checks.get(check).unwrap_or_else(|| panic!("no {check}: {ran:?}"));
    assert!(found == verdict && said.contains(words), "{check}: {found}: {said}");
}

/// A deployment with a user, an API and a master key file; and its database.
fn deployment() -> (Installation, Database) {
    let database = Database::sqlite();
    let here = Installation::on(database.same());
    here.api();
    here.json(&["user", "create", "--email", "root@example.com", "--admin"]);
    (here, database)
}

/// The names of the files in a directory.
fn files(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_deployment_passes_every_check() {
    let (here, _database) = deployment();
    let server = here.serve().await;
    here.json(&["backup", &here.path("copy.sqlite").display().to_string()]);
    let (_, checks) = examined(&here);
    for check in CHECKS.into_iter().chain(["backup"]) {
        let (verdict, words) = checks.get(check).unwrap_or_else(|| panic!("no {check}: {checks:?}"));
        // A test's issuer is http on loopback.
        let expected = if check == "configuration" { "warn" } else { "ok" };
        assert_eq!(verdict, expected, "{check}: {words}");
    }
    assert_eq!(checks.len(), CHECKS.len() + 1);
    let ran = here.run(&["doctor"]);
    assert!(ran.status.success() && ran.err.is_empty(), "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), checks.len() + 1, "one line a check and a verdict: {}", ran.out);
    assert_eq!(lines[lines.len() - 1], "warn: 15 checks: 14 ok, 1 warn, 0 fail");
    assert!(lines[0].starts_with("warn  configuration    the issuer http://127.0.0.1:"), "{}", ran.out);
    server.kill();
    says(&here, "issuer", "fail", "cannot be reached");
}

#[test]
fn missing_database_fails_one_check_and_creates_nothing() {
    let mut here = Installation::new();
    here.unset("GRANTD_MASTER_KEY");
    here.unset("GRANTD_DATABASE_URL");
    let before = files(here.dir.path());
    let (_, checks) = examined(&here);
    let (verdict, words) = &checks["database"];
    assert!(verdict == "fail" && words.contains("no database at grantd.db"), "{words}");
    assert_eq!(checks["master key"].0, "fail");
    for check in ["disk", "write-ahead log", "mail", "shared limits", "file modes"] {
        assert_eq!(checks[check].0, "ok", "{checks:?}");
    }
    assert_eq!(files(here.dir.path()), before);
    fs::write(here.path("grantd.db"), "").expect("written");
    says(&here, "database", "fail", "no database at grantd.db");
    fs::write(here.path("grantd.db"), "some other program's file, which is longer than a header").expect("written");
    says(&here, "database", "fail", "not a database");
    assert_eq!(files(here.dir.path()), ["grantd.db"]);
}

#[test]
fn unreadable_configuration_fails() {
    let mut here = Installation::new();
    here.set("GRANTD_ISSUER", "ftp://nowhere");
    let (_, checks) = examined(&here);
    assert_eq!(checks.keys().collect::<Vec<_>>(), ["configuration"]);
    assert!(checks["configuration"].0 == "fail" && checks["configuration"].1.contains("issuer"), "{checks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_deployment_at_the_issuer_is_detected() {
    let (mut here, _database) = deployment();
    let other = Installation::new();
    other.api();
    let server = other.serve().await;
    here.serve().await.kill();
    here.set("GRANTD_ISSUER", other.variable("GRANTD_ISSUER"));
    says(&here, "issuer", "fail", "another deployment answers");
    here.set("GRANTD_ISSUER", other.variable("GRANTD_ISSUER").replace("127.0.0.1", "localhost"));
    says(&here, "issuer", "fail", "reports the issuer \"http://127.0.0.1:");
    drop(server);
}

/// A server that answers every request alike: with the signing keys, and a date one hour ago.
fn an_hour_ago(issuer: &str, kid: &str, port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port");
    let body = json!({ "issuer": issuer, "keys": [{ "kid": kid }] }).to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut head) = (stream.expect("a connection"), [0; 4096]);
            let _read = stream.read(&mut head).expect("a head");
            let date = httpdate(now().seconds() - 3600);
            let head =
                format!("HTTP/1.1 200 OK\r\ndate: {date}\r\nconnection: close\r\ncontent-length: {}", body.len());
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("sent");
        }
    });
}

/// RFC 9110 §5.6.7, from Rfc2822's text, in which the zone is +0000.
fn httpdate(seconds: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(seconds).expect("a moment");
    let text = at.format(&time::format_description::well_known::Rfc2822).expect("a date");
    text.replace("+0000", "GMT")
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_clock_is_detected_by_database_and_server() {
    let (mut here, database) = deployment();
    here.serve().await.kill();
    let kid = database.column("SELECT kid FROM signing_keys").await.remove(0);
    let port = free_port();
    let issuer = format!("http://127.0.0.1:{port}");
    an_hour_ago(&issuer, &kid, port);
    here.set("GRANTD_ISSUER", issuer);
    says(&here, "issuer", "ok", "with this database's signing keys");
    says(&here, "clock", "fail", "s ahead of the server's");
    let ahead = now().0 + 3_600_000;
    database.run(&format!("UPDATE audit SET at = {ahead} WHERE seq = 1 OR seq IS NULL")).await;
    says(&here, "clock", "fail", "s behind the newest entry in the database");
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_is_compared_and_not_migrated() {
    let (here, database) = deployment();
    let versions = async || database.column("SELECT version FROM schema_migrations ORDER BY version").await;
    database.run("DELETE FROM schema_migrations WHERE version = 8").await;
    let before = versions().await;
    says(&here, "schema", "warn", "migrations not applied: 1");
    assert_eq!(versions().await, before, "not migrated");
    database.run("INSERT INTO schema_migrations (version) VALUES (9999)").await;
    says(&here, "schema", "fail", "Run a newer grantd");
}

#[tokio::test(flavor = "multi_thread")]
async fn mismatched_or_readable_secrets_fail() {
    let (mut here, database) = deployment();
    here.serve().await.kill();
    let right = here.variable("GRANTD_MASTER_KEY").to_owned();
    here.set("GRANTD_MASTER_KEY", MasterKey::generate().text().to_string());
    says(&here, "master key", "fail", "the master key does not match");
    says(&here, "signing keys", "fail", "cannot be decrypted");
    here.set("GRANTD_MASTER_KEY", right);
    says(&here, "signing keys", "ok", "");
    let month_ago = now().0 - 40 * 86_400_000;
    database.run(&format!("UPDATE signing_keys SET active_from = {month_ago}")).await;
    says(&here, "signing keys", "warn", "should have been rotated");
    let file = here.variable("GRANTD_DATABASE_URL").replace("sqlite:", "");
    let open = |path: &str| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("changed");
    says(&here, "file modes", "ok", "");
    open(&file);
    says(&here, "file modes", "fail", &format!("chmod 600 {file}"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("changed");
    let settings = here.path("grantd.toml");
    fs::write(&settings, "key_prefix = \"gd\"\n").expect("written");
    open(&settings.display().to_string());
    says(&here, "file modes", "ok", "");
    fs::write(&settings, "metrics_token = \"m3trics\"\n").expect("written");
    says(&here, "file modes", "fail", "grantd.toml");
    fs::remove_file(settings).expect("removed");
    fs::write(here.path("demo.env"), "SECRET=1\n").expect("written");
    open(&here.path("demo.env").display().to_string());
    says(&here, "file modes", "fail", "demo.env");
}

#[tokio::test(flavor = "multi_thread")]
async fn age_of_the_newest_backup_is_reported() {
    let (here, database) = deployment();
    says(&here, "backup", "warn", "was never run");
    here.json(&["backup", &here.path("copy.sqlite").display().to_string()]);
    says(&here, "backup", "ok", "(0 d ago)");
    let week_ago = now().0 - 8 * 86_400_000;
    database.run(&format!("UPDATE meta SET value = '{week_ago}' WHERE name = 'backup_at'")).await;
    says(&here, "backup", "warn", "(8 d ago)");
}

#[test]
fn unreachable_services_fail() {
    let (mut here, _database) = deployment();
    here.set("GRANTD_MAIL__URL", "smtp://user:pa55word@127.0.0.1:1");
    here.set("GRANTD_MAIL__FROM", "keys@example.com");
    here.set("GRANTD_LIMITS__SHARED", "redis://:pa55word@127.0.0.1:1/0");
    // Nothing listens on port 1.
    here.set("GRANTD_ISSUER", "https://127.0.0.1:1");
    let (ran, checks) = examined(&here);
    for (check, words) in
        [("issuer", "cannot be reached"), ("mail", "cannot send mail"), ("shared limits", "Redis cannot be reached")]
    {
        let (verdict, said) = &checks[check];
        assert!(verdict == "fail" && said.contains(words), "{check}: {verdict}: {said}");
    }
    assert_eq!(checks["trusted proxies"].0, "warn", "https, and no proxy is known");
    assert_eq!(checks["configuration"].0, "ok");
    assert!(!(ran.out + ran.err.as_str()).contains("pa55word"));
    here.set("GRANTD_TRUSTED_PROXIES", "10.0.0.7/32");
    says(&here, "trusted proxies", "ok", "10.0.0.7/32");
    let text = here.run(&["doctor"]);
    let last = text.out.lines().last().expect("a verdict");
    assert!(last.starts_with("fail: 15 checks: ") && last.ends_with(" 3 fail"), "{last}");
    assert_eq!(text.err, "grantd: 3 of 15 checks failed\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_server_is_checked_without_sending_mail() {
    let (mut here, _database) = deployment();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    here.set("GRANTD_MAIL__URL", format!("smtp://{}", listener.local_addr().expect("an address")));
    here.set("GRANTD_MAIL__FROM", "grantd <no-reply@localhost>");
    let heard = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(b"220 mail.test\r\n").expect("sent");
        let (mut heard, mut some) = (String::new(), [0; 512]);
        while let Ok(count @ 1..) = stream.read(&mut some) {
            heard.push_str(&String::from_utf8_lossy(&some[..count]));
            if stream.write_all(b"250 fine\r\n").is_err() {
                break;
            }
        }
        heard
    });
    says(&here, "mail", "warn", "the sender is grantd <no-reply@localhost>");
    let heard = heard.join().expect("what it heard");
    assert!(heard.starts_with("EHLO") && !heard.contains("MAIL FROM"), "{heard}");
}

#[cfg(feature = "services")]
#[tokio::test(flavor = "multi_thread")]
async fn disk_log_and_backup_are_not_checked_on_postgresql() {
    let here = Installation::on_postgres().await;
    here.api();
    let (_, checks) = examined(&here);
    for check in ["disk", "write-ahead log", "backup"] {
        let (verdict, words) = &checks[check];
        assert!(verdict == "ok" && words.contains("not checked"), "{check}: {words}");
    }
    for check in ["database", "schema", "master key"] {
        assert_eq!(checks[check].0, "ok", "{checks:?}");
    }
    assert_eq!(checks["first steps"].1.split('.').next(), Some("no users"));
}

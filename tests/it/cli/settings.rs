//! Owns tests of messages about wrong, unknown or unwise settings: which one, where, its value, and the remedy.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    thread,
};

use grantd::config::{Config, DEFAULTS};

use crate::harness::{Installation, process::free_port};

/// Variables that Kubernetes and Docker set in containers next to a service named `grantd`.
const SERVICE_LINKS: [(&str, &str); 7] = [
    ("GRANTD_PORT", "tcp://10.96.0.12:8080"),
    ("GRANTD_SERVICE_HOST", "10.96.0.12"),
    ("GRANTD_SERVICE_PORT", "8080"),
    ("GRANTD_PORT_8080_TCP", "tcp://10.96.0.12:8080"),
    ("GRANTD_PORT_8080_TCP_ADDR", "10.96.0.12"),
    ("GRANTD_PORT_8080_TCP_PORT", "8080"),
    ("GRANTD_PORT_8080_TCP_PROTO", "tcp"),
];

/// Every setting with its default as in the file, below its section.
fn settings() -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in DEFAULTS.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((name, value)) = line.split_once(" = ") {
            found.push((section.clone(), name.to_owned(), value.to_owned()));
        }
    }
    found
}

fn load(variables: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let overrides: Vec<_> = overrides.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Config::load(None, variables, &overrides).map_err(|error| error.to_string())
}

#[tokio::test]
async fn service_link_variables_are_ignored_silently() {
    let mut here = Installation::new();
    SERVICE_LINKS.iter().for_each(|(name, value)| here.set(name, *value));
    here.set("GRANTD_SERVER", "http://127.0.0.1:1");
    let server = here.serve().await;
    assert!(!server.log().contains("GRANTD_"), "{}", server.log());
    here.unset("GRANTD_SERVER");
    here.user("alice@example.com");
    for command in [&["user", "list"][..], &["key", "list"], &["signing-key", "list"], &["doctor"], &["openapi"]] {
        let ran = here.run(command);
        assert!(ran.status.success() && !ran.err.contains("GRANTD_"), "{command:?}: {ran:?}");
    }
}

#[tokio::test]
async fn unknown_variables_are_named_in_one_warning_without_values() {
    let mut here = Installation::new();
    here.set("GRANTD_ISUER", "a-value-of-mine");
    here.set("GRANTD_LIMITS__BODY_BYTE", "a-value-of-mine");
    let server = here.serve().await;
    let log = server.log();
    let warned: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    let [warned] = warned[..] else { panic!("{log}") };
    for words in ["GRANTD_ISUER (did you mean GRANTD_ISSUER?)", "(did you mean GRANTD_LIMITS__BODY_BYTES?)"] {
        assert!(warned.contains(words), "{warned}");
    }
    assert!(!log.contains("a-value-of-mine"), "{log}");
    let ran = here.run(&["user", "list"]);
    assert!(ran.status.success() && ran.err.matches("warning: ").count() == 1, "{ran:?}");
    assert!(ran.err.contains("GRANTD_ISUER"), "{ran:?}");
}

#[tokio::test]
async fn remote_server_can_be_set_in_the_environment() {
    let here = Installation::new();
    here.json(&["user", "create", "--email", "root@example.com", "--admin"]);
    let made = here.json(&["key", "create", "--user", "root@example.com", "--scope", "grantd:users:read"]);
    let server = here.serve().await;
    let mut away = Installation::new();
    away.environment.clear();
    away.set("GRANTD_SERVER", server.base.clone());
    away.set("GRANTD_API_KEY", made["key"].as_str().expect("a key"));
    assert_eq!(away.json(&["user", "list"])["items"][0]["email"], "root@example.com");
    assert!(away.refused(&["user", "list", "--database", "sqlite:none.db"]).contains("no database at none.db"));
    assert!(away.refused(&["backup", "b.db"]).contains("no database at grantd.db"));
}

#[test]
fn settings_of_the_wrong_type_are_reported_with_place_and_example() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("wrong.toml");
    let all = settings();
    assert!(all.len() > 40, "{all:?}");
    for (section, name, default) in all {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let wrong = if default.starts_with('"') || default.starts_with('[') { "17" } else { "\"soon\"" };
        let head = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        fs::write(&file, format!("# a comment\n{head}{name} = {wrong}\n")).expect("written");
        let error = Config::load(Some(&file), [], &[]).expect_err(&key).to_string();
        let line = if section.is_empty() { 2 } else { 3 };
        for words in [format!("configuration: {key}: "), format!("wrong.toml, line {line}"), "such as ".to_owned()] {
            assert!(error.contains(&words), "{words}: {error}");
        }
        // A variable is text, which is wrong for a number or a choice.
        if !default.starts_with(['"', '[']) {
            let variable = format!("GRANTD_{}", key.to_uppercase().replace('.', "__"));
            let error = load(&[(&variable, "soon")], &[]).expect_err(&key);
            for words in
                [format!("configuration: {key}: "), format!("found \"soon\" in {variable}"), "such as ".to_owned()]
            {
                assert!(error.contains(&words), "{words}: {error}");
            }
        }
    }
}

#[test]
fn invalid_values_are_shown_with_their_place_except_secrets() {
    for (variable, value, words) in [
        ("GRANTD_LOG", "loud", "log: a level such as info"),
        ("GRANTD_LOG_FORMAT", "xml", "text or json"),
        ("GRANTD_LISTEN", "example.com:8080", "such as 127.0.0.1:8080"),
        ("GRANTD_TRUSTED_PROXIES", "10.0.0.0/99", "such as 10.0.0.7 or 10.0.0.0/8"),
        ("GRANTD_KEY_PREFIX", "A b", "1 to 20 lower-case letters and digits, such as \"gd\""),
        ("GRANTD_GATEWAY__USER_HEADER", "User", "gateway.user_header"),
    ] {
        let error = load(&[(variable, value)], &[]).expect_err(variable);
        assert!(error.contains(words) && error.contains(value) && error.contains(variable), "{error}");
    }
    for (variable, value) in
        [("GRANTD_DATABASE", "mysql://u:hunter2@x/y"), ("GRANTD_LIMITS__SHARED", "memcached://u:hunter2@x")]
    {
        let error = load(&[(variable, value)], &[]).expect_err(variable);
        assert!(error.contains(variable) && error.contains("such as") && !error.contains("hunter2"), "{error}");
    }
    let error = load(&[], &[("listen", "nowhere")]).expect_err("no address");
    assert!(error.contains("found \"nowhere\" in --listen"), "{error}");
}

#[test]
fn unknown_settings_in_the_file_are_fatal_with_line_and_suggestion() {
    let here = Installation::new();
    for (text, words) in [
        ("lisen = \"127.0.0.1:1\"\n", "lisen: there is no such setting; did you mean listen? (grantd.toml, line 1)"),
        ("\n[limit]\nbody_bytes = 4096\n", "did you mean limits.body_bytes? (grantd.toml, line 3)"),
        ("limits = 3\n", "limits: is a section, such as [limits]"),
        ("listen = \n", "grantd.toml, line 1: not valid TOML"),
    ] {
        fs::write(here.path("grantd.toml"), text).expect("written");
        let error = here.refused(&["serve"]);
        assert!(error.contains(words), "{error}");
        assert!(!here.path("grantd.db").exists());
    }
}

#[test]
fn common_spellings_of_addresses_are_accepted() {
    for (text, listen, issuer) in [
        ("localhost:8099", "127.0.0.1:8099", "http://127.0.0.1:8099"),
        (":8099", "0.0.0.0:8099", "http://localhost:8099"),
        ("[::1]:8099", "[::1]:8099", "http://[::1]:8099"),
        ("127.0.0.1:8099", "127.0.0.1:8099", "http://127.0.0.1:8099"),
    ] {
        let config = load(&[], &[("listen", text)]).expect("a configuration");
        assert_eq!((config.listen.to_string().as_str(), &*config.issuer), (listen, issuer));
        let warned = config.warnings.iter().any(|warning| warning.contains("issuer is not set"));
        assert_eq!(warned, !config.listen.ip().is_loopback(), "{:?}", config.warnings);
        let given =
            load(&[("GRANTD_ISSUER", "https://auth.example.com")], &[("listen", text)]).expect("a configuration");
        assert_eq!((&*given.issuer, given.warnings.len()), ("https://auth.example.com", 0));
    }
    let config = load(&[("GRANTD_TRUSTED_PROXIES", "10.0.0.1, 192.0.2.0/24,::1")], &[]).expect("a configuration");
    let networks: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.1/32", "192.0.2.0/24", "::1/128"]);
}

#[test]
fn database_password_is_hidden_and_warned_of_as_an_argument() {
    // THREATS: SR4
    let url = "postgres://grantd:hunter2@db.internal/grantd";
    let config = load(&[("GRANTD_DATABASE", url)], &[]).expect("a configuration");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.warnings, [] as [&str; 0]);
    let config = load(&[], &[("database", url)]).expect("a configuration");
    assert!(config.warnings[0].contains("--database contains a password") && !config.warnings[0].contains("hunter2"));
}

#[test]
fn unencrypted_connections_between_machines_are_warned_of() {
    // THREATS: SR4
    for (variable, value, is_warned) in [
        ("GRANTD_DATABASE", "postgres://u@db.internal/x?sslmode=disable", true),
        ("GRANTD_DATABASE", "postgres://u@db.internal/x?sslmode=prefer", true),
        ("GRANTD_DATABASE", "postgres://u@db.internal/x?sslmode=require", false),
        ("GRANTD_DATABASE", "postgres://u@db.internal/x", false),
        ("GRANTD_DATABASE", "postgres://u@127.0.0.1/x?sslmode=disable", false),
        ("GRANTD_DATABASE", "postgres://u@%2Frun%2Fpostgresql/x?sslmode=disable", false),
        ("GRANTD_MAIL__URL", "smtp://u:p@mail.internal", true),
        ("GRANTD_MAIL__URL", "smtp://u:p@mail.internal?tls=opportunistic", true),
        ("GRANTD_MAIL__URL", "smtp://u:p@mail.internal?tls=required", false),
        ("GRANTD_MAIL__URL", "smtps://u:p@mail.internal", false),
        ("GRANTD_MAIL__URL", "smtp://127.0.0.1:25", false),
        ("GRANTD_LIMITS__SHARED", "redis://:p@cache.internal/0", true),
        ("GRANTD_LIMITS__SHARED", "rediss://:p@cache.internal/0", false),
        ("GRANTD_LIMITS__SHARED", "redis://127.0.0.1/0", false),
    ] {
        let config = load(&[(variable, value), ("GRANTD_MAIL__FROM", "a@example.com")], &[]).expect(value);
        assert_eq!(config.warnings.iter().any(|words| words.contains("unencrypted")), is_warned, "{value}");
    }
}

#[test]
fn remote_postgresql_uses_tls_unless_the_url_disables_it() {
    // THREATS: SR4
    // The first message of a client with TLS, and of one without (PostgreSQL's protocol, version 3).
    const TLS: u32 = 80_877_103;
    const PLAIN: u32 = 196_608;
    for (mode, wanted) in [("", TLS), ("?sslmode=disable", PLAIN)] {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = server.local_addr().expect("an address").port();
        // Answers that it has no TLS, and sees whether the client continues without.
        let heard = thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("a client");
            let mut head = [0; 8];
            stream.read_exact(&mut head).expect("a message");
            let asked = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
            if asked == TLS {
                stream.write_all(b"N").expect("an answer");
                assert_eq!(stream.read(&mut head).unwrap_or(0), 0, "goes on without TLS");
            }
            asked
        });
        let mut here = Installation::new();
        // Its default port may be in use, and then the start ends before it looks for the database.
        here.set("GRANTD_LISTEN", "127.0.0.1:0".to_owned());
        // A non-loopback address of this machine.
        here.set("GRANTD_DATABASE_URL", format!("postgres://me:pa55word@0.0.0.0:{port}/mine{mode}"));
        let error = here.refused(&["serve"]);
        assert_eq!(heard.join().expect("a client that ends"), wanted, "{error}");
        assert!(wanted == PLAIN || error.contains("?sslmode=disable"), "{error}");
        assert!(!error.contains("pa55word"), "{error}");
    }
}

#[test]
fn files_with_secrets_must_be_private() {
    // THREATS: SR1
    let here = Installation::new();
    let file = here.path("grantd.toml");
    let write = |text: &str, mode: u32| {
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("changed");
    };
    here.user("alice@example.com");
    write(&format!("master_key = \"{}\"\n", here.variable("GRANTD_MASTER_KEY")), 0o644);
    assert!(
        here.refused(&["user", "list"])
            .contains("grantd.toml holds the master key and can be read by others: chmod 600")
    );
    write(&format!("master_key = \"{}\"\n", here.variable("GRANTD_MASTER_KEY")), 0o600);
    assert!(here.run(&["user", "list"]).err.is_empty());
    write(
        "metrics_token = \"of-mine\"\n[mail]\nfrom = \"a@example.com\"\nurl = \"smtps://u:of-mine@mail.example.com\"\n",
        0o644,
    );
    let ran = here.run(&["user", "list"]);
    assert!(
        ran.status.success() && ran.err.contains("holds mail.url, metrics_token and can be read by others"),
        "{ran:?}"
    );
    assert!(!ran.err.contains("of-mine"));
    write("key_prefix = \"acme\"\n[mail]\nfrom = \"a@example.com\"\nurl = \"smtp://127.0.0.1:25\"\n", 0o644);
    assert!(here.run(&["user", "list"]).err.is_empty());
}

#[test]
fn unreachable_postgresql_is_named_without_its_password() {
    let mut here = Installation::new();
    let port = free_port();
    here.set("GRANTD_DATABASE_URL", format!("postgres://me:pa55word@127.0.0.1:{port}/mine"));
    let error = here.refused(&["serve"]);
    let words = format!("cannot reach PostgreSQL at 127.0.0.1:{port} (database mine, user me): Connection refused");
    assert!(error.contains(&words) && !error.contains("pa55word") && !error.contains("try again"), "{error}");
}

#[cfg(feature = "services")]
#[tokio::test]
async fn missing_postgresql_database_is_named_without_its_password() {
    // THREATS: SR4
    let mut here = Installation::on_postgres().await;
    let url = here.variable("GRANTD_DATABASE_URL").to_owned();
    let (server, name) = url.rsplit_once('/').expect("a database");
    let with_password = server.replacen('@', ":pa55word@", 1);
    let store = crate::harness::database::open(&format!("{with_password}/{name}")).await.expect("a store");
    assert!(!format!("{store:?}").contains("pa55word"));
    here.set("GRANTD_DATABASE_URL", format!("{with_password}/nodb"));
    let error = here.refused(&["serve"]);
    assert!(error.contains("(database nodb, user ") && error.contains("\"nodb\" does not exist"), "{error}");
    assert!(!error.contains("pa55word") && !error.contains("at line"), "{error}");
}

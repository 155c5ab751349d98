//! Owns the real binary on its own database: its commands, and starting servers. Running servers are in `server`.

use std::{
    fs::File,
    io::Write,
    net::TcpListener,
    path::PathBuf,
    process::{Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use data_encoding::BASE64;
use grantd::{
    engine::{grant_token::GrantTokens, master::MasterKey},
    model::{
        clock::{Clock, Timestamp},
        secret::random_bytes,
    },
    store::Store,
};
use serde_json::Value;
use tempfile::TempDir;

pub use super::server::Server;
use super::{
    OAuthClient,
    database::{self, Database},
    wait::{self, PATIENT},
};

/// A directory with a database and a configuration, for commands and servers.
pub struct Installation {
    pub dir: TempDir,
    pub port: u16,
    pub environment: Vec<(&'static str, String)>,
    /// Shell commands run in the server's process before it starts.
    pub before_serving: &'static str,
}

/// The result of a command.
#[derive(Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Installation {
    /// On its own SQLite file.
    pub fn new() -> Self {
        Self::on(Database::sqlite())
    }

    /// On its own database on the PostgreSQL server of tests/run.
    #[cfg(feature = "services")]
    pub async fn on_postgres() -> Self {
        Self::on(Database::postgres().await)
    }

    /// On this database.
    pub fn on(Database { url, dir }: Database) -> Self {
        let port = free_port();
        let environment = vec![
            ("GRANTD_DATABASE_URL", url),
            ("GRANTD_ISSUER", format!("http://127.0.0.1:{port}")),
            ("GRANTD_MASTER_KEY", BASE64.encode(&random_bytes::<32>())),
            // Timeouts that a slow machine cannot reach.
            ("GRANTD_LIMITS__REQUEST_SECONDS", PATIENT.to_owned()),
            ("GRANTD_LIMITS__DATABASE_SECONDS", PATIENT.to_owned()),
            ("GRANTD_LIFETIMES__CODE_SECONDS", "600".to_owned()),
            // Races and kills send in a moment, from one client or user, what others send in an hour.
            ("GRANTD_LIMITS__TOKEN_REQUESTS_PER_CLIENT", "1000000".to_owned()),
            ("GRANTD_LIMITS__WRITES_PER_USER", "1000000".to_owned()),
            ("GRANTD_LIMITS__WRITES_PER_KEY", "1000000".to_owned()),
            ("GRANTD_CONNECTIONS__FIRST_HEAD_SECONDS", "600".to_owned()),
            ("GRANTD_CONNECTIONS__IDLE_SECONDS", "600".to_owned()),
        ];
        Self { dir, port, environment, before_serving: "" }
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.unset(name);
        self.environment.push((name, value.into()));
    }

    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(n, _)| *n != name);
    }

    pub fn variable(&self, name: &str) -> &str {
        self.environment.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary with only this installation's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantd"));
        command.args(arguments);
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        command.env_clear().envs(self.environment.iter().cloned()).current_dir(self.dir.path());
    }

    /// Runs a command to completion.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs a command with this standard input.
    pub fn run_with(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let running = wait::or_kill(child.id());
        // A command that does not read its input may have ended.
        drop(child.stdin.take().expect("a pipe").write_all(stdin.as_bytes()));
        let ran = child.wait_with_output().map(Ran::of).expect("an end");
        drop(running);
        ran
    }

    /// The JSON object printed by a command that succeeds.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.json_with(arguments, "")
    }

    #[track_caller]
    pub fn json_with(&self, arguments: &[&str], stdin: &str) -> Value {
        let ran = self.run_with(&[arguments, &["--json"]].concat(), stdin);
        assert!(ran.status.success() && ran.err.is_empty(), "{arguments:?}: {ran:?}");
        assert_eq!(ran.out.lines().count(), 1, "one line: {ran:?}");
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// The error of a command that fails.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert!(!ran.status.success() && ran.out.is_empty(), "{arguments:?}: {ran:?}");
        ran.err
    }

    /// A client created by the command line.
    #[track_caller]
    pub fn client(&self, arguments: &[&str]) -> OAuthClient {
        credentials(&self.json(&[&["client", "create", "--name", "Test app"], arguments].concat()))
    }

    /// The resource server of a new API with scopes `read` and `write`.
    #[track_caller]
    pub fn api(&self) -> OAuthClient {
        let scopes = ["--scope", "read=May read", "--scope", "write=May write"];
        let create = ["api", "create", "--identifier", super::app::API, "--name", "Example API"];
        credentials(&self.json(&[&create[..], &scopes].concat()))
    }

    /// The id of a new user with [`super::app::PASSWORD`].
    #[track_caller]
    pub fn user(&self, email: &str) -> String {
        let made = self.json_with(&["user", "create", "--email", email, "--password-stdin"], super::app::PASSWORD);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Id and text of a new API key for `read`.
    #[track_caller]
    pub fn key(&self, email: &str) -> (String, String) {
        let made = self.json(&["key", "create", "--user", email, "--scope", "read"]);
        (made["id"].as_str().expect("an id").to_owned(), made["key"].as_str().expect("a key").to_owned())
    }

    /// The database, opened next to its other users.
    pub async fn store(&self) -> Store {
        database::open(self.variable("GRANTD_DATABASE_URL")).await.expect("a store")
    }

    /// The database, for reading and changing it directly.
    pub fn database(&self) -> Database {
        let dir = TempDir::new().expect("a directory");
        Database { url: self.variable("GRANTD_DATABASE_URL").to_owned(), dir }
    }

    /// A client with a grace window that no machine is too slow for, or with none.
    pub async fn client_with_grace(&self, has_grace: bool) -> OAuthClient {
        let client = self.client(&["--redirect-uri", super::app::CALLBACK, "--refresh-grace", "0"]);
        if has_grace {
            let longer = format!("UPDATE clients SET refresh_grace_ms = 86400000 WHERE id = '{}'", client.id);
            self.database().run(&longer).await;
        }
        client
    }

    /// Creates this installation's codes and refresh tokens.
    pub fn grant_tokens(&self) -> GrantTokens {
        let master = MasterKey::parse(self.variable("GRANTD_MASTER_KEY")).expect("a master key");
        GrantTokens::new(&master).expect("subkeys")
    }

    /// Starts the server and waits until it is ready.
    pub async fn serve(&self) -> Server {
        self.serve_on(self.port).await
    }

    /// Starts one more node on the same database.
    #[cfg(feature = "services")]
    pub async fn serve_also(&self) -> Server {
        self.serve_on(free_port()).await
    }

    /// Starts a server without waiting for it.
    pub fn start(&self, port: u16) -> Server {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{} exec \"$0\" serve --listen 127.0.0.1:{port}", self.before_serving));
        command.arg(env!("CARGO_BIN_EXE_grantd"));
        self.launch(command, port)
    }

    /// Starts a server by this command on this port, with this installation's environment.
    pub fn launch(&self, mut command: Command, port: u16) -> Server {
        let log = self.path(&format!("{port}.log"));
        let out = File::options().create(true).append(true).open(&log).expect("a log");
        self.surround(&mut command);
        let child = command.stdin(Stdio::null()).stdout(out.try_clone().expect("a handle")).stderr(out).spawn();
        Server::new(format!("http://127.0.0.1:{port}"), child.expect("the binary"), log)
    }

    async fn serve_on(&self, port: u16) -> Server {
        let mut server = self.start(port);
        server.ready().await;
        server
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { status: output.status, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The current time of servers that are processes.
pub fn now() -> Timestamp {
    Clock::system().now()
}

/// Runs a script of this repository and returns its output.
#[cfg(feature = "services")]
#[track_caller]
pub fn script(path: &str, arguments: &[&str]) -> String {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let ran = Command::new(&script).args(arguments).output().map(Ran::of).expect("a script of this repository");
    assert!(ran.status.success(), "{path} {arguments:?}: {ran:?}");
    ran.out.trim().to_owned()
}

/// A port below the kernel's range for outgoing connections, so that it is still free after a kill.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::from_be_bytes(random_bytes()) % 10_000;
    // Only the first caller's choice counts; the others continue from there.
    let _ = NEXT.compare_exchange(0, 10_000 + start, Ordering::SeqCst, Ordering::SeqCst);
    loop {
        let port = NEXT.fetch_add(1, Ordering::SeqCst);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn credentials(made: &Value) -> OAuthClient {
    let text = |member: &str| made[member].as_str().map(ToOwned::to_owned);
    // An API has a client; a client is one.
    let id = text("client_id").or_else(|| text("id"));
    OAuthClient { id: id.expect("an id"), secret: text("client_secret") }
}

//! Owns the measured installation of grantd: a fresh embedded database filled by the command line,
//! the server on a free port, and sessions created through its real pages.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use form_urlencoded::Serializer;
use serde_json::Value;

use crate::{
    Contender, Fallible,
    http::{Connection, Jar, get, post},
    load::{CONNECTIONS, Client, Proof, Surface, local},
    process::{Server, resident_mib},
    report::Footprint,
};

const BINARY: &str = env!("CARGO_BIN_EXE_grantd");
const EMAIL: &str = "bench@example.test";
const PASSWORD: &str = "correct horse battery staple";
const AUDIENCE: &str = "https://api.example.test";
const REDIRECT_URI: &str = "https://app.example.test/callback";
const STARTS: usize = 5;
/// Interval between two samples of a command's memory.
const LOOK: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(1);
const MAX_PAGES: usize = 12;

/// A configured grantd that is not running.
pub(crate) struct Installation {
    directory: PathBuf,
    address: SocketAddr,
    resource_server: Client,
    app: Client,
    api_key: String,
}

impl Installation {
    /// One user with a key, one API with its resource server, one client for every grant.
    pub(crate) fn new(directory: &Path) -> Fallible<Self> {
        fs::create_dir(directory)?;
        let nobody = || Client { id: String::new(), secret: String::new() };
        let mut installation = Self {
            directory: directory.to_owned(),
            // Free now, and unlikely to be taken before grantd starts.
            address: TcpListener::bind("127.0.0.1:0")?.local_addr()?,
            resource_server: nobody(),
            app: nobody(),
            api_key: String::new(),
        };
        // The first command creates the database. Its plan counts every request and never refuses.
        installation.run(&["user", "create", "--email", EMAIL, "--password-stdin"], PASSWORD)?;
        installation.run(&["plan", "set", "free", "--per-hour", "4000000000", "--burst", "4000000000"], "")?;
        let scope = "read=Read everything";
        let api = ["api", "create", "--identifier", AUDIENCE, "--name", "Bench API", "--scope", scope];
        installation.resource_server = client(&installation.run(&api, "")?)?;
        installation.run(&["api", "add-route", "bench-api", "--path", "/v1/*", "--scope", "read"], "")?;
        #[rustfmt::skip]
        let app = [
            "client", "create", "--name", "Bench app", "--redirect-uri", REDIRECT_URI, "--type", "confidential",
            "--scope", "read", "--grant-type", "authorization_code", "--grant-type", "refresh_token",
            "--grant-type", "client_credentials",
        ];
        installation.app = client(&installation.run(&app, "")?)?;
        let key = installation.run(&["key", "create", "--user", EMAIL, "--name", "bench", "--scope", "read"], "")?;
        installation.api_key = text(&key, "key")?;
        Ok(installation)
    }

    /// Starts it a few times on the existing database, and leaves it idle for a moment.
    pub(crate) fn footprint(&self) -> Fallible<Footprint> {
        let (mut ready, mut resident_mib) = (Vec::with_capacity(STARTS), 0.0);
        for start in 1..=STARTS {
            let (server, time) = self.serve()?;
            ready.push(time.as_secs_f64() * 1e3);
            if start == STARTS {
                thread::sleep(IDLE);
                resident_mib = server.resident_mib()?;
            }
        }
        Ok(Footprint { ready, resident_mib, binary_mib: fs::metadata(BINARY)?.len() as f64 / 1024.0 / 1024.0 })
    }

    /// Starts it and signs in 32 browsers.
    pub(crate) async fn start(&self) -> Fallible<Contender> {
        let (server, mut surface) = self.start_alone()?;
        for _ in 0..CONNECTIONS {
            let session = sign_in(&surface).await.map_err(|error| format!("signing in: {error}"))?;
            surface.sessions.push(session);
        }
        Ok(Contender { name: "grantd", surface, server })
    }

    /// Starts it, with nobody signed in.
    pub(crate) fn start_alone(&self) -> Fallible<(Server, Surface)> {
        let (server, _) = self.serve()?;
        let surface = Surface {
            address: self.address,
            introspect: "/oauth/introspect",
            gateway: Some("/gateway/verify/bench-api"),
            authorize: "/oauth/authorize",
            token: "/oauth/token",
            mint: "/oauth/token",
            resource_server: self.resource_server.clone(),
            service: self.app.clone(),
            service_form: "grant_type=client_credentials&scope=read",
            app: self.app.clone(),
            redirect_uri: REDIRECT_URI,
            scope: "read",
            api_key: self.api_key.clone(),
            sessions: Vec::new(),
        };
        Ok((server, surface))
    }

    /// Imports a file of keys and creates their owners: its output, and its peak memory, in MiB.
    pub(crate) fn import(&self, file: &Path) -> Fallible<(Value, f64)> {
        let file = file.to_str().ok_or("a path that is no text")?;
        let mut command = self.command(&["key", "import", file, "--create-owners", "--json"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let process = child.id().to_string();
        let mut most: f64 = 0.0;
        while child.try_wait()?.is_none() {
            // It may end between two samples.
            most = most.max(resident_mib(&process).unwrap_or_default());
            thread::sleep(LOOK);
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("grantd key import: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok((serde_json::from_slice(&output.stdout)?, most))
    }

    /// Gives the API the profile in a file.
    pub(crate) fn import_profile(&self, file: &Path) -> Fallible<()> {
        let file = file.to_str().ok_or("a path that is no text")?;
        self.run(&["profile", "import", file, "--name", "bench"], "")?;
        self.run(&["profile", "use", "bench", "--api", "bench-api"], "")?;
        Ok(())
    }

    /// Replaces the API's rules by those of a file.
    pub(crate) fn import_rules(&self, file: &Path) -> Fallible<()> {
        let file = file.to_str().ok_or("a path that is no text")?;
        self.run(&["api", "routes", "import", file, "--apply"], "").map(drop)
    }

    fn serve(&self) -> Fallible<(Server, Duration)> {
        let mut command = self.command(&["serve", "--listen", &self.address.to_string()]);
        let log = self.directory.join("log");
        let started = Instant::now();
        let mut server = Server::start(&mut command, &log)?;
        match server.wait_until_ready(self.address, started) {
            Ok(time) => Ok((server, time)),
            Err(error) => Err(format!("{error}\n{}", fs::read_to_string(log)?).into()),
        }
    }

    /// One grantd command on this database, without the configuration of the person who runs it.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRANTD_")) {
            command.env_remove(name);
        }
        let database = format!("sqlite:{}", self.directory.join("grantd.db").display());
        command.current_dir(&self.directory).args(arguments).env("GRANTD_TRUSTED_PROXIES", "127.0.0.1/32");
        // One client sends as fast as it can, so its limits are effectively off.
        command.env("GRANTD_LIMITS__TOKEN_REQUESTS_PER_CLIENT", "4000000000").env("GRANTD_LIMITS__CLIENT_PLAN", "free");
        command.args(["--database", &database, "--issuer", &format!("http://{}", self.address)]);
        command
    }

    /// Runs a `create` with `--json` to its end.
    fn run(&self, arguments: &[&str], input: &str) -> Fallible<Value> {
        let mut command = self.command(arguments);
        command.arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("grantd {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn client(created: &Value) -> Fallible<Client> {
    Ok(Client {
        id: text(created, "client_id").or_else(|_| text(created, "id"))?,
        secret: text(created, "client_secret")?,
    })
}

fn text(value: &Value, name: &str) -> Fallible<String> {
    Ok(value[name].as_str().ok_or_else(|| format!("no {name} in {value}"))?.to_owned())
}

/// The steps of a person: sign in, then consent (once), until the client gets its code.
async fn sign_in(surface: &Surface) -> Fallible<Jar> {
    let mut connection = Connection::open(surface.address).await?;
    let mut jar = Jar::default();
    let mut path = Proof::new().authorize_path(surface);
    let mut request = get(surface.address, &path, "");
    for _ in 0..MAX_PAGES {
        let reply = connection.exchange(&request).await?;
        jar.take(&reply);
        if let Some(location) = reply.header("location") {
            if location.starts_with(surface.redirect_uri) {
                return if location.contains("code=") { Ok(jar) } else { Err(location.into()) };
            }
            path = local(surface.address, location);
            request = get(surface.address, &path, jar.line());
            continue;
        }
        let answers = match path.split('?').next() {
            Some("/login") => [("email", EMAIL), ("password", PASSWORD)].as_slice(),
            Some("/consent") => [("decision", "allow")].as_slice(),
            _ => &[],
        };
        if reply.status != 200 || answers.is_empty() {
            return Err(reply.unexpected("a page to sign in or consent"));
        }
        let mut fields = hidden_fields(std::str::from_utf8(reply.body)?);
        fields.extend(answers.iter().map(|&(name, value)| (name, value.to_owned())));
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = format!("Origin: http://{}\r\n{}", surface.address, jar.line());
        request = post(surface.address, path.split('?').next().unwrap_or_default(), &headers, &form);
    }
    Err(format!("no code after {MAX_PAGES} pages, at {path}").into())
}

/// What the page's forms send besides a person's input.
fn hidden_fields(page: &str) -> BTreeMap<&str, String> {
    let inputs = page.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
    let hidden = inputs.filter(|input| input.contains("type=\"hidden\""));
    hidden
        .filter_map(|input| {
            let attribute = |name| input.split_once(name)?.1.split('"').next();
            Some((attribute(" name=\"")?, attribute(" value=\"")?.replace("&amp;", "&")))
        })
        .collect()
}

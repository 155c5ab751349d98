//! Owns running the real proxies on the configurations in `examples/gateway`, each in its own directory. What they
//! allow is tested in `proxies`.

use std::{
    fs::{self, File, Permissions},
    net::TcpStream,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

use super::wait;

/// The ports in the examples: the proxy's own, grantd's, the API's.
const PORTS: [&str; 3] = [":8000", ":8080", ":9000"];

/// A proxy with an example configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Apache,
}

/// A running proxy; killed with its workers when dropped, its log shown if the test failed.
pub struct Proxy {
    pub base: String,
    pub port: u16,
    child: Child,
    dir: TempDir,
}

impl Kind {
    /// Starts it on this port in front of the API, with grantd.
    pub fn start(self, port: u16, grantd: u16, api: u16) -> Proxy {
        let dir = TempDir::new().expect("a directory");
        // Workers that drop root privileges must have access.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("permissions");
        let here = |path: &Path| example(path, port, grantd, api);
        let mut command = match self {
            Self::Nginx => nginx(dir.path(), &here),
            Self::Caddy => caddy(dir.path(), &here),
            Self::Apache => apache(dir.path(), &here),
        };
        let log = File::create(dir.path().join("log")).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log);
        // Its own process group, so that its workers end with it.
        let child = command.process_group(0).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
        let mut proxy = Proxy { base: format!("http://127.0.0.1:{port}"), port, child, dir };
        proxy.ready();
        proxy
    }
}

impl Kind {
    /// The example file.
    pub fn text(self) -> String {
        let names = match self {
            Self::Nginx => ["nginx.conf"].as_slice(),
            Self::Caddy => &["Caddyfile"],
            Self::Apache => &["apache.conf", "apache.lua"],
        };
        names.iter().map(|name| fs::read_to_string(folder().join(name)).expect("an example")).collect()
    }
}

impl Proxy {
    fn ready(&mut self) {
        wait::until_now("the proxy", || {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{ended:?}\n{}", self.log());
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let signal = |words: String| drop(Command::new("/bin/sh").args(["-c", &words]).status());
        // A signal to it first, so that it stops its workers; then to all that are left.
        signal(format!("kill -TERM {}", self.child.id()));
        wait::a_moment(|| self.child.try_wait().is_ok_and(|ended| ended.is_none()));
        signal(format!("kill -KILL -{} 2>/dev/null", self.child.id()));
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("--- {}\n{}", self.base, self.log());
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gateway")
}

/// An example file with its ports replaced, as its reader is told to do.
fn example(path: &Path, listen: u16, grantd: u16, api: u16) -> String {
    let path = folder().join(path);
    let mut text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (from, to) in PORTS.into_iter().zip([listen, grantd, api]) {
        text = text.replace(from, &format!(":{to}"));
    }
    text
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    path
}

/// Whether these tests run as root, which then owns the files they create.
fn is_root(dir: &Path) -> bool {
    fs::metadata(dir).expect("a directory").uid() == 0
}

fn nginx(dir: &Path, here: &dyn Fn(&Path) -> String) -> Command {
    write(dir, "api.conf", &here(Path::new("nginx.conf")));
    let user = if is_root(dir) { "user root;" } else { "" };
    let temp: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {name};\n")).concat();
    let main = format!(
        "daemon off;\npid nginx.pid;\nworker_processes 2;\n{user}\nevents {{}}\n\
         http {{\naccess_log off;\n{temp}include api.conf;\n}}\n"
    );
    let main = write(dir, "main.conf", &main);
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir).arg("-e").arg("stderr").arg("-c").arg(main);
    command
}

fn caddy(dir: &Path, here: &dyn Fn(&Path) -> String) -> Command {
    let file = write(dir, "Caddyfile", &here(Path::new("Caddyfile")));
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(name, dir);
    }
    command
}

fn apache(dir: &Path, here: &dyn Fn(&Path) -> String) -> Command {
    let modules = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"];
    let modules = modules.into_iter().find(|path| Path::new(path).is_dir()).expect("Apache's modules");
    let load: String = ["mpm_event", "authz_core", "headers", "proxy", "proxy_http", "lua"]
        .map(|name| format!("LoadModule {name}_module {modules}/mod_{name}.so\n"))
        .concat();
    // Apache refuses to run workers as root.
    let user = if is_root(dir) { "User nobody\nGroup nogroup\n" } else { "" };
    write(dir, "grantd.lua", &here(Path::new("apache.lua")));
    let site =
        here(Path::new("apache.conf")).replace("/etc/apache2/grantd.lua", &format!("{}/grantd.lua", dir.display()));
    let main = format!(
        "ServerRoot {0}\nPidFile {0}/pid\nDefaultRuntimeDir {0}\nServerName localhost\nErrorLog /dev/stderr\n{load}{user}{site}",
        dir.display()
    );
    let main = write(dir, "main.conf", &main);
    let mut command = Command::new("apache2");
    command.arg("-DFOREGROUND").arg("-f").arg(main);
    command
}

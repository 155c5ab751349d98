//! Owns a test's own Redis, which can be stopped, restarted and made to hang.

use std::process::{Child, Command, Stdio};

use redis::{Client, Connection, FromRedisValue};
use tempfile::TempDir;

use super::{process::free_port, wait};

/// A running Redis; killed when dropped.
pub struct Redis {
    pub url: String,
    port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl Redis {
    pub fn start() -> Self {
        let port = free_port();
        let url = format!("redis://127.0.0.1:{port}/0");
        let mut redis = Self { url, port, dir: TempDir::new().expect("a directory"), child: None };
        redis.again();
        redis
    }

    /// Starts it again, empty, at the same address.
    pub fn again(&mut self) {
        self.stop();
        let port = self.port.to_string();
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let mut command = Command::new("redis-server");
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("redis-server, which tests/run installs"));
        wait::until_now("Redis", || Client::open(self.url.as_str()).and_then(|client| client.get_connection()).ok());
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// `STOP` makes it hang, `CONT` continues it.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("running").id();
        let kill = Command::new("/bin/sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
        assert!(kill.expect("a shell").success());
    }

    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection: Connection = Client::open(self.url.as_str()).expect("a URL").get_connection().expect("up");
        let (name, arguments) = command.split_first().expect("a command");
        redis::cmd(name).arg(arguments).query(&mut connection).expect("an answer")
    }

    /// Its clock, in whole seconds.
    pub fn seconds(&self) -> i64 {
        self.ask::<(i64, i64)>(&["TIME"]).0
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

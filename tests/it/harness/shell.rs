//! Owns a shell in an installation's directory, for what people paste. Does not know what that is.

use std::{process::Command as StdCommand, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::Installation;

/// Longest wait for what a block prints.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shell that is told one block after another, and gives up at the first command that fails.
pub struct Shell {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            // It may have ended before.
            drop(StdCommand::new("/bin/sh").args(["-c", &format!("kill -KILL -{id}")]).status());
        }
    }
}

impl Shell {
    const END: &str = "--- end of the block";

    pub fn open(here: &Installation) -> Self {
        let mut child = Command::new("bash")
            .arg("-eu")
            .env_clear()
            .envs(here.environment.iter().cloned())
            .current_dir(here.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            // A group of its own: what it leaves running ends with it.
            .process_group(0)
            .spawn()
            .expect("bash");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, input, output: BufReader::new(output).lines() }
    }

    /// Runs a block and returns what it prints.
    pub async fn run(&mut self, block: &str) -> String {
        self.input.write_all(format!("{block}\necho; echo '{}'\n", Self::END).as_bytes()).await.expect("a shell");
        let mut printed = String::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await;
            match line.unwrap_or_else(|_| panic!("{block} takes too long: {printed}")).expect("UTF-8") {
                Some(line) if line == Self::END => return printed.trim_end().to_owned() + "\n",
                Some(line) => printed += &(line + "\n"),
                None => panic!("{block} failed with {:?}: {printed}", self.child.wait().await),
            }
        }
    }
}

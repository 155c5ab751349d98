//! Owns a shell in an installation's directory, for commands that people paste.

use std::process::{Command as StdCommand, Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Installation, wait};

/// A shell that runs one block after another, and stops at the first command that fails.
pub struct Shell {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            // It may have exited before.
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
            // Its own process group, so that everything it leaves running ends with it.
            .process_group(0)
            .spawn()
            .expect("bash");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, input, output: BufReader::new(output).lines() }
    }

    /// Runs a block and returns its output.
    pub async fn run(&mut self, block: &str) -> String {
        self.input.write_all(format!("{block}\necho; echo '{}'\n", Self::END).as_bytes()).await.expect("a shell");
        let mut printed = String::new();
        loop {
            match wait::in_time(block, self.output.next_line()).await.expect("UTF-8") {
                Some(line) if line == Self::END => return printed.trim_end().to_owned() + "\n",
                Some(line) => printed += &(line + "\n"),
                None => panic!("{block} failed with {:?}: {printed}", self.child.wait().await),
            }
        }
    }
}

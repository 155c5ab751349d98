//! Owns following a document as its reader does: its snippets are extracted, host and key replaced, and run.
//! Copies of the documents are in `tests/it/seeds`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

/// A document.
pub struct Document(pub &'static str);

impl Document {
    /// Its snippets in this language, in order.
    pub fn snippets(&self, language: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = self.0.lines();
        while let Some(line) = lines.next() {
            if let Some(of) = line.trim_start().strip_prefix("```") {
                let indent = line.len() - line.trim_start().len();
                let text = lines.by_ref().take_while(|line| line.trim() != "```");
                let text: Vec<&str> = text.map(|line| line.get(indent..).unwrap_or_default()).collect();
                if of == language {
                    found.push(text.join("\n"));
                }
            }
        }
        found
    }

    /// The one snippet in this language that contains these words.
    #[track_caller]
    pub fn snippet(&self, language: &str, words: &str) -> String {
        let found: Vec<String> = self.snippets(language).into_iter().filter(|text| text.contains(words)).collect();
        assert_eq!(found.len(), 1, "{words:?} in {language}");
        found.into_iter().next().unwrap_or_default()
    }

    /// The one JSON body that contains these words.
    #[track_caller]
    pub fn shown(&self, words: &str) -> Value {
        serde_json::from_str(&self.snippet("json", words)).expect("JSON")
    }

    /// The one line that begins with this.
    #[track_caller]
    pub fn line(&self, start: &str) -> &'static str {
        let found: Vec<&str> = self.0.lines().filter(|line| line.starts_with(start)).collect();
        assert_eq!(found.len(), 1, "{start:?}");
        found[0]
    }

    /// The cell next to this one in a table of two columns.
    #[track_caller]
    pub fn cell(&self, beside: &str) -> &'static str {
        let row = self.line(&format!("| {beside} |"));
        row.split('|').nth(2).expect("a cell").trim()
    }
}

/// Runs what a document shows.
pub struct Reader {
    dir: TempDir,
}

impl Reader {
    pub fn new() -> Self {
        Self { dir: TempDir::new().expect("a directory") }
    }

    /// Writes a program and runs it with this variable in its environment; returns its output on both streams.
    pub fn run(&self, command: &[&str], file: &str, program: &str, variable: (&str, &str)) -> String {
        let path = self.dir.path().join(file);
        fs::write(&path, program).expect("written");
        // curl options as if they were in the snippet: no progress meter, and the status after each body.
        fs::write(self.dir.path().join(".curlrc"), "silent\nwrite-out = \" %{http_code}\\n\"\n").expect("written");
        let ran = Command::new(command[0])
            .args(&command[1..])
            .arg(&path)
            .env("CURL_HOME", self.dir.path())
            .env("NO_PROXY", "*")
            .env(variable.0, variable.1)
            .env("NODE_PATH", node_modules())
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
        format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
    }

    pub fn bash(&self, program: &str) -> String {
        self.run(&["bash"], "run.sh", program, ("API_KEY", ""))
    }

    pub fn node(&self, program: &str, variable: (&str, &str)) -> String {
        self.run(&["node"], "run.js", program, variable)
    }

    pub fn python(&self, program: &str, variable: (&str, &str)) -> String {
        let python = env::var("GRANTD_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        self.run(&[&python], "run.py", program, variable)
    }

    pub fn go(&self, program: &str, variable: (&str, &str)) -> String {
        self.run(&["go", "run"], "main.go", program, variable)
    }
}

/// Where node finds axios: installed by tests/run, or else the stand-in in this repository.
fn node_modules() -> PathBuf {
    match env::var_os("GRANTD_TEST_NODE_MODULES") {
        Some(installed) => installed.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/seeds/node_modules"),
    }
}

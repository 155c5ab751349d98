//! Owns `demo.env`: the example's ids and secrets as shell variables. Secrets are shown only once, so they are kept here
//! for the next start.

use std::{env, fs, path::Path};

use super::files;
use crate::{
    model::error::Error,
    ui::{shell_quote, shell_unquote},
};

/// In the directory in which the demo was started.
pub const FILE: &str = "demo.env";

/// Variables in order.
#[derive(Debug, Default)]
pub struct Variables(Vec<(String, String)>);

impl Variables {
    /// The variables of an earlier start; `None` without a file.
    pub fn read() -> Option<Self> {
        let text = fs::read_to_string(FILE).ok()?;
        let pair = |line: &str| {
            let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
            let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            is_name.then(|| (name.to_owned(), shell_unquote(value)))
        };
        Some(Self(text.lines().filter_map(pair).collect()))
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Result<&str, Error> {
        let found = self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        found
            .ok_or_else(|| Error::invalid_request(format!("{FILE} has no {name}; start over with grantd demo --fresh")))
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, kept)) => *kept = value.into(),
            None => self.0.push((name.to_owned(), value.into())),
        }
    }

    /// Writes the file, readable only by its owner. Variables are exported, so that programs see them; `grantd` is defined
    /// as a function if it is not on the path.
    pub fn write(&self) -> Result<(), Error> {
        let lines = self.0.iter().map(|(name, value)| format!("export {name}={}\n", shell_quote(value)));
        let mut text: String = lines.collect();
        if let Some(program) = env::current_exe().ok().and_then(|path| path.to_str().map(shell_quote)) {
            text += &format!("command -v grantd > /dev/null || grantd() {{ {program} \"$@\"; }}\n");
        }
        files::replace(Path::new(FILE), &text)
    }
}

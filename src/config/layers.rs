//! Owns the layers of a configuration: the available settings, and the last source to set each one. Checks that a value
//! has the type of its default; does not validate values further.

use std::{collections::BTreeMap, fs, io::ErrorKind, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::{DEFAULTS, error::ConfigError};

/// Read if it exists and no other file is named.
const DEFAULT_FILE: &str = "grantd.toml";
/// Variables that are not settings: the path of the file, and those read by the command line.
const NOT_KEYS: [&str; 3] = ["GRANTD_CONFIG", "GRANTD_API_KEY", "GRANTD_SERVER"];
/// Examples for settings with an empty default.
const EXAMPLES: [(&str, &str); 9] = [
    ("master_key", "what `openssl rand -base64 32` prints"),
    ("trusted_proxies", "[\"10.0.0.7\"]"),
    ("hosts", "[\"auth.internal\"]"),
    ("cors_origins", "[\"https://app.example.com\"]"),
    ("metrics_token", "what `openssl rand -base64 32` prints"),
    ("limits.shared", "redis://127.0.0.1:6379/0"),
    ("mail.url", "smtps://user:password@mail.example.com"),
    ("mail.from", "Example <keys@example.com>"),
    ("leaks.keys_url", "https://api.github.com/meta/public_keys/secret_scanning"),
];
/// Settings whose value is never shown, in addition to those whose names end in one of [`SECRET_ENDS`].
const SECRETS: [&str; 2] = ["database", "limits.shared"];
const SECRET_ENDS: [&str; 5] = ["_key", "_token", "secret", "password", "url"];

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Default,
    File(String, usize),
    Variable(String),
    Flag(String),
}

#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) source: Source,
}

/// Every setting by its key, such as `limits.body_bytes`.
#[derive(Debug)]
pub(super) struct Layers {
    settings: BTreeMap<String, Setting>,
    defaults: BTreeMap<String, Value>,
    /// Warnings for the operator.
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// The embedded defaults.
    pub(super) fn defaults() -> Result<Self, ConfigError> {
        let mut found = BTreeMap::new();
        flatten("", parse(DEFAULTS, "the defaults")?, &|_| Source::Default, &mut found);
        let defaults = found.iter().map(|(key, setting)| (key.clone(), setting.value.clone())).collect();
        Ok(Self { settings: found, defaults, warnings: Vec::new() })
    }

    /// Applies the file's settings. The default file need not exist.
    pub(super) fn read_file(&mut self, named: Option<&Path>) -> Result<(), ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let name = path.display().to_string();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(ConfigError::of("", format!("cannot read {name}: {error}"))),
        };
        let place = |at: usize| Source::File(name.clone(), line(&text, at));
        let mut found = BTreeMap::new();
        flatten("", parse(&text, &name)?, &place, &mut found);
        // A file that others can read should not hold secrets.
        let is_open = fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
        let held = |key: &String| is_secret(key) && found[key].value.as_str().is_some_and(has_secret);
        let secrets: Vec<String> = found.keys().filter(|key| held(key)).cloned().collect();
        if is_open && secrets.iter().any(|key| key == "master_key") {
            let message = format!("{name} holds the master key and can be read by others: chmod 600 {name}");
            return Err(ConfigError::of("master_key", message));
        }
        if is_open && !secrets.is_empty() {
            self.warnings
                .push(format!("{name} holds {} and can be read by others: chmod 600 {name}", secrets.join(", ")));
        }
        found.into_iter().try_for_each(|(key, setting)| self.set(&key, setting))
    }

    /// Applies the variables' settings. Variables that match no setting are ignored, with a warning unless they look
    /// like those that Kubernetes and Docker set in every container next to a service named `grantd`.
    pub(super) fn read_variables(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let is_ours =
            |name: &str| name.starts_with("GRANTD_") && !name.starts_with("GRANTD_TEST_") && !NOT_KEYS.contains(&name);
        let ours: BTreeMap<String, String> = variables.into_iter().filter(|(name, _)| is_ours(name)).collect();
        let mut unknown = Vec::new();
        for (name, text) in ours {
            let key = match name.as_str() {
                "GRANTD_DATABASE_URL" => "database".to_owned(),
                name => name["GRANTD_".len()..].to_lowercase().replace("__", "."),
            };
            if self.defaults.contains_key(&key) {
                self.set_text(&key, &text, Source::Variable(name))?;
            } else if !is_service_link(&name) {
                let near = self.nearest(&key).map(|near| format!(" (did you mean {}?)", variable(near)));
                unknown.push(name + near.unwrap_or_default().as_str());
            }
        }
        if !unknown.is_empty() {
            self.warnings.push(format!("ignoring variables that are not settings: {}", unknown.join(", ")));
        }
        Ok(())
    }

    /// Applies a flag's setting.
    pub(super) fn set_flag(&mut self, key: &str, text: &str) -> Result<(), ConfigError> {
        self.set_text(key, text, Source::Flag(key.to_owned()))
    }

    pub(super) fn source(&self, key: &str) -> &Source {
        self.settings.get(key).map_or(&Source::Default, |setting| &setting.source)
    }

    /// The settings as one tree.
    pub(super) fn tree(&self) -> Value {
        tree(self.settings.iter().map(|(key, setting)| (key, &setting.value)))
    }

    /// For each setting that was set explicitly, the defaults with only that one changed, to find an unreadable value.
    pub(super) fn one_by_one(&self) -> impl Iterator<Item = (&String, Value)> {
        self.settings.iter().filter(|(_, setting)| setting.source != Source::Default).map(|(key, setting)| {
            let others = self.defaults.iter().filter(move |(other, _)| *other != key);
            (key, tree(others.chain([(key, &setting.value)])))
        })
    }

    /// Adds an example to an error, and the value found with its source.
    pub(super) fn explain(&self, mut error: ConfigError) -> ConfigError {
        if let Some(default) = self.defaults.get(&error.key)
            && !error.right.contains("such as")
        {
            let example = EXAMPLES.iter().find(|(key, _)| *key == error.key);
            let example = example.map_or_else(|| shown(default), |(_, example)| (*example).to_owned());
            error.right = format!("{}, such as {example}", error.right);
        }
        if let Some(setting) = self.settings.get(&error.key).filter(|_| error.found.is_none()) {
            let place = match &setting.source {
                Source::Default => return error,
                Source::File(name, line) => format!("{name}, line {line}"),
                Source::Variable(name) => name.clone(),
                Source::Flag(name) => format!("--{}", name.replace('_', "-")),
            };
            // A number is not a secret, whatever the name of its key.
            let is_text = self.defaults.get(&error.key).is_some_and(Value::is_string);
            error.found = Some(match is_text && is_secret(&error.key) {
                true => format!("set in {place}; its value is not shown"),
                false => format!("found {} in {place}", shown(&setting.value)),
            });
        }
        error
    }

    fn set(&mut self, key: &str, setting: Setting) -> Result<(), ConfigError> {
        let Some(default) = self.defaults.get(key) else { return Err(self.unknown(key, &setting)) };
        let right = right_type(default, &setting.value);
        self.settings.insert(key.to_owned(), setting);
        right.map_or(Ok(()), |right| Err(self.explain(ConfigError::of(key, right))))
    }

    fn set_text(&mut self, key: &str, text: &str, source: Source) -> Result<(), ConfigError> {
        let value = match self.defaults.get(key) {
            Some(Value::Number(_)) => text.trim().parse::<i64>().map_or_else(|_| json!(text), Value::from),
            Some(Value::Bool(_)) => text.trim().parse::<bool>().map_or_else(|_| json!(text), Value::from),
            Some(Value::Array(_)) => text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect(),
            _ => json!(text),
        };
        self.set(key, Setting { value, source })
    }

    fn unknown(&self, key: &str, setting: &Setting) -> ConfigError {
        let Source::File(name, line) = &setting.source else {
            return ConfigError::of(key, "there is no such setting");
        };
        let is_section = self.defaults.keys().any(|other| other.starts_with(&format!("{key}.")));
        let right = match self.nearest(key) {
            _ if is_section => format!("is a section, such as [{key}] on a line of its own"),
            Some(near) => format!("there is no such setting; did you mean {near}?"),
            None => "there is no such setting; `grantd config` lists all settings".to_owned(),
        };
        ConfigError { found: Some(format!("{name}, line {line}")), ..ConfigError::of(key, right) }
    }

    /// The setting that was probably meant: the closest full key, or the same name in another section.
    fn nearest(&self, key: &str) -> Option<&str> {
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let likeness =
            |other: &str| strsim::jaro_winkler(key, other).max(strsim::jaro_winkler(&last(key), &last(other)) - 0.01);
        let best = self.defaults.keys().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(best) > 0.85).then_some(best)
    }
}

fn parse<'t>(text: &'t str, name: &str) -> Result<DeTable<'t>, ConfigError> {
    let parsed = DeTable::parse(text).map_err(|error| {
        let line = line(text, error.span().map_or(0, |span| span.start));
        // The parser's message may quote a line that holds a secret, so it is left out.
        ConfigError::of("", format!("{name}, line {line}: not valid TOML; a setting looks like key = \"text\""))
    })?;
    Ok(parsed.into_inner())
}

fn flatten(path: &str, table: DeTable<'_>, place: &dyn Fn(usize) -> Source, out: &mut BTreeMap<String, Setting>) {
    for (name, value) in table {
        let key = if path.is_empty() { name.get_ref().to_string() } else { format!("{path}.{}", name.get_ref()) };
        let source = place(name.span().start);
        match value.into_inner() {
            DeValue::Table(table) => flatten(&key, table, place, out),
            value => drop(out.insert(key, Setting { value: plain(value), source })),
        }
    }
}

/// Converts a TOML value to JSON. A value that no setting can have becomes null, which every setting refuses.
fn plain(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Boolean(flag) => json!(flag),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Array(values) => values.into_iter().map(|value| plain(value.into_inner())).collect(),
        DeValue::Datetime(_) | DeValue::Table(_) => Value::Null,
    }
}

/// The expected type, if the value's type differs from the default's.
fn right_type(default: &Value, value: &Value) -> Option<&'static str> {
    match default {
        Value::Number(_) if !value.is_i64() => Some("a whole number"),
        Value::Bool(_) if !value.is_boolean() => Some("true or false"),
        Value::String(_) if !value.is_string() => Some("text in quotes"),
        Value::Array(_) if !value.as_array().is_some_and(|values| values.iter().all(Value::is_string)) => {
            Some("a list of quoted texts in square brackets")
        }
        _ => None,
    }
}

fn tree<'v>(settings: impl Iterator<Item = (&'v String, &'v Value)>) -> Value {
    let mut root = Map::new();
    for (key, value) in settings {
        match key.split_once('.') {
            None => drop(root.insert(key.clone(), value.clone())),
            Some((section, name)) => {
                if let Value::Object(section) = root.entry(section).or_insert_with(|| json!({})) {
                    section.insert(name.to_owned(), value.clone());
                }
            }
        }
    }
    Value::Object(root)
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key) || SECRET_ENDS.iter().any(|end| key.ends_with(end))
}

/// Whether a setting that may hold a secret does hold one: a key, or a URL with a password.
fn has_secret(text: &str) -> bool {
    match text.split_once("://") {
        Some((_, rest)) => rest.contains('@') || rest.contains("password="),
        None => !text.is_empty() && !text.starts_with("sqlite:"),
    }
}

/// Whether a variable is one of those that Kubernetes and Docker derive from a service's name.
fn is_service_link(name: &str) -> bool {
    let of_port = |rest: &str| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| rest.starts_with(protocol))
    };
    name.ends_with("_PORT") || name.contains("_SERVICE_") || name.split("_PORT_").skip(1).any(of_port)
}

fn variable(key: &str) -> String {
    format!("GRANTD_{}", key.to_uppercase().replace('.', "__"))
}

/// A value in the syntax of the file.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "something else".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_an_example() {
        let layers = Layers::defaults().expect("defaults");
        for (key, default) in &layers.defaults {
            let is_empty = *default == json!("") || *default == json!([]);
            assert!(!is_empty || EXAMPLES.iter().any(|(other, _)| other == key), "{key} has no example");
        }
        for (key, _) in EXAMPLES {
            assert!(layers.defaults.contains_key(key), "{key}");
        }
    }
}

//! Owns the difference between two versions of a profile, by setting, for the audit log.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// The changed settings, each with its old and new value.
pub fn changes(before: &str, after: &str) -> String {
    let (before, after) = (settings(before), settings(after));
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let none = String::from("nothing");
    let changed = names
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| format!("{name}: {} → {}", before.get(name).unwrap_or(&none), after.get(name).unwrap_or(&none)));
    let all = changed.collect::<Vec<_>>().join("; ");
    if all.is_empty() { "no setting, only comments or their order".to_owned() } else { all }
}

fn settings(text: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    add(&mut settings, "", &Value::Table(text.parse::<Table>().unwrap_or_default()));
    settings
}

fn add(settings: &mut BTreeMap<String, String>, path: &str, value: &Value) {
    match value {
        Value::Table(table) if !table.is_empty() || path.is_empty() => {
            for (name, value) in table {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                add(settings, &path, value);
            }
        }
        value => drop(settings.insert(path.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_settings_are_listed_with_both_values() {
        let before = "a = 1\nb = \"x\"\n[c]\nd = [1, 2]\n[c.e]\n";
        let after = "b = \"y\"\na = 1 # as before\n[c]\nd = [1]\n[f]\ng = true\n";
        let expected = "b: \"x\" → \"y\"; c.d: [1, 2] → [1]; c.e: {} → nothing; f.g: nothing → true";
        assert_eq!(changes(before, after), expected);
        assert_eq!(changes("a = 1", "# new\na = 1"), "no setting, only comments or their order");
    }
}

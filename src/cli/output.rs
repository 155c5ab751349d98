//! Owns what commands print: at a terminal, a table that fits its width; in a pipe, a line for each record
//! with tabs between its values; with `--json`, the management API's response.

use std::io::{IsTerminal, Write, stderr, stdout};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets::NOTHING};
use serde_json::{Map, Value, json};

use super::{Global, admin::Listed};
use crate::model::error::Error;

/// Prints a line.
pub fn line(text: &str) -> Result<(), Error> {
    writeln!(stdout(), "{text}").map_err(Error::server)
}

/// Prints text as it is.
pub fn text(text: &str) -> Result<(), Error> {
    write!(stdout(), "{text}").map_err(Error::server)
}

/// Prints one object that is not a response of the API: a line for each member that is present, or JSON.
pub fn one(global: &Global, members: &[(&str, Value)]) -> Result<(), Error> {
    let present: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
    if global.json {
        let object: Map<String, Value> =
            present.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        return line(&Value::Object(object).to_string());
    }
    let rows = present.iter().map(|(name, value)| vec![name.replace('_', " "), cell(value)]);
    print(&[], rows.collect())
}

/// Prints one object of the API: these members for people, the whole response as JSON.
pub fn answer(global: &Global, thing: &Value, members: &[&str]) -> Result<(), Error> {
    if global.json {
        return line(&thing.to_string());
    }
    let shown: Vec<_> = members.iter().map(|name| (*name, thing[*name].clone())).collect();
    one(global, &shown)
}

/// Prints a list of the API: these members for people, a page of the management API as JSON. An empty list is
/// reported on standard error.
pub fn list(global: &Global, kind: &str, listed: &Listed, members: &[&str]) -> Result<(), Error> {
    if global.json {
        return line(&json!({ "items": listed.items, "next": listed.next }).to_string());
    }
    let row = |item: &Value| members.iter().map(|member| item[*member].clone()).collect();
    table(kind, members, &listed.items.iter().map(row).collect::<Vec<_>>())?;
    if listed.next.is_some() {
        writeln!(stderr(), "only the first {} are shown", listed.items.len()).map_err(Error::server)?;
    }
    Ok(())
}

/// Prints a list that is not a response of the API: a row for each entry, or a JSON array in an object.
pub fn many(global: &Global, name: &str, head: &[&str], rows: &[Vec<Value>]) -> Result<(), Error> {
    if !global.json {
        return table(&name.replace('_', " "), head, rows);
    }
    let object = |row: &Vec<Value>| -> Value {
        let members = head.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::Object(members.collect())
    };
    line(&json!({ name: rows.iter().map(object).collect::<Vec<_>>() }).to_string())
}

fn table(kind: &str, head: &[&str], rows: &[Vec<Value>]) -> Result<(), Error> {
    if rows.is_empty() {
        return writeln!(stderr(), "no {kind}").map_err(Error::server);
    }
    print(head, rows.iter().map(|row| row.iter().map(cell).collect()).collect())
}

/// A table that wraps at the terminal's width; otherwise plain records for `grep`, `cut` and `awk`.
fn print(head: &[&str], rows: Vec<Vec<String>>) -> Result<(), Error> {
    if !stdout().is_terminal() {
        let mut out = stdout().lock();
        let plain = |text: &String| text.replace(['\t', '\n', '\r'], " ");
        return rows
            .iter()
            .try_for_each(|row| {
                let row: Vec<String> = row.iter().map(plain).collect();
                writeln!(out, "{}", row.join("\t"))
            })
            .map_err(Error::server);
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !head.is_empty() {
        table.set_header(head.iter().map(|name| name.replace('_', " ").to_uppercase()));
    }
    table.add_rows(rows);
    // The first column is an id or a name, to be copied whole.
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    // Lines may end in spaces.
    table.lines().try_for_each(|row| writeln!(stdout(), "{}", row.trim_end())).map_err(Error::server)
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(members) => members.values().map(cell).collect::<Vec<_>>().join("="),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

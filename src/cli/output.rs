//! Owns what commands print: a table for people, one JSON object for scripts. Does not decide what.

use std::io::{self, Write};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value};

use super::Global;
use crate::model::error::Error;

/// Prints a line.
pub fn line(text: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{text}").map_err(Error::server)
}

/// Prints text as it is.
pub fn text(text: &str) -> Result<(), Error> {
    write!(io::stdout(), "{text}").map_err(Error::server)
}

/// Prints one thing: its members as a table of two columns, or as JSON.
pub fn one(global: &Global, members: &[(&str, Value)]) -> Result<(), Error> {
    let present = members.iter().filter(|(_, value)| !value.is_null());
    if global.json {
        let object: Map<String, Value> = present.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        return line(&Value::Object(object).to_string());
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    for (name, value) in present {
        table.add_row([(*name).to_owned(), cell(value)]);
    }
    line(&table.to_string())
}

/// Prints many things: a table with a head, or a JSON array in an object.
pub fn many(global: &Global, name: &str, head: &[&str], rows: &[Vec<Value>]) -> Result<(), Error> {
    if global.json {
        let objects: Vec<Value> = rows
            .iter()
            .map(|row| {
                Value::Object(head.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
            })
            .collect();
        return line(&serde_json::json!({ name: objects }).to_string());
    }
    if rows.is_empty() {
        return line("none");
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(head.iter().map(|name| name.replace('_', " ")));
    for row in rows {
        table.add_row(row.iter().map(cell));
    }
    line(&table.to_string())
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join("\n"),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

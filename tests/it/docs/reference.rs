//! Owns tests that `docs/cli.md` and `docs/configuration.md` are generated from the code: the command tree, and the
//! defaults with their comments.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};
use grantd::{cli::Cli, config::DEFAULTS};

use super::assert_current;

const MADE: &str = "<!-- Generated from the code: GRANTD_WRITE_DOCS=1 cargo test --test it docs:: writes it. -->";

/// A text in a table cell, or on a line of Markdown.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

/// An argument's form: `--user <EMAIL>`, or `<ID>`.
fn written(argument: &Arg) -> String {
    let names: Vec<String> = argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let takes_value = argument.get_action().takes_values();
    let value = if takes_value { format!("<{}>", names.join("> <")) } else { String::new() };
    match argument.get_long() {
        Some(long) => format!("--{long} {value}").trim_end().to_owned(),
        None => value,
    }
}

fn row(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut help = plain(&help);
    let values: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !values.is_empty() && argument.get_action().takes_values() {
        write!(help, ". One of {}", values.join(", ")).expect("a String");
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        write!(help, " (default: {})", defaults.join(", ")).expect("a String");
    }
    if let Some(variable) = argument.get_env() {
        write!(help, " (variable: `{}`)", variable.display()).expect("a String");
    }
    if argument.is_required_set() {
        help += " (required)";
    }
    format!("| `{}` | {help} |\n", written(argument))
}

fn table(arguments: &[&Arg]) -> String {
    match arguments.is_empty() {
        true => String::new(),
        false => {
            format!(
                "\n| option | meaning |\n| --- | --- |\n{}",
                arguments.iter().map(|argument| row(argument)).collect::<String>()
            )
        }
    }
}

/// The arguments of a command itself; global ones are listed once.
fn own(command: &Command) -> Vec<&Arg> {
    let is_own = |argument: &&Arg| {
        !argument.is_hide_set()
            && !argument.is_global_set()
            && !["help", "version"].contains(&argument.get_id().as_str())
    };
    command.get_arguments().filter(is_own).collect()
}

fn describe(command: &Command, name: &str, made: &mut String) {
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    let about: Vec<String> = about.split("\n\n").map(plain).collect();
    let depth = "#".repeat(name.split(' ').count());
    write!(made, "\n{depth} `{name}`\n\n{}\n{}", about.join("\n\n"), table(&own(command))).expect("a String");
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        describe(inner, &format!("{name} {}", inner.get_name()), made);
    }
}

#[test]
fn command_reference_is_current() {
    let mut cli = Cli::command();
    cli.build();
    let about = cli.get_about().map(ToString::to_string).unwrap_or_default();
    let global: Vec<&Arg> = cli.get_arguments().filter(|argument| argument.is_global_set()).collect();
    let mut made = format!(
        "# Command line\n\n{MADE}\n\n{}\n\n`grantd --help`, and `--help` after any command, print the same. These options may \
         stand before or after every command:\n{}",
        plain(&about),
        table(&global)
    );
    for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
        describe(command, &format!("grantd {}", command.get_name()), &mut made);
    }
    assert!(made.contains("### `grantd key rotate`") && made.contains("| `--overlap <OVERLAP>` |"), "{made}");
    assert_current("docs/cli.md", &made);
}

#[test]
fn configuration_reference_is_current() {
    let mut made = format!("# Configuration\n\n{MADE}\n");
    let mut section = String::new();
    let (mut comment, mut is_told, mut count) = (Vec::new(), false, 0);
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            // A comment applies to every setting up to the next one.
            if std::mem::take(&mut is_told) {
                comment.clear();
            }
            comment.push(text);
        } else if let Some((name, value)) = line.split_once(" = ") {
            let variable = format!("GRANTD_{section}{name}").to_uppercase();
            write!(made, "\n**`{name}`** = `{value}` (`{variable}`)\n\n{}\n", comment.join("\n")).expect("a String");
            (is_told, count) = (true, count + 1);
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}__");
            write!(made, "\n## `[{name}]`\n").expect("a String");
        } else if section.is_empty() && count == 0 {
            // The text before the first blank line applies to all.
            write!(made, "\n{}\n\n## General\n", comment.join("\n")).expect("a String");
            is_told = true;
        }
    }
    assert!(count > 40 && made.contains("GRANTD_LIMITS__BODY_BYTES"), "{made}");
    assert_current("docs/configuration.md", &made);
}

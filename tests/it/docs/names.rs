//! Owns tests that the documents name what exists: files, headings they link to, commands and options, settings and
//! layers; and that every command in a block is run.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use grantd::{cli::Cli, config::DEFAULTS};

use super::{END, RUN, documents, read, root};
use crate::tidy::ROWS;

/// Commands that build, test or start what is already under test.
const NOT_RUN: [&str; 5] = ["cargo ", "tests/run", ".ci/run", "GRANTD_WRITE_DOCS=1 cargo ", "git "];

/// The text without code blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            prose += &format!("{line}\n");
        }
    }
    prose
}

/// Inline code in the text.
fn inline(text: &str) -> Vec<String> {
    prose(text).split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The anchors of a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    prose.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Link targets in a document, except other sites.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let images = prose.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    inline.chain(images).filter(|link| !link.contains("://")).map(ToOwned::to_owned).collect()
}

#[test]
fn links_have_targets() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in documents() {
        let text = read(&path);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in links(&text) {
            count += 1;
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { root().join(&path) } else { root().join(folder).join(file) };
            let has_heading = || std::fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(heading));
            if !target.exists() || !heading.is_empty() && !has_heading() {
                wrong.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty() && count > 20, "links that lead nowhere, of {count}:\n  {}", wrong.join("\n  "));
}

#[test]
fn named_files_exist() {
    let folders = ["src/", "tests/", "examples/", "docs/", "templates/", "migrations/", "benches/", ".ci/"];
    let mut wrong = Vec::new();
    for path in documents() {
        for word in inline(&read(&path)) {
            let is_path = folders.iter().any(|folder| word.starts_with(folder));
            if is_path && !word.contains([' ', '*', '{', '<', '…']) && !root().join(&word).exists() {
                wrong.push(format!("{path}: {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "files that do not exist:\n  {}", wrong.join("\n  "));
}

/// Whether these words are a command with existing options.
fn is_command(words: &str) -> bool {
    let mut command: Command = Cli::command();
    command.build();
    for word in words.split_whitespace().skip(1) {
        if let Some(option) = word.strip_prefix("--") {
            let is_there = command.get_arguments().any(|argument| argument.get_long() == Some(option));
            if !is_there && !["help", "version"].contains(&option) {
                return false;
            }
        } else if command.has_subcommands() && word != "…" {
            match command.find_subcommand(word) {
                Some(found) => command = found.clone(),
                None => return false,
            }
        }
    }
    true
}

#[test]
fn named_commands_exist() {
    assert!(is_command("grantd key rotate key_1 --overlap 24h") && is_command("grantd --help"));
    assert!(!is_command("grantd nothing") && !is_command("grantd key rotate --nothing"));
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in documents().into_iter().filter(|path| path != "docs/cli.md") {
        // Leading variables belong to the shell.
        let words = inline(&read(&path)).into_iter().filter_map(|word| Some(word[word.find("grantd ")?..].to_owned()));
        for words in words {
            count += 1;
            if !is_command(&words) {
                wrong.push(format!("{path}: {words}"));
            }
        }
    }
    assert!(wrong.is_empty() && count > 15, "commands that do not exist, of {count}:\n  {}", wrong.join("\n  "));
}

#[test]
fn documented_layers_are_those_enforced() {
    let layers = ROWS.map(|row| row.join(", ")).join(" → ");
    assert!(read("docs/design.md").contains(&format!("\n{layers}\n")), "docs/design.md has other layers than {layers}");
}

#[test]
fn named_settings_exist() {
    let (mut section, mut settings) = ("", BTreeSet::new());
    for line in DEFAULTS.lines() {
        section = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(section);
        settings.extend(line.split_once(" = ").map(|(name, _)| format!("{section}.{name}")));
    }
    let sections: BTreeSet<&str> = settings.iter().filter_map(|name| name.split('.').next()).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    // These two also name earlier states.
    for path in documents().into_iter().filter(|path| !["CHANGELOG.md", "docs/upgrade.md"].contains(&path.as_str())) {
        for word in inline(&read(&path)) {
            let is_setting =
                word.split_once('.').is_some_and(|(section, _)| !section.is_empty() && sections.contains(section));
            count += usize::from(is_setting);
            wrong.extend((is_setting && !settings.contains(&word)).then(|| format!("{path}: {word}")));
        }
    }
    assert!(wrong.is_empty() && count > 5, "settings that do not exist, of {count}:\n  {}", wrong.join("\n  "));
}

#[test]
fn commands_in_blocks_are_run() {
    let mut wrong = Vec::new();
    let mut sections = BTreeSet::new();
    for path in documents() {
        let text = read(&path);
        let (mut is_shell, mut is_run) = (false, false);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->")) {
                is_run = line != END;
                sections.extend(is_run.then(|| (path.clone(), name.to_owned())));
            } else if line.starts_with("```") {
                is_shell = line == "```sh";
            } else if is_shell && !is_run && !line.is_empty() {
                // Every grantd command is run in the demo's directory.
                let is_ours = line.starts_with("grantd ") || NOT_RUN.iter().any(|start| line.starts_with(start));
                wrong.extend((!is_ours).then(|| format!("{path}: {line}")));
            }
        }
    }
    assert!(wrong.is_empty(), "commands that no test runs:\n  {}", wrong.join("\n  "));
    assert_eq!(sections, RUN.map(|(path, name)| (path.to_owned(), name.to_owned())).into());
}

//! Owns that the documents name what exists: files of the repository, and headings and files that they link to.

use std::collections::BTreeSet;

use super::{documents, read, root};

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The anchors of a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if !is_code && line.starts_with('#') {
            found.insert(anchor(line.trim_start_matches('#')));
        }
    }
    found
}

/// What a document links to, but for other sites.
fn links(text: &str) -> Vec<String> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let images = text.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    inline.chain(images).filter(|link| !link.contains("://")).map(ToOwned::to_owned).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in documents() {
        let text = read(&path);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in links(&text) {
            count += 1;
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { root().join(&path) } else { root().join(folder).join(file) };
            let is_there = match (target.exists(), heading) {
                (false, _) => false,
                (true, "") => true,
                (true, heading) => std::fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(heading)),
            };
            if !is_there {
                wrong.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty() && count > 20, "links that lead nowhere, of {count}:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_file_that_is_named_exists() {
    let folders = ["src/", "tests/", "examples/", "docs/", "templates/", "migrations/", "benches/", ".ci/"];
    let mut wrong = Vec::new();
    for path in documents() {
        let text = read(&path);
        for word in text.split('`').skip(1).step_by(2) {
            let is_path =
                folders.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '*', '{', '<', '…']);
            if is_path && !root().join(word).exists() {
                wrong.push(format!("{path}: {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "files that do not exist:\n  {}", wrong.join("\n  "));
}

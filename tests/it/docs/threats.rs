//! Owns that `docs/threats.md` names the tests there are: whatever test has the comment `THREATS: XX1` is listed with that
//! case, and a case without a test says so.

use std::collections::{BTreeMap, BTreeSet};

use super::{assert_current, files, read};

const PATH: &str = "docs/threats.md";
const CASES: usize = 235;
/// The text of a case whose feature does not exist.
const NOT_BUILT: &str = "*Not built.*";
/// The tests showing that standards are not implemented.
const ABSENT: &str = "oauth::absent::";

/// The tests of each case, by the comments in them.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files("src").into_iter().chain(files("tests/it")).filter(|path| path.ends_with(".rs")) {
        let module = path.strip_prefix("tests/it/").unwrap_or(&path).trim_end_matches(".rs").trim_end_matches("/mod");
        let (module, text) = (module.replace('/', "::"), read(&path));
        let mut function = "";
        for line in text.lines().map(str::trim_start) {
            let declared = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            function = declared.and_then(|rest| rest.split(['(', '<']).next()).unwrap_or(function);
            let ids = line.strip_prefix("// THREATS: ").unwrap_or_default();
            for id in ids.split([' ', ',']).filter(|id| !id.is_empty()) {
                found.entry(id.to_owned()).or_default().push(format!("{module}::{function}"));
            }
        }
    }
    found
}

/// The id of the case that a line of the document describes.
fn case(line: &str) -> Option<&str> {
    line.strip_prefix("**")?.split_once(".**").map(|(id, _)| id)
}

#[test]
fn threats_list_the_tests_that_name_them() {
    let (text, tests) = (read(PATH), tests());
    let mut made = String::new();
    // The lists are rewritten, with a blank line before and after each.
    let mut lines = text.lines().filter(|line| !line.starts_with("- `")).peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() && (made.ends_with("\n\n") || lines.peek().is_none()) {
            continue;
        }
        made += &format!("{line}\n");
        if let Some(listed) = case(line).and_then(|id| tests.get(id)) {
            made += &format!("\n- `{}`\n", listed.join("`\n- `"));
        }
    }
    assert_current(PATH, &made);
}

#[test]
fn threats_are_unique_and_explain_missing_tests() {
    let (text, tests) = (read(PATH), tests());
    let cases: Vec<(&str, &str)> = text.lines().filter_map(|line| Some((case(line)?, line))).collect();
    let ids: BTreeSet<&str> = cases.iter().map(|(id, _)| *id).collect();
    assert_eq!((cases.len(), ids.len()), (CASES, CASES));
    let unknown: Vec<&String> = tests.keys().filter(|id| !ids.contains(id.as_str())).collect();
    assert!(unknown.is_empty(), "tests name cases that {PATH} does not have: {unknown:?}");
    for (id, line) in cases {
        let listed = tests.get(id).map_or(&[][..], Vec::as_slice);
        let only_absent = listed.iter().all(|test| test.starts_with(ABSENT));
        assert_eq!(
            line.contains(NOT_BUILT),
            only_absent,
            "{id} says \"{NOT_BUILT}\" where only {ABSENT} has tests of it"
        );
        assert_eq!(line.contains("No test:"), listed.is_empty(), "{id} says why there is no test where there is none");
    }
}

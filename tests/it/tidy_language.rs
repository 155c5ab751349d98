//! Owns a list of phrases that are refused in code, comments, pages, settings and documents. A sentence that fails here is
//! rewritten in plain English; the list grows with what reviews find.

use std::{fs, path::Path};

use crate::tidy::{Source, files, report};

/// In lower case, without line breaks.
const PHRASES: [&str; 46] = [
    "belongs into",
    "belong into",
    "none of this list",
    "is none of this",
    "gone on with",
    "is none that",
    "there is none of",
    "is no valid",
    "not for you to choose",
    "say whose",
    "to stand before",
    "asked before all",
    "asks before all",
    "going on behind",
    "goes on behind",
    "behind the last",
    "makes none without",
    "and never a guess",
    "an answer that is not ours",
    "begins anew",
    "beside the database",
    "end at once",
    "ended at once",
    "ends at once",
    "is no business",
    "is none of",
    "is told of",
    "it is gone",
    "key was made",
    "make a new key",
    "makes a new key",
    "none of its keys is",
    "not let in",
    "one this server knows",
    "project was made",
    "stops at once",
    "take along",
    "takes along",
    "was made",
    "what happened with",
    "whatever it is given",
    "who asks",
    "who calls is",
    "whoever finds",
    "whoever has",
    "whoever holds",
];

/// The text in lower case, each run of line breaks, indents and comment marks one space.
fn flat(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !["//", "///", "//!", "--", "#", "\\"].contains(word));
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

#[test]
fn texts_use_no_refused_phrase() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = Source { path: "README.md".to_owned(), text: fs::read_to_string(readme).expect("README.md") };
    let folders =
        [("src", ""), ("templates", ""), ("migrations", ".sql"), ("docs", ".md"), ("examples", ""), ("benches", ".rs")];
    let tests = files("tests/it", ".rs").into_iter().filter(|source| !source.path.ends_with("tidy_language.rs"));
    let all = folders.into_iter().flat_map(|(folder, end)| files(folder, end)).chain(tests).chain([readme]);
    let mut wrong = Vec::new();
    for source in all {
        let text = flat(&source.text);
        wrong.extend(
            PHRASES.iter().filter(|phrase| text.contains(**phrase)).map(|phrase| format!("{}: {phrase}", source.path)),
        );
    }
    report("phrases to rewrite", wrong);
}

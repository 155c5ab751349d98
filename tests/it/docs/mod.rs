//! Owns tests that the documents in `docs/` are true: what is generated from the code is current, and what they name
//! exists. With `GRANTD_WRITE_DOCS` set, outdated documents are written instead.

mod names;
mod reference;
#[cfg(feature = "services")]
mod shell;
#[cfg(feature = "services")]
mod snippets;
mod threats;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The sections whose commands a test runs, each between `<!-- test: … -->` and `<!-- test: end -->`.
const RUN: [(&str, &str); 9] = [
    ("README.md", "readme"),
    ("docs/quick-start.md", "the flow"),
    ("docs/protect-your-api.md", "an example"),
    ("docs/gateway.md", "the gateway"),
    ("docs/gateway.md", "rules"),
    ("docs/gateway.md", "a profile"),
    ("docs/gateway.md", "import"),
    ("docs/management-api.md", "the management API"),
    ("docs/operate.md", "operate"),
];
const END: &str = "<!-- test: end -->";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a folder, by its path from the root.
pub fn files(folder: &str) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() { walk(&entry, found) } else { found.push(entry) }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    let below = |path: PathBuf| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    found.into_iter().map(below).collect()
}

/// README and every Markdown file in `docs/`.
fn documents() -> Vec<String> {
    let own = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(ToOwned::to_owned).into_iter();
    own.filter(|path| root().join(path).exists())
        .chain(files("docs").into_iter().filter(|path| path.ends_with(".md")))
        .collect()
}

/// The text of a section whose commands are run.
#[cfg(feature = "services")]
#[track_caller]
fn section(path: &str, name: &str) -> String {
    assert!(RUN.contains(&(path, name)), "{path}: {name}");
    let (text, start) = (read(path), format!("<!-- test: {name} -->"));
    let (_, rest) = text.split_once(&start).unwrap_or_else(|| panic!("{path}: no {start}"));
    rest.split_once(END).unwrap_or_else(|| panic!("{path}: no {END}")).0.to_owned()
}

/// Fails if a document differs from what is generated, or writes it.
#[track_caller]
fn assert_current(path: &str, made: &str) {
    if env::var_os("GRANTD_WRITE_DOCS").is_some() {
        return fs::write(root().join(path), made).expect("written");
    }
    let kept = fs::read_to_string(root().join(path)).unwrap_or_default();
    let differs = kept.lines().zip(made.lines()).position(|(kept, made)| kept != made);
    let at = differs.unwrap_or_else(|| kept.lines().count().min(made.lines().count()));
    assert!(
        kept == made,
        "{path} is not current from line {}: it has {:?}, and the code makes {:?}. \
         GRANTD_WRITE_DOCS=1 cargo test --test it docs:: writes it",
        at + 1,
        kept.lines().nth(at),
        made.lines().nth(at)
    );
}

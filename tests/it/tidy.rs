//! Owns the style rules that a program can check: allowed imports, sizes, banned calls, unused files.
//! It reads text without a grammar; rustfmt has made the text regular.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
/// As rustfmt.toml has it.
const LINE_WIDTH_MAX: usize = 120;

/// Imports go to a later row only, and never to a sibling in the same row. `docs/design.md` shows them under "Layers".
pub const ROWS: [&[&str]; 12] = [
    &["main"],
    &["cli"],
    &["router"],
    &["openapi"],
    &["oauth", "api", "public", "gateway", "web", "ops"],
    &["http"],
    &["app"],
    &["ui"],
    &["engine"],
    &["store"],
    &["config", "cache", "telemetry"],
    &["meters", "model"],
];

/// Calls restricted to one place: the words, and the files or folders in which they may occur.
const ONLY_IN: [(&str, &[&str]); 12] = [
    ("SystemTime::now", &["src/model/clock.rs"]),
    ("now_utc", &["src/model/clock.rs"]),
    ("rand::rng", &["src/model/secret.rs"]),
    ("rand::random", &["src/model/secret.rs"]),
    ("rand::fill", &["src/model/secret.rs"]),
    ("std::env", &["src/cli"]),
    ("sqlx::", &["src/store"]),
    ("rusqlite::", &["src/store"]),
    (
        "axum::",
        &[
            "src/http",
            "src/oauth",
            "src/api",
            "src/public",
            "src/gateway",
            "src/web",
            "src/ops",
            "src/router",
            "src/app",
            "src/cli",
        ],
    ),
    (".route(\"", &["src/router.rs"]),
    ("include_str!(\"../../migrations", &["src/store/migrations.rs"]),
    ("process::exit", &[]),
];

/// Not allowed at all outside tests.
const BANNED: [&str; 9] =
    [".unwrap()", ".expect(", "println!", "print!(", "dbg!", "panic!(", "todo!", "unimplemented!", "#[allow("];

/// A file of the repository.
pub struct Source {
    /// Such as `src/store/mod.rs`.
    pub path: String,
    pub text: String,
}

impl Source {
    /// The text without comments and, in `src`, without the tests at its end.
    pub fn code(&self) -> String {
        let text = self.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        text.lines()
            .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The module right below the crate's root: `store` for `src/store/mod.rs`.
    fn module(&self) -> &str {
        let below = self.path.trim_start_matches("src/");
        below.split(['/', '.']).next().unwrap_or_default()
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            self.path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
        })
    }
}

/// Every file below `folder` with this ending.
pub fn files(folder: &str, end: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() { walk(&entry, found) } else { found.push(entry) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    if root.join(folder).is_dir() {
        walk(&root.join(folder), &mut found);
    }
    found.sort();
    let named = found.into_iter().filter(|path| path.to_string_lossy().ends_with(end));
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("text"),
        path: path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned(),
    };
    named.map(read).collect()
}

fn rust() -> Vec<Source> {
    ["src", "tests", "examples", "benches"].into_iter().flat_map(|folder| files(folder, ".rs")).collect()
}

/// Fails with the whole list of errors.
#[track_caller]
pub fn report(rule: &str, wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

/// The full paths of a `use` tree: `a::{b, c::{d, e}}` is `a::b`, `a::c::d`, `a::c::e`.
fn paths(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = rest.trim_end().strip_suffix('}').expect("a closing brace");
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(&inner[std::mem::replace(&mut start, at + 1)..at]),
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    parts
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .flat_map(paths)
        .map(|path| format!("{head}{path}"))
        .collect()
}

/// Every path a file imports, and every one it spells out from the crate's root.
pub fn imports(source: &Source) -> Vec<String> {
    let code = source.code();
    let mut found = Vec::new();
    let mut lines = code.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let public = ["pub ", "pub(super) ", "pub(crate) "].iter().find_map(|word| line.strip_prefix(word));
        let Some(tree) = public.unwrap_or(line).strip_prefix("use ") else { continue };
        let mut tree = tree.to_owned();
        while !tree.ends_with(';') {
            tree.push_str(lines.next().expect("the end of an import"));
        }
        found.extend(paths(tree.trim_end_matches(';')));
    }
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + 7..];
        let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        if !name.is_empty() {
            found.push(format!("crate::{name}"));
        }
    }
    found
}

/// rustfmt leaves a whole statement unformatted if one of its lines is wider; SQL tends to be.
#[test]
fn lines_of_code_fit_the_formatter() {
    let mut wrong = Vec::new();
    for source in files("src/store", ".rs") {
        let code = source.code();
        let wide = code.lines().enumerate().filter(|(_, line)| line.chars().count() > LINE_WIDTH_MAX);
        wrong.extend(wide.map(|(at, _)| format!("{}:{}", source.path, at + 1)).collect::<Vec<_>>());
    }
    report(&format!("a line of code has at most {LINE_WIDTH_MAX} characters"), wrong);
}

#[test]
fn every_file_says_what_it_owns() {
    let says = |source: &Source| {
        let head: String = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        head.contains("Owns ") || source.path == "src/lib.rs" && !head.is_empty()
    };
    let wrong = rust().into_iter().filter(|source| !says(source)).map(|source| source.path).collect();
    report("a file begins with `//! Owns …`", wrong);
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    for source in rust() {
        let lines: Vec<&str> = source.text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            wrong.push(format!("{}: {} lines", source.path, lines.len()));
        }
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let indent = &line[..line.len() - code.len()];
            let is_function =
                code.split(['(', '"']).next().is_some_and(|head| head.split(' ').any(|word| word == "fn"));
            if !is_function || code.starts_with("//") || code.ends_with('}') || code.ends_with(';') {
                continue;
            }
            // rustfmt aligns the closing brace with the statement's first word.
            let end = lines[start..].iter().position(|line| line.strip_prefix(indent) == Some("}"));
            if end.is_some_and(|length| length + 1 > FUNCTION_LINES_MAX) {
                wrong.push(format!("{}:{}: {} lines", source.path, start + 1, end.unwrap_or_default() + 1));
            }
        }
    }
    report("at most 400 lines a file, 70 a function", wrong);
}

#[test]
fn imports_go_one_way() {
    let row = |module: &str| ROWS.iter().position(|row| row.contains(&module));
    let mut wrong = Vec::new();
    for source in files("src", ".rs").into_iter().filter(|source| source.path != "src/lib.rs") {
        let own = source.module();
        let Some(own_row) = row(own) else {
            wrong.push(format!("{} belongs to no row", source.path));
            continue;
        };
        for path in imports(&source) {
            let mut words = path.split("::");
            let (Some("crate" | "grantd"), Some(other)) = (words.next(), words.next()) else { continue };
            if other != own && row(other).is_none_or(|other_row| other_row <= own_row) {
                wrong.push(format!("{} imports {path}", source.path));
            }
        }
    }
    report("imports go only to a later row", wrong);
}

#[test]
fn import_blocks_are_std_others_ours() {
    let block_of = |path: &str| match path.split("::").next().unwrap_or_default() {
        "std" | "core" | "alloc" => 0,
        "crate" | "self" | "super" => 2,
        _ => 1,
    };
    let mut wrong = Vec::new();
    for source in rust() {
        let code = source.text.lines().skip_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
        let starts = |block: &&str| block.starts_with("use ") || block.starts_with("#[cfg") && block.contains("\nuse ");
        let blocks: Vec<Vec<i32>> = code
            .trim_start()
            .split("\n\n")
            .filter(starts)
            .map(|block| block.lines().filter_map(|line| line.strip_prefix("use ")).map(block_of).collect())
            .collect();
        let order: Vec<i32> = blocks.iter().filter_map(|block| block.first().copied()).collect();
        let mixed = blocks.iter().any(|block| block.iter().any(|kind| Some(kind) != block.first()));
        if mixed || !order.is_sorted() {
            wrong.push(format!("{}: {blocks:?}", source.path));
        }
    }
    report("imports are three blocks: std, others, ours", wrong);
}

#[test]
fn restricted_calls_are_in_their_files() {
    let mut wrong = Vec::new();
    for source in files("src", ".rs") {
        let (code, imported) = (source.code(), imports(&source));
        for (words, places) in ONLY_IN {
            let begins = |path: &String| path.starts_with(words) || format!("{path}::").starts_with(words);
            let written = code
                .match_indices(words)
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if (written || imported.iter().any(begins)) && !source.is_in(places) {
                wrong.push(format!("{}: {words}", source.path));
            }
        }
        let statement = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE "];
        if statement.iter().any(|sql| code.contains(sql)) && !source.is_in(&["src/store"]) {
            wrong.push(format!("{}: SQL", source.path));
        }
    }
    report("time, randomness, environment, SQL and HTTP have their places", wrong);
}

#[test]
fn todos_and_banned_calls_are_absent() {
    let later = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut wrong = Vec::new();
    let all =
        rust().into_iter().chain(files("templates", "")).chain(files("migrations", "")).chain(files("tests", "run"));
    for source in all {
        let found = later.iter().filter(|word| source.text.contains(**word));
        wrong.extend(found.map(|word| format!("{}: {word}", source.path)));
    }
    for source in files("src", ".rs") {
        let code = source.code();
        let found = BANNED.iter().filter(|word| code.contains(**word));
        wrong.extend(found.map(|word| format!("{}: {word}", source.path)));
    }
    report("not here", wrong);
}

#[test]
fn every_template_and_migration_is_used() {
    let sources: String = files("src", ".rs").into_iter().map(|source| source.text).collect();
    let templates = files("templates", "");
    let all: String = templates.iter().map(|template| template.text.as_str()).chain([sources.as_str()]).collect();
    let mut wrong = Vec::new();
    for file in templates
        .iter()
        .map(|template| &template.path)
        .chain(&files("migrations", ".sql").into_iter().map(|m| m.path).collect::<Vec<_>>())
    {
        let name = file.split_once('/').map_or("", |(_, name)| name);
        if !all.contains(&format!("{name}\"")) {
            wrong.push(file.clone());
        }
    }
    report("files that nothing names", wrong);
}

#[test]
fn routes_are_declared_once() {
    let router = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/router.rs")).expect("the router");
    let mut seen = BTreeSet::new();
    let paths = router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let twice: Vec<String> = paths.filter(|path| !seen.insert(*path)).map(ToOwned::to_owned).collect();
    assert!(seen.len() > 10, "{seen:?}");
    report("a path is listed once", twice);
}

#[test]
fn every_test_module_is_run() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/main.rs")).expect("main");
    let mut wrong = Vec::new();
    for source in files("tests/it", ".rs").into_iter().filter(|source| source.path != "tests/it/main.rs") {
        let name = source.path.trim_start_matches("tests/it/").trim_end_matches(".rs");
        let (parent, module) = match name.trim_end_matches("/mod").rsplit_once('/') {
            Some((folder, module)) => (
                fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/{folder}/mod.rs")))
                    .expect("a mod.rs"),
                module,
            ),
            None => (main.clone(), name.trim_end_matches("/mod")),
        };
        if !parent.contains(&format!("mod {module};")) {
            wrong.push(source.path);
        }
    }
    report("files that are no module", wrong);
}

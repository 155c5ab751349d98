//! Owns the rule that no verdict depends on the machine's speed: clocks, sleeps and timeouts are used in `harness::wait`
//! alone. A virtual clock may be used everywhere. It reads text; see `tidy` for the other rules.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Calls that tests may not make themselves.
const WORDS: [&str; 9] = [
    concat!("Instant::", "now"),
    concat!(".elap", "sed("),
    concat!("SystemTime", "::now"),
    concat!("::sle", "ep("),
    concat!(" sle", "ep("),
    concat!("time", "out("),
    concat!("time::", "interval("),
    concat!("recv_time", "out"),
    concat!("wait_time", "out"),
];
/// The one place for them, and the files that only name them.
const PLACES: [&str; 3] = ["harness/wait.rs", "tidy.rs", "tidy_time.rs"];
/// Lines whose bound is not part of a verdict.
const ALLOWED: [(&str, &str); 7] = [
    (
        "harness/chromium.rs",
        "let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build();",
    ),
    ("harness/raw.rs", "connection.busy_timeout(PATIENCE).expect(\"a wait\");"),
    ("failures/embedded.rs", "other.busy_timeout(wait::PATIENCE).expect(\"a wait\");"),
    ("edge/process.rs", "stream.set_read_timeout(Some(PATIENCE)).expect(\"a timeout\");"),
    ("edge/connections.rs", "stream.set_read_timeout(Some(PATIENCE)).expect(\"a timeout\");"),
    // On its own clock.
    ("web/leaked.rs", "let (stop, began) = (CancellationToken::new(), Instant::now());"),
    ("web/leaked.rs", "assert_eq!(began.elapsed().as_secs(), 6);"),
];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            rust_files(&entry, found);
        } else if entry.extension().is_some_and(|end| end == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn tests_use_no_clock_and_no_sleep() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 50, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("text");
        for (number, line) in text.lines().enumerate() {
            let code = line.trim();
            let allowed = PLACES.contains(&path.as_str())
                || code.starts_with("//")
                || ALLOWED.iter().any(|(place, line)| path == *place && code == *line);
            if !allowed && WORDS.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{path}:{}: {code}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "wait by `harness::wait`, for an event or a condition:\n  {}", wrong.join("\n  "));
}

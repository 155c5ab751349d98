//! Owns tests of files that cannot be imported: a clear error before any change, without the file's contents.

use std::fs::{self, File};

use super::{counts, database, import, installation, key};

#[tokio::test]
async fn malformed_files_are_refused_entirely() {
    let here = installation();
    let database = database(&here);
    let good: String = (0..3000).map(|_| format!("{},alice@example.com,read\n", key())).collect();
    let good = format!("key,owner,scopes\n{good}");
    let secret = key();
    let cases: [(&str, Vec<u8>, &str); 12] = [
        ("empty.csv", Vec::new(), "header"),
        ("headless.csv", format!("{secret},alice@example.com,read\n").into_bytes(), "header"),
        ("semicolons.csv", format!("key;owner;scopes\n{secret};alice@example.com;read\n").into_bytes(), "commas"),
        ("unknown.csv", format!("key,{secret}\na,b\n").into_bytes(), "column 2"),
        ("twice.csv", b"key,owner,KEY\n".to_vec(), "column 3"),
        ("quote.csv", b"\"key,owner\n".to_vec(), "header"),
        ("binary.csv", b"key,owner\n\x7fELF\x00\x01\n".to_vec(), "line 2 is not UTF-8 text"),
        (
            "latin1.csv",
            [good.as_bytes(), b"schl\xfcssel,alice@example.com,read\n"].concat(),
            "line 3002 is not UTF-8 text",
        ),
        ("long.csv", [good.as_bytes(), "x".repeat(70_000).as_bytes()].concat(), "line 3002 is longer"),
        ("keys.jsonl", good.clone().into_bytes(), "line 1: not a JSON object"),
        ("array.jsonl", format!("[{{\"key\":\"{secret}\"}}]\n").into_bytes(), "line 1: not a JSON object"),
        ("typed.jsonl", format!("{{\"key\":42,\"owner\":\"{secret}\"}}\n").into_bytes(), "line 1: not a JSON object"),
    ];
    for (name, bytes, words) in cases {
        fs::write(here.path(name), bytes).expect("a file");
        let error = here.refused(&["key", "import", name]);
        assert!(error.contains(words) && error.lines().count() == 1, "{name}: {error}");
        assert!(!error.contains(&secret), "{name}: {error}");
    }
    // A hundred megabytes without a line end, read without being kept.
    File::create(here.path("huge.csv")).and_then(|file| file.set_len(100 << 20)).expect("a file");
    assert!(here.refused(&["key", "import", "huge.csv"]).contains("line 1 is longer"));
    assert!(here.refused(&["key", "import", "missing.csv"]).contains("missing.csv"));
    assert!(here.refused(&["key", "import", ".", "--format", "csv"]).contains("regular file"));
    for (words, reason) in [(["--owners-plan", "gold"], "no such plan"), (["--report", "missing/report.csv"], "report")]
    {
        fs::write(here.path("good.csv"), &good).expect("a file");
        let error = here.refused(&[&["key", "import", "good.csv", "--create-owners"], &words[..]].concat());
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(database.column("SELECT COUNT(*) FROM api_keys").await, ["0"]);
    assert_eq!(database.column("SELECT COUNT(*) FROM audit WHERE event LIKE 'key.import%'").await, ["0"]);
    assert_eq!(database.column("SELECT COUNT(*) FROM meta WHERE name = 'has_opaque_keys'").await, ["0"]);
}

#[test]
fn file_with_only_a_header_is_empty() {
    let here = installation();
    fs::write(here.path("none.csv"), "key,owner\n\n").expect("a file");
    assert_eq!(counts(&import(&here, "none.csv", &[])), [0, 0, 0]);
}

//! Owns tests of each row's result, in both formats.

use std::fs;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use grantd::model::secret::Digest;
use serde_json::json;

use super::{counts, database, import, installation, key, write};

fn hex(key: &str) -> String {
    HEXLOWER.encode(&BASE64URL_NOPAD.decode(Digest::of(key).text().as_bytes()).expect("a digest"))
}

/// Lines that are refused, or skipped as already present, and why.
const LEFT_OUT: [(u64, &str); 24] = [
    (6, "this project allows one active key"),
    (7, "the key already exists"),
    (8, "belongs to another user"),
    (9, "there is no user with the owner's address"),
    (10, "too easy to guess"),
    (11, "looks like a JWT"),
    (12, "another secret of this server"),
    (13, "unknown environment"),
    (14, "no such scope: fly"),
    (15, "the scopes are missing"),
    (16, "does not have this project"),
    (17, "already expired"),
    (18, "expires_at must be"),
    (19, "no such plan"),
    (20, "a network is malformed"),
    (21, "cannot be combined"),
    (22, "key or sha256 is required"),
    (23, "sha256 must be"),
    (24, "not an email address"),
    (25, "direction-changing"),
    (26, "the number of values differs"),
    (27, "quotation mark"),
    (28, "milliseconds"),
    (29, "a carriage return"),
];

/// A file with three rows to import, and one for each of [`LEFT_OUT`].
fn file(first: &str, second: &str, hashed: &str) -> String {
    let alice = |rest: &str| format!("{},,alice@example.com,{rest}", key());
    let rows = [
        "key,SHA256,owner,name,scopes,project,environment,expires_at,plan,networks".to_owned(),
        format!(
            "{first},,Alice@Example.com,\"My \"\"old\"\" key, kept\",read write,,test,2999-01-01T00:00:00Z,pro,\
             192.0.2.0/24 2001:db8::/32"
        ),
        format!(",{},bob@example.com,,read,,,32472144000,,", hex(hashed)),
        String::new(),
        format!("{second},,alice@example.com,Harbor key,all,Harbor,,,,"),
        alice(",read,Harbor,,,,"),
        format!("{first},,alice@example.com,,read,,,,,"),
        format!(",{},alice@example.com,,read,,,,,", hex(hashed)),
        format!("{},,nobody@example.com,,read,,,,,", key()),
        "password123,,alice@example.com,,read,,,,,".to_owned(),
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln,,alice@example.com,,read,,,,,".to_owned(),
        "gd_rt_4fKd93jfKD93jf93kfKD93jfkd9,,alice@example.com,,read,,,,,".to_owned(),
        alice(",read,,staging,,,"),
        alice(",fly,,,,,"),
        alice(",,,,,,"),
        alice(",read,Nowhere,,,,"),
        alice(",read,,,2001-01-01T00:00:00Z,,"),
        alice(",read,,,tomorrow,,"),
        alice(",read,,,,gold,"),
        alice(",read,,,,,192.0.2.0/99"),
        format!("{},{},alice@example.com,,read,,,,,", key(), hex(&key())),
        ",,alice@example.com,,read,,,,,".to_owned(),
        ",abc,alice@example.com,,read,,,,,".to_owned(),
        format!("{},,no address,,read,,,,,", key()),
        alice("a\u{202E}b,read,,,,,"),
        format!("{},,alice@example.com", key()),
        format!("\"{},,alice@example.com,,read,,,,,", key()),
        alice(",read,,,4102444800000,,"),
        alice(",read,,,,,\r,,hidden@example.com,,write,,,,,"),
    ];
    rows.join("\r\n")
}

#[tokio::test]
async fn rows_are_imported_or_refused_with_line_and_reason() {
    let here = installation();
    here.json(&["project", "create", "--user", "alice@example.com", "--name", "Harbor", "--one-live-key"]);
    let (first, second, hashed) = (key(), key(), key());
    write(&here, "keys.csv", &file(&first, &second, &hashed));
    let told = import(&here, "keys.csv", &["--report", "report.csv"]);
    assert_eq!((counts(&told), &told["rows"]), ([3, 1, 23], &json!(27)), "{told}");
    let report = fs::read_to_string(here.path("report.csv")).expect("a report");
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!((lines.len(), lines[0]), (25, "line,reason"));
    for (line, reason) in LEFT_OUT {
        let found = lines.iter().find(|row| row.starts_with(&format!("{line},"))).unwrap_or_else(|| panic!("{line}"));
        assert!(found.contains(reason), "{found}");
    }
    let database = database(&here);
    let kept = |column: &str, key: &str| {
        let sql = format!("SELECT {column} FROM api_keys WHERE digest = '{}'", Digest::of(key).text());
        let database = &database;
        async move { database.column(&sql).await }
    };
    for (column, value) in [
        ("name", "My \"old\" key, kept"),
        ("scopes", "read write"),
        ("environment", "test"),
        ("expires_at", "32472144000000"),
        ("plan", "pro"),
        ("networks", "192.0.2.0/24 2001:db8::/32"),
        ("form", "imported"),
        ("prefix", "sk_live_"),
    ] {
        assert_eq!(kept(column, &first).await, [value], "{column}");
    }
    assert_eq!(kept("expires_at", &hashed).await, ["32472144000000"]);
    assert_eq!(kept("scopes", &second).await, ["read write"]);
    // No key is in the database, the output or the report.
    let secret = &first["sk_live_".len()..first.len() - 4];
    let stored = database.column("SELECT id || name || prefix || hint || digest FROM api_keys").await.concat();
    for text in [&told.to_string(), &report, &stored] {
        assert!(!text.contains(secret) && !text.contains("password123"), "{text}");
    }
    // Run again, it changes nothing; an existing report is not overwritten.
    assert!(here.refused(&["key", "import", "keys.csv", "--report", "report.csv"]).contains("report.csv"));
    assert_eq!(counts(&import(&here, "keys.csv", &[]))[0], 0);
    assert_eq!(database.column("SELECT COUNT(*) FROM api_keys").await, ["3"]);
}

#[test]
fn imports_write_few_audit_entries() {
    let here = installation();
    here.json(&["project", "create", "--user", "alice@example.com", "--name", "Harbor", "--one-live-key"]);
    write(&here, "keys.csv", &file(&key(), &key(), &key()));
    import(&here, "keys.csv", &[]);
    let audit = here.json(&["audit"]);
    let entries = audit["items"].as_array().expect("entries").iter();
    let imports: Vec<(String, i64)> = entries
        .filter(|entry| entry["event"] == "key.import")
        .map(|entry| (entry["reason"].to_string(), entry["times"].as_i64().expect("a count")))
        .collect();
    assert_eq!(imports.len(), 3, "{imports:?}");
    for (reason, times) in [("null", 3), ("\"the row was refused\"", 23), ("\"it already existed\"", 1)] {
        assert!(imports.contains(&(reason.to_owned(), times)), "{imports:?}");
    }
}

#[tokio::test]
async fn json_lines_and_default_options_are_imported() {
    let here = installation();
    let (one, two, three, weak) = (key(), key(), key(), "aaaaaaaaaaaaaaaaaaaa");
    let rows = [
        json!({ "key": one, "owner": "carol@example.com", "scopes": ["read", "write"], "networks": ["10.0.0.0/8"], "expires_at": 32_472_144_000_i64 }),
        json!({ "sha256": Digest::of(&two).text(), "name": "Second", "plan": null }),
        json!({ "sha256": format!("{}=", Digest::of(&three).text()) }),
        json!({ "key": weak, "note": "not known" }),
        json!([weak]),
        json!({ "key": weak }),
    ];
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    write(&here, "keys.txt", &format!("\u{feff}{text}{{\n"));
    assert!(here.refused(&["key", "import", "keys.txt"]).contains("--format"));
    let words = [
        "--format",
        "jsonl",
        "--default-owner",
        "alice@example.com",
        "--default-scope",
        "read",
        "--default-plan",
        "enterprise",
        "--default-environment",
        "test",
        "--create-owners",
    ];
    let told = import(&here, "keys.txt", &words);
    assert_eq!((counts(&told), &told["owners_made"]), ([3, 0, 4], &json!(1)), "{told}");
    assert_eq!(told["left_out"]["not a JSON object with known members"], 3);
    assert_eq!(told["lines"][0]["line"], 4);
    let forced = import(&here, "keys.txt", &[&words[..], &["--force-weak"]].concat());
    assert_eq!(counts(&forced), [1, 3, 3]);
    let database = database(&here);
    let kept = database.column("SELECT k.plan || k.environment || u.email || k.scopes FROM api_keys k JOIN users u ON u.id = k.user_id ORDER BY 1").await;
    let own = "enterprisetestalice@example.comread";
    assert_eq!(kept, [own, own, own, "enterprisetestcarol@example.comread write"]);
    // Owners created by the import cannot sign in.
    assert_eq!(database.column("SELECT password FROM users WHERE email = 'carol@example.com'").await, ["NULL"]);
}

#[test]
fn keys_in_the_wrong_column_are_not_shown() {
    let here = installation();
    let secret = key();
    write(&here, "keys.csv", &format!("key,owner,scopes\n{},alice@example.com,{secret}\n", key()));
    let ran = here.run(&["key", "import", "keys.csv"]);
    assert!(ran.err.contains("there is no such scope") && !ran.err.contains(&secret), "{ran:?}");
}

#[tokio::test]
async fn dry_run_reports_and_changes_nothing() {
    let here = installation();
    let (one, two) = (key(), key());
    let row = |key: &str, owner: &str| format!("{key},{owner}@example.com,read\n");
    let text =
        ["key,owner,scopes\n", &row(&one, "alice"), &row(&two, "bob"), &row(&one, "alice"), &row("letmein", "bob")];
    write(&here, "keys.csv", &text.concat());
    let database = database(&here);
    let everything = "SELECT (SELECT COUNT(*) FROM api_keys) || ' ' || (SELECT COUNT(*) FROM audit) || ' ' || (SELECT COUNT(*) FROM meta) || ' ' || (SELECT seq FROM feed)";
    let before = database.column(everything).await;
    let words = here.run(&["key", "import", "keys.csv", "--dry-run"]);
    assert!(words.out.contains("would import\t2\n") && words.err.contains("1 rows would be refused"), "{words:?}");
    let dry = import(&here, "keys.csv", &["--dry-run"]);
    assert_eq!((counts(&dry), &dry["dry_run"]), ([2, 1, 1], &json!(true)));
    assert_eq!(database.column(everything).await, before);
    assert_eq!(counts(&import(&here, "keys.csv", &[])), [2, 1, 1]);
    assert_eq!(counts(&import(&here, "keys.csv", &["--dry-run"])), [0, 3, 1]);
}

#[tokio::test]
async fn slow_database_gets_every_row_in_small_batches() {
    let here = installation();
    let rows: String = (0..1000)
        .map(|n| format!("{},alice@example.com,{}\n", key(), if n % 100 == 7 { "fly" } else { "read" }))
        .collect();
    write(&here, "keys.csv", &format!("key,owner,scopes\n{rows}"));
    let database = database(&here);
    // More than a hundred rows in one transaction fail, like a batch that takes too long.
    let check =
        "BEGIN SELECT RAISE(ABORT, 'too slow') WHERE (SELECT COUNT(*) FROM api_keys) - (SELECT n FROM kept) > 100;
                 UPDATE kept SET n = (SELECT COUNT(*) FROM api_keys); END;";
    database.run("CREATE TABLE kept (n BIGINT); INSERT INTO kept (n) VALUES (0);").await;
    for event in ["INSERT", "UPDATE"] {
        let when = format!("CREATE TRIGGER slow_{event} AFTER {event} ON meta WHEN NEW.name LIKE 'import:%' {check}");
        database.run(&when).await;
    }
    let told = import(&here, "keys.csv", &[]);
    assert_eq!(counts(&told), [990, 0, 10], "{told}");
    assert_eq!(told["left_out"]["there is no such scope: fly"], 10, "each is told once: {told}");
    assert_eq!(database.column("SELECT COUNT(*) FROM api_keys").await, ["990"]);
}

#[test]
fn results_are_readable_and_pipes_get_no_progress_bar() {
    let here = installation();
    write(
        &here,
        "keys.csv",
        &format!("key,owner,scopes\n{},alice@example.com,read\nhunter2,bob@example.com,read\n", key()),
    );
    let ran = here.run(&["key", "import", "keys.csv"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(ran.err.ends_with("grantd: 1 rows were refused; correct them and run the import again\n"), "{ran:?}");
    assert!(ran.out.contains("imported") && ran.err.contains("line 3: a key must have 8 to 512 characters"), "{ran:?}");
    assert!(!ran.err.contains('\u{1b}') && !ran.err.contains('%') && !ran.err.contains("hunter2"), "{ran:?}");
}

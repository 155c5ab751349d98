//! Owns tests of where databases and key files are created, and by which commands: one complete file after a stop,
//! a lost key file, a copy without its data.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use grantd::{model::audit::Origin, store::NewUser};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Installation, TestApp, process::now, wait};

/// Commands that must not create a database: in the wrong directory they would report an empty one.
const READERS: [&[&str]; 14] = [
    &["user", "list"],
    &["user", "disable", "--email", "a@example.com"],
    &["api", "list"],
    &["client", "list"],
    &["key", "list"],
    &["key", "revoke", "key_1"],
    &["plan", "list"],
    &["signing-key", "list"],
    &["signing-key", "rotate"],
    &["audit"],
    &["audit", "verify"],
    &["audit", "export"],
    &["doctor"],
    &["backup", "copy.db"],
];

/// As a new user has it: no master key in the environment, the database in the current directory.
fn newcomer() -> Installation {
    let mut here = Installation::new();
    here.unset("GRANTD_MASTER_KEY");
    here.unset("GRANTD_DATABASE_URL");
    here
}

/// Creates a user, and the database if there is none, which may print a warning.
#[track_caller]
fn create(here: &Installation, email: &str) {
    let ran = here.run(&["user", "create", "--email", email]);
    assert!(ran.status.success(), "{ran:?}");
}

/// The output of a failing command: an error, or the lines of `doctor`.
#[track_caller]
fn refused(here: &Installation, command: &[&str]) -> String {
    if command != ["doctor"] {
        return here.refused(command);
    }
    let ran = here.run(command);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    ran.out
}

fn files(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).expect("a directory").map(|entry| entry.expect("a file").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| !name.ends_with(".log")).collect()
}

/// The contents of a copy of only the database file and the key file.
fn told_by_copy(here: &Installation, database: &str) -> Value {
    let copy = newcomer();
    for end in ["", ".key"] {
        fs::copy(here.path(&format!("{database}{end}")), copy.path(&format!("grantd.db{end}"))).expect("copied");
    }
    copy.json(&["user", "list"])
}

fn one_file(here: &Installation, database: &str) {
    for end in ["-wal", "-shm"] {
        let length = here.path(&format!("{database}{end}")).metadata().map_or(0, |file| file.len());
        assert_eq!(length, 0, "{database}{end}");
    }
}

#[tokio::test]
async fn shutdown_leaves_one_complete_file() {
    for signal in ["TERM", "INT"] {
        let here = newcomer();
        let mut server = here.serve().await;
        create(&here, "alice@example.com");
        server.signal(signal);
        assert!(server.ended().success());
        one_file(&here, "grantd.db");
        let told = told_by_copy(&here, "grantd.db");
        assert_eq!(told["items"][0]["email"], "alice@example.com", "{told}");
        // The only process, which wrote something.
        create(&here, "bob@example.com");
        one_file(&here, "grantd.db");
        assert_eq!(told_by_copy(&here, "grantd.db")["items"].as_array().map(Vec::len), Some(2));
        let mut demo = here.launch(here.command(&["demo", "--listen", &format!("127.0.0.1:{}", here.port)]), here.port);
        demo.ready().await;
        demo.signal(signal);
        assert!(demo.ended().success());
        one_file(&here, "grantd-demo.db");
        assert_eq!(told_by_copy(&here, "grantd-demo.db")["items"][0]["email"], "demo@example.com");
    }
}

#[tokio::test]
async fn shutdown_leaves_a_complete_file_with_another_program_open() {
    let here = newcomer();
    let server = here.serve().await;
    // As long as this connection is open, the log is not removed.
    let other = rusqlite::Connection::open(here.path("grantd.db")).expect("a database");
    let count = |sql: &str| other.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count");
    assert_eq!(count("SELECT COUNT(*) FROM users"), 0);
    create(&here, "alice@example.com");
    assert!(server.stop().success());
    assert_eq!(count("SELECT COUNT(*) FROM users"), 1);
    let told = told_by_copy(&here, "grantd.db");
    assert_eq!(told["items"][0]["email"], "alice@example.com", "{told}");
}

#[tokio::test]
async fn running_server_checkpoints_every_minute() {
    let app = TestApp::new().await;
    let (file, folder) = (PathBuf::from(&app.database.url["sqlite:".len()..]), TempDir::new().expect("a directory"));
    for email in ["alice@example.com", "bob@example.com"] {
        app.user(email).await;
        wait::advance(Duration::from_secs(61)).await;
        wait::until("a file with everything", async || {
            // A copy of a file that is being written may be unusable.
            let copy = folder.path().join("copy.db");
            fs::copy(&file, &copy).ok()?;
            let copy = rusqlite::Connection::open(&copy).ok()?;
            let sql = "SELECT email FROM users WHERE email = ?1";
            copy.query_row(sql, [email], |row| row.get::<_, String>(0)).ok()
        })
        .await;
    }
}

#[tokio::test]
async fn checkpoint_completes_while_the_database_is_in_use() {
    let folder = TempDir::new().expect("a directory");
    let file = |name: &str| folder.path().join(name);
    let store = crate::harness::database::open(&format!("sqlite:{}", file("a.db").display())).await.expect("a store");
    let user = NewUser {
        email: "alice@example.com".to_owned(),
        name: "Alice".to_owned(),
        password: None,
        plan: "free".to_owned(),
        admin: false,
    };
    store.insert_user(now(), Origin::default(), user).await.expect("a user");
    store.checkpoint().await.expect("copied");
    fs::copy(file("a.db"), file("b.db")).expect("copied");
    let copy = crate::harness::database::open(&format!("sqlite:{}", file("b.db").display())).await.expect("a store");
    assert!(copy.find_user_by_email("alice@example.com").await.expect("a look").is_some());
    drop(store);
    assert!(!file("a.db-wal").exists() && !file("a.db-shm").exists());
}

#[tokio::test]
async fn only_creating_commands_create_a_database() {
    let here = newcomer();
    for command in READERS {
        let error = refused(&here, command);
        assert!(error.contains("no database at grantd.db; `grantd serve`"), "{command:?}: {error}");
        assert_eq!(files(here.dir.path()), BTreeSet::new(), "{command:?}");
    }
    fs::write(here.path("keys.csv"), "key,owner\n").expect("written");
    assert!(here.refused(&["key", "import", "keys.csv"]).contains("no database at grantd.db"));
    fs::remove_file(here.path("keys.csv")).expect("removed");
    let mut demo = here.launch(here.command(&["demo", "--listen", &format!("127.0.0.1:{}", here.port)]), here.port);
    demo.ready().await;
    assert!(demo.stop().success());
    let before = files(here.dir.path());
    for command in READERS {
        let error = refused(&here, command);
        let words = "no database at grantd.db (found grantd-demo.db: add --database sqlite:grantd-demo.db)";
        assert!(error.contains(words), "{command:?}: {error}");
    }
    assert_eq!(files(here.dir.path()), before);
    // Reading an existing database leaves no other files.
    for command in READERS.iter().filter(|command| !command.contains(&"backup")) {
        here.run(&[command, &["--database", "sqlite:grantd-demo.db"][..]].concat());
        assert_eq!(files(here.dir.path()), before, "{command:?}");
    }
    create(&here, "alice@example.com");
    assert!(here.path("grantd.db").exists() && here.path("grantd.db.key").exists());
}

#[tokio::test]
async fn lost_key_file_is_reported_and_never_replaced() {
    let here = newcomer();
    create(&here, "alice@example.com");
    let copy = here.path("copy.db");
    assert!(here.run(&["backup", "copy.db"]).status.success());
    let restored = newcomer();
    fs::copy(&copy, restored.path("grantd.db")).expect("copied");
    let listen = format!("127.0.0.1:{}", restored.port);
    for command in [
        &["serve", "--listen", &listen][..],
        &["user", "list"],
        &["user", "create", "--email", "b@example.com"],
        &["audit", "verify"],
        &["doctor"],
    ] {
        let error = refused(&restored, command);
        let words = "grantd.db.key is missing: restore the key file this database was created with";
        assert!(error.contains(words), "{command:?}: {error}");
        assert!(!restored.path("grantd.db.key").exists(), "{command:?}");
    }
    // Also if the database does not say which key it was created with.
    let nameless = newcomer();
    fs::copy(&copy, nameless.path("grantd.db")).expect("copied");
    let database = rusqlite::Connection::open(nameless.path("grantd.db")).expect("a database");
    database.execute("DELETE FROM meta WHERE name = 'master_key'", []).expect("forgotten");
    drop(database);
    let error = refused(&nameless, &["user", "create", "--email", "b@example.com"]);
    assert!(error.contains("grantd.db.key is missing") && !nameless.path("grantd.db.key").exists(), "{error}");
    fs::copy(here.path("grantd.db.key"), restored.path("grantd.db.key")).expect("copied");
    assert_eq!(restored.json(&["user", "list"])["items"][0]["email"], "alice@example.com");
}

#[test]
fn key_file_without_its_data_is_not_a_fresh_start() {
    let here = newcomer();
    create(&here, "alice@example.com");
    let key = fs::read(here.path("grantd.db.key")).expect("a key");
    let emptied = |here: &Installation| {
        // As a copy without the write-ahead log may be: a header and no tables.
        let file = here.path("grantd.db");
        fs::remove_file(&file).expect("removed");
        let empty = rusqlite::Connection::open(&file).expect("a database");
        empty.pragma_update(None, "journal_mode", "WAL").expect("a head");
    };
    emptied(&here);
    let remove: fn(&Installation) = |here| fs::remove_file(here.path("grantd.db")).expect("removed");
    let truncate: fn(&Installation) = |here| fs::write(here.path("grantd.db"), "").expect("written");
    for change in [|_: &Installation| (), truncate, remove] {
        change(&here);
        let before = files(here.dir.path());
        let listen = format!("127.0.0.1:{}", here.port);
        for command in [&["serve", "--listen", &listen][..], &["user", "create", "--email", "bob@example.com"]] {
            let error = refused(&here, command);
            assert!(error.contains("grantd.db has no data: restore the whole database"), "{error}");
            assert_eq!(files(here.dir.path()), before, "nothing is begun");
        }
        assert_eq!(fs::read(here.path("grantd.db.key")).expect("a key"), key);
    }
}

#[tokio::test]
async fn created_key_file_is_reported_once() {
    let here = newcomer();
    let words = "created grantd.db.key: the database cannot be read without it; keep a copy";
    let server = here.serve().await;
    assert_eq!(server.log().matches(words).count(), 1, "{}", server.log());
    assert!(server.stop().success());
    let again = here.serve().await;
    assert_eq!(again.log().matches(words).count(), 1, "{}", again.log());
    let other = newcomer();
    let ran = other.run(&["user", "create", "--email", "alice@example.com"]);
    assert!(ran.err.contains(&format!("grantd: warning: {words}")), "{ran:?}");
    assert!(other.run(&["user", "list"]).err.is_empty());
}

#[test]
fn readable_files_are_reported_and_dangling_links_not_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let here = newcomer();
    let elsewhere: PathBuf = here.path("elsewhere");
    symlink(&elsewhere, here.path("grantd.db")).expect("a link");
    assert!(here.refused(&["user", "create", "--email", "a@example.com"]).contains("grantd.db"));
    assert!(!elsewhere.exists());
    fs::remove_file(here.path("grantd.db")).expect("removed");
    drop(fs::remove_file(here.path("grantd.db.key")));
    create(&here, "a@example.com");
    fs::set_permissions(here.path("grantd.db"), fs::Permissions::from_mode(0o644)).expect("changed");
    let ran = here.run(&["user", "list"]);
    assert!(ran.err.contains("other users can read grantd.db; run chmod 600 grantd.db"), "{ran:?}");
}

#[test]
fn failed_backup_says_why() {
    let here = newcomer();
    create(&here, "a@example.com");
    here.json(&["backup", "b.db"]);
    for (target, words) in
        [("b.db", "b.db already exists"), ("nowhere/b.db", "cannot create nowhere/b.db: No such file")]
    {
        let error = here.refused(&["backup", target]);
        assert!(error.contains(words) && !error.contains("try again"), "{error}");
    }
    assert_eq!(json!(files(here.dir.path())), json!(["b.db", "grantd.db", "grantd.db.key"]));
}

//! Owns tests of an import that is killed, and of one next to a running server.

use std::{
    fs,
    process::{Child, Stdio},
};

use serde_json::Value;

use super::{counts, database, import, installation, key};
use crate::harness::{Installation, database::Database, wait};

const ROWS: usize = 12_000;
const KILLS: usize = 4;

/// Keys that are stored quickly in a run that is killed: more than its first batch.
const FAST: usize = 1500;

fn start(here: &Installation) -> Child {
    let mut command =
        here.command(&["key", "import", "keys.csv", "--create-owners", "--report", "report.csv", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
}

async fn kept(database: &Database) -> usize {
    database.column("SELECT COUNT(*) FROM api_keys").await[0].parse().expect("a count")
}

/// Makes storing each key from this one on slow.
async fn slow_down(database: &Database, from: usize) {
    let slow = format!(
        "DROP TRIGGER IF EXISTS slow;
         CREATE TRIGGER slow AFTER INSERT ON api_keys WHEN NEW.rowid > {from} BEGIN
             SELECT COUNT(*) FROM (SELECT 1 FROM api_keys LIMIT 1000), (SELECT 1 FROM api_keys LIMIT 300);
         END"
    );
    database.run(&slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_import_resumes() {
    let here = installation();
    let keys: Vec<String> = (0..ROWS).map(|_| key()).collect();
    let mut text = "key,owner,scopes\n".to_owned();
    for (n, key) in keys.iter().enumerate() {
        // Every hundredth row is refused.
        let scope = if n % 100 == 0 { "fly" } else { "read" };
        text.push_str(&format!("{key},user{}@example.com,{scope}\n", n % 50));
    }
    fs::write(here.path("keys.csv"), text).expect("a file");
    let database = database(&here);
    let mut cut = 0;
    for _ in 0..KILLS {
        let before = kept(&database).await;
        // Every key beyond these is stored slowly, so that no run ends before it is killed.
        slow_down(&database, before + FAST).await;
        let mut child = start(&here);
        let patience = wait::Patience::new();
        // Killed as soon as it has progressed further than the previous one.
        while kept(&database).await == before && child.try_wait().expect("a child").is_none() {
            patience.pause("an imported key").await;
        }
        cut += usize::from(child.try_wait().expect("a child").is_none());
        child.kill().expect("killed");
        child.wait().expect("an end");
    }
    assert_eq!(cut, KILLS, "each kill has hit");
    database.run("DROP TRIGGER slow").await;
    let ended = start(&here).wait_with_output().expect("an end");
    let told: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert!(told["continued_after_line"].as_u64().is_some_and(|line| line > 1), "{told}");
    // Every row once, whichever run read it.
    assert_eq!(counts(&told), [11_880, 0, 120]);
    assert_eq!(kept(&database).await, 11_880);
    assert_eq!(database.column("SELECT COUNT(DISTINCT digest) FROM api_keys").await, ["11880"]);
    assert_eq!(told["owners_made"], 50);
    assert_eq!(
        database.column("SELECT times FROM audit WHERE event = 'key.import' AND outcome = 'ok'").await,
        ["11880"]
    );
    assert_eq!(database.column("SELECT COUNT(*) FROM audit WHERE event = 'key.import_begin'").await, ["1"]);
    assert_eq!(database.column("SELECT COUNT(*) FROM meta WHERE name LIKE 'import:%'").await, ["0"]);
    // The report has every refused row; a row that was read twice may be there twice.
    let report = fs::read_to_string(here.path("report.csv")).expect("a report");
    let mut lines: Vec<usize> =
        report.lines().skip(1).filter_map(|line| line.split(',').next()?.parse().ok()).collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines, (0..ROWS).filter(|n| n % 100 == 0).map(|n| n + 2).collect::<Vec<_>>());
    assert_eq!(counts(&import(&here, "keys.csv", &["--create-owners"])), [0, 11_880, 120]);
}

#[tokio::test(flavor = "multi_thread")]
async fn running_server_continues_and_sees_imported_keys() {
    let here = installation();
    let api = here.client(&["--type", "confidential", "--grant-type", "client_credentials", "--scope", "read"]);
    let server = here.serve().await;
    let keys: Vec<String> = (0..3000).map(|_| key()).collect();
    let text: String = keys.iter().map(|key| format!("{key},alice@example.com,read\n")).collect();
    fs::write(here.path("keys.csv"), format!("key,owner,scopes\n{text}")).expect("a file");
    // Before the first import, no text of this form costs a query.
    server.get_as("/v1/users/me", &keys[0]).await.status(401);
    let feed = database(&here).column("SELECT seq FROM feed").await[0].parse::<i64>().expect("a number");
    let mut child = start(&here);
    let mut tokens = 0;
    while tokens == 0 || child.try_wait().expect("a child").is_none() {
        // Writes of the server are answered meanwhile.
        let (_, token) = here.key("bob@example.com");
        server.get_as("/v1/users/me", &token).await.status(200);
        server.client_token(&api).await;
        tokens += 1;
    }
    let noticed = async || (server.get_as("/v1/users/me", &keys[0]).await.status == 200).then_some(());
    wait::until("an imported key", noticed).await;
    for key in keys.iter().step_by(300) {
        server.get_as("/v1/users/me", key).await.status(200);
    }
    // The feed has the first imported key, and none after it.
    let after = database(&here).column("SELECT seq FROM feed").await[0].parse::<i64>().expect("a number");
    assert_eq!(after - feed, 1 + tokens, "one change for the import, one for each key created meanwhile");
}

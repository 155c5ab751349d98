//! Owns tests of failures of the embedded database: it is locked, the disk is full.

use std::time::Duration;

use rlimit::Resource;
use rusqlite::Connection;

use super::{Case, GIVES_UP_AFTER};
use crate::harness::{Installation, wait};

#[tokio::test]
async fn locked_database_refuses_writes_but_not_reads() {
    // THREATS: ST3
    let mut here = Installation::new();
    here.set("GRANTD_LIMITS__DATABASE_SECONDS", GIVES_UP_AFTER);
    let case = Case::new(&here).await;
    let other = Connection::open(here.path("grantd.db")).expect("a connection");
    other.busy_timeout(wait::PATIENCE).expect("a wait");
    other.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    case.assert_no_writes().await;
    // Reads continue, so this is a correct response.
    case.server.introspect(&case.api, &case.key).await.active();
    case.server.introspect(&case.api, "gd_live_unknown").await.inactive();
    // The writer still waits for the lock; its next transaction is one that no request waits for any more.
    other.execute_batch("ROLLBACK").expect("unlocked");
    case.assert_recovers().await;
}

#[tokio::test]
async fn brief_locks_are_waited_for() {
    let here = Installation::new();
    let case = Case::new(&here).await;
    let other = Connection::open(here.path("grantd.db")).expect("a connection");
    other.busy_timeout(wait::PATIENCE).expect("a wait");
    other.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let release = async {
        wait::at_least(Duration::from_secs(1)).await;
        other.execute_batch("ROLLBACK").expect("unlocked");
    };
    let (exchanged, ()) = tokio::join!(case.server.try_exchange(&case.client, &case.code), release);
    exchanged.expect("a reply").status(200);
}

#[tokio::test]
async fn full_disk_refuses_writes_but_not_reads() {
    // THREATS: ST2
    let mut here = Installation::new();
    // A write beyond the limit is then an error, as on a full disk, and does not end the process.
    here.before_serving = "trap '' XFSZ;";
    let case = Case::new(&here).await;
    let limit_file_size = |bytes: u64| {
        let pid = i32::try_from(case.server.pid()).expect("a pid");
        rlimit::prlimit(pid, Resource::FSIZE, Some((bytes, rlimit::INFINITY)), None).expect("a limit");
    };
    limit_file_size(1024);
    for _ in 0..3 {
        case.assert_no_writes().await;
        case.server.introspect(&case.api, &case.key).await.active();
        case.server.introspect(&case.api, "gd_live_unknown").await.inactive();
    }
    limit_file_size(rlimit::INFINITY);
    case.assert_recovers().await;
}

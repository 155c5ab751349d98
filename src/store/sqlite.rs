//! Owns the embedded engine: one writer thread with group commit, and readers in parallel.
//!
//! rusqlite runs statements on the calling thread: sqlx passes each to a worker thread, which costs more than the
//! statement. The writer commits all jobs queued during the last fsync, each in its own savepoint.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{
    bounds::{Bounds, MARGIN},
    error::Error,
    meter::{Connections, Meter, StoreMeter},
    row::{Bind, Row},
    statement,
    tx::{Handle, Tx},
};
use crate::cache::{Entity, Freshness};

/// Most jobs waiting for the writer; further ones are refused with 503.
const QUEUE_MAX: usize = 1024;
/// Most jobs in one commit.
const BATCH_MAX: usize = 256;
const READERS: usize = 4;
const STATEMENTS: usize = 128;
/// Second half of a job: called with the result of the commit.
pub(super) type Ack = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// First half of a job: runs inside the transaction. `Err` rolls the job back.
pub(super) type Job = Box<dyn FnOnce(&mut Tx) -> (Result<(), ()>, Ack) + Send>;

/// A request to the writer.
enum Work {
    Job(Job),
    /// Copies the write-ahead log into the database's file.
    Checkpoint(oneshot::Sender<Result<(), Error>>),
}

#[derive(Debug)]
pub(super) struct Sqlite {
    /// `None` on a read-only database, and while this is dropped.
    queue: Option<mpsc::Sender<Work>>,
    readers: Vec<Mutex<Connection>>,
    writer: Option<JoinHandle<()>>,
    next: AtomicUsize,
    path: PathBuf,
    wait: Duration,
}

impl Drop for Sqlite {
    /// Waits for the writer to finish and close. The last connection to close checkpoints and removes the write-ahead
    /// log, if it may write. So the readers are closed first, and one complete file remains.
    fn drop(&mut self) {
        self.readers.clear();
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // It may have panicked; nothing can be done about it here.
            drop(writer.join());
        }
    }
}

impl Sqlite {
    /// Opens the file, creates it if needed (readable by its owner only), and starts the writer. `migrate` runs in one
    /// transaction, with no concurrent writes.
    pub(super) fn open(
        path: &Path,
        bounds: Bounds,
        migrate: impl FnOnce(&Connection) -> Result<(), Error>,
        freshness: Arc<Freshness>,
        meter: Meter,
    ) -> Result<Self, Error> {
        let unavailable =
            |what: &str, error: std::io::Error| Error::Setup(format!("{what} {}: {error}", path.display()));
        // A dangling symlink is not followed: its target may belong to another user.
        match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => OpenOptions::new().append(true).open(path),
            created => created,
        }
        .map_err(|error| unavailable("cannot open", error))?;
        // A statement waits for another writing process, such as the command line, longer than its caller waits.
        let bounds = Bounds { wait: bounds.wait + MARGIN, ..bounds };
        let mut writer = connect(path, bounds, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        // Each changed page is recorded for savepoint rollback: in memory, not in a file.
        writer.pragma_update(None, "temp_store", "MEMORY")?;
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        migrate(&tx)?;
        tx.commit()?;
        let readers = (0..READERS)
            .map(|_| connect(path, bounds, OpenFlags::SQLITE_OPEN_READ_ONLY).map(Mutex::new))
            .collect::<Result<_, _>>()?;
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(Tx::new(Handle::Sqlite(Box::new(writer))), jobs, &freshness, &meter))
            .map_err(|error| unavailable("cannot start the writer of", error))?;
        let (queue, writer) = (Some(queue), Some(writer));
        Ok(Self { queue, readers, writer, next: AtomicUsize::new(0), path: path.to_owned(), wait: bounds.wait })
    }

    /// Opens an existing file for reading only. If this is the last connection, closing it still checkpoints the log.
    pub(super) fn look(path: &Path, bounds: Bounds) -> Result<Self, Error> {
        let reader = connect(path, bounds, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        reader.pragma_update(None, "query_only", true)?;
        // Without a queue, nothing can be written.
        let (readers, next) = (vec![Mutex::new(reader)], AtomicUsize::new(0));
        Ok(Self { queue: None, readers, writer: None, next, path: path.to_owned(), wait: bounds.wait })
    }

    /// Queues a job for the writer.
    pub(super) fn submit(&self, job: Job) -> Result<(), Error> {
        self.ask(Work::Job(job))
    }

    /// Copies the write-ahead log into the database's file; does not wait for readers.
    pub(super) async fn checkpoint(&self) -> Result<(), Error> {
        let (done, told) = oneshot::channel();
        self.ask(Work::Checkpoint(done))?;
        told.await.map_err(|_| Error::Unavailable("the writer has ended".to_owned()))?
    }

    fn ask(&self, work: Work) -> Result<(), Error> {
        let full = || Error::Unavailable("the write queue is full".to_owned());
        self.queue.as_ref().ok_or_else(full)?.try_send(work).map_err(|_| full())
    }

    /// Reads rows on the calling thread. Every statement here is an indexed look-up or a bounded page.
    pub(super) fn rows(&self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, Error> {
        statement::rows(&self.reader(), sql, binds)
    }

    /// Jobs waiting for the writer or being written.
    fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Current connections: the readers and the writer.
    pub(super) fn connections(&self) -> Connections {
        let is_free = |reader: &&Mutex<Connection>| !matches!(reader.try_lock(), Err(TryLockError::WouldBlock));
        let (idle, most) = (self.readers.iter().filter(is_free).count(), self.readers.len() + 1);
        let writing = usize::from(self.queued() > 0);
        Connections { busy: self.readers.len() - idle + writing, idle: idle + 1 - writing, most }
    }

    /// Copies the whole database to `target` while it is in use.
    pub(super) fn backup(&self, target: &Path) -> Result<(), Error> {
        let name = target.display();
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(target).map_err(|error| {
            Error::Setup(match error.kind() {
                ErrorKind::AlreadyExists => format!("{name} already exists; choose a new file"),
                _ => format!("cannot create {name}: {error}"),
            })
        })?;
        let copied = self.copy(target);
        copied.map_err(|error| {
            // An incomplete copy is useless. Failing to remove it changes nothing.
            drop(std::fs::remove_file(target));
            Error::Setup(format!("cannot write the backup {name}: {error}"))
        })
    }

    fn copy(&self, target: &Path) -> Result<(), rusqlite::Error> {
        let source = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        source.busy_timeout(self.wait)?;
        let mut copy = Connection::open(target)?;
        rusqlite::backup::Backup::new(&source, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        for at in 0..self.readers.len() {
            match self.readers[(start + at) % self.readers.len()].try_lock() {
                Ok(reader) => return reader,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.readers[start % self.readers.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path, bounds: Bounds, access: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(bounds.wait)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Pages are not memory-mapped: each connection would map the same page again, and each mapping counts as resident.
    // The writer gets half: its changes touch every index, and each commit empties the readers' caches anyway.
    let is_writer = access.contains(OpenFlags::SQLITE_OPEN_READ_WRITE);
    let share = bounds.page_cache / if is_writer { 2 } else { 2 * READERS };
    connection.pragma_update(None, "cache_size", -i64::try_from(share / 1024).unwrap_or(i64::MAX))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn run(mut tx: Tx, mut work: mpsc::Receiver<Work>, freshness: &Freshness, meter: &StoreMeter) {
    let mut acks: Vec<Ack> = Vec::with_capacity(BATCH_MAX);
    // Writes from before this start may still be only in the log.
    let mut is_logged = true;
    while let Some(first) = work.blocking_recv() {
        let (first, mut asked) = match first {
            Work::Job(job) => (job, None),
            Work::Checkpoint(done) => {
                checkpoint(&mut tx, &mut is_logged, done);
                continue;
            }
        };
        let mut begun = tx.statement("BEGIN IMMEDIATE");
        let mut changes = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            begun = begun.and_then(|()| tx.statement("SAVEPOINT job"));
            if begun.is_ok() {
                acks.push(run_one(&mut tx, job, &mut changes));
                // A full disk or a failed write ends the whole transaction: later jobs must not run outside it.
                if tx.has_ended() {
                    begun = Err(Error::Unavailable("the database gave the transaction up".to_owned()));
                }
            } else {
                // The closure owns the sender to the caller: dropping it reports that nothing happened.
                drop(job);
            }
            if acks.len() < BATCH_MAX {
                match work.try_recv() {
                    Ok(Work::Job(job)) => next = Some(job),
                    Ok(Work::Checkpoint(done)) => asked = Some(done),
                    Err(_) => {}
                }
            }
        }
        let committing = Instant::now();
        let committed = begun.and_then(|()| tx.statement("COMMIT"));
        meter.commit.done(committing, &committed);
        match &committed {
            Ok(()) => freshness.apply(changes),
            // A failed COMMIT may leave the transaction open; a failed rollback cannot be handled.
            Err(_) => drop(tx.statement("ROLLBACK")),
        }
        for ack in acks.drain(..) {
            ack(committed.as_ref().map(|&()| ()).map_err(|error| Error::Unavailable(error.to_string())));
        }
        is_logged = true;
        if let Some(done) = asked {
            checkpoint(&mut tx, &mut is_logged, done);
        }
    }
}

/// Runs only if something was written since the last checkpoint: an idle server does not touch the disk.
fn checkpoint(tx: &mut Tx, is_logged: &mut bool, done: oneshot::Sender<Result<(), Error>>) {
    let copied = if *is_logged { tx.checkpoint() } else { Ok(()) };
    *is_logged = copied.is_err();
    // The caller may have timed out.
    drop(done.send(copied));
}

/// Runs a job inside its savepoint, then releases the savepoint or rolls it back.
fn run_one(tx: &mut Tx, job: Job, changes: &mut Vec<Entity>) -> Ack {
    let (outcome, ack) = job(tx);
    let kept = outcome.is_ok();
    let end = if kept {
        tx.statement("RELEASE job")
    } else {
        tx.statement("ROLLBACK TO job").and_then(|()| tx.statement("RELEASE job"))
    };
    let made = tx.take_changes();
    match end {
        Ok(()) => {
            changes.extend(made.into_iter().filter(|_| kept));
            ack
        }
        Err(error) => Box::new(move |_| ack(Err(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_synced_before_they_are_acknowledged() {
        // THREATS: ST5
        let folder = tempfile::tempdir().expect("a directory");
        let sqlite =
            Sqlite::open(&folder.path().join("a.db"), Bounds::default(), |_| Ok(()), Arc::default(), Meter::default())
                .expect("opened");
        let (done, told) = std::sync::mpsc::channel();
        let job: Job = Box::new(move |tx| {
            let read = async {
                (tx.one::<i64>("PRAGMA synchronous", &[]).await, tx.one::<String>("PRAGMA journal_mode", &[]).await)
            };
            let found = super::super::tx::run_ready(Box::pin(async { Ok(read.await) })).expect("ready");
            done.send((found.0.expect("a number"), found.1.expect("a word"))).expect("sent");
            (Ok(()), Box::new(drop))
        });
        sqlite.submit(job).expect("queued");
        // 2 is FULL: the log is flushed with each commit.
        assert_eq!(told.recv().expect("an answer"), (2, "wal".to_owned()));
    }
}

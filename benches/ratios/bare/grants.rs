//! Owns what the bare server stores on disk: codes and refresh tokens, in one group-committed SQLite
//! transaction each (WAL, synchronous=FULL), with PKCE, reuse detection per family and an ID token.
//! HTTP is in `bare`.

use std::{
    io::Write,
    path::Path,
    sync::{Arc, mpsc},
};

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use data_encoding::BASE64URL_NOPAD;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::{Bare, Form, Hash, Issued, mint, now, random, random_bytes, refuse, sha256};
use crate::Fallible;

const GROUP: usize = 256;
const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE code(hash BLOB PRIMARY KEY, client_id TEXT NOT NULL, redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL,
  sub TEXT NOT NULL, scope TEXT NOT NULL, nonce TEXT NOT NULL, exp INTEGER NOT NULL, used INTEGER) WITHOUT ROWID;
CREATE TABLE refresh(hash BLOB PRIMARY KEY, family BLOB NOT NULL, client_id TEXT NOT NULL, sub TEXT NOT NULL,
  scope TEXT NOT NULL, exp INTEGER NOT NULL, used INTEGER) WITHOUT ROWID;
CREATE TABLE family(id BLOB PRIMARY KEY, revoked INTEGER) WITHOUT ROWID;
";

type Acknowledgement = Box<dyn FnOnce() + Send>;
type Job = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Acknowledgement> + Send>;

/// One thread that commits all waiting work in one transaction.
pub(super) struct Writer(mpsc::Sender<Job>);

impl Writer {
    pub(super) fn start(file: &Path) -> Fallible<Self> {
        let (sender, jobs) = mpsc::channel();
        let connection = Connection::open(file)?;
        connection.execute_batch(SCHEMA)?;
        std::thread::spawn(move || {
            if let Err(error) = commit_groups(&connection, &jobs) {
                // The requests waiting for it are refused as their channels close.
                let _ = writeln!(std::io::stderr(), "bare writer: {error}");
            }
        });
        Ok(Self(sender))
    }

    /// Runs the work in the next transaction and answers once it is on disk.
    async fn run<T, F>(&self, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let value = work(connection)?;
            Ok(Box::new(move || drop(done.send(value))))
        });
        self.0.send(job).ok()?;
        answer.await.ok()
    }
}

fn commit_groups(connection: &Connection, jobs: &mpsc::Receiver<Job>) -> rusqlite::Result<()> {
    let mut acknowledgements = Vec::with_capacity(GROUP);
    while let Ok(first) = jobs.recv() {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut next = Some(first);
        while let Some(job) = next.take() {
            acknowledgements.push(job(connection)?);
            if acknowledgements.len() < GROUP {
                next = jobs.try_recv().ok();
            }
        }
        connection.execute_batch("COMMIT")?;
        acknowledgements.drain(..).for_each(|acknowledge| acknowledge());
    }
    Ok(())
}

/// Uses a refresh token up and stores its successor; a second use revokes the family.
pub(super) async fn rotate(bare: &Bare, client: &str, form: &Form<'_>) -> Option<Issued> {
    let (successor, now) = (random(), now() as i64);
    let (old, new) = (sha256(form.get("refresh_token")?), sha256(&successor));
    let granted = bare.writer.run(move |db| {
        let found = db
            .prepare_cached(
                "SELECT r.family, r.client_id, r.sub, r.scope, r.used FROM refresh r JOIN family f ON f.id = r.family
                 WHERE r.hash = ?1 AND r.exp > ?2 AND f.revoked IS NULL",
            )?
            .query_row(params![old, now], |row| {
                let (family, client_id, sub): (Hash, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((family, client_id, sub, row.get::<_, String>(3)?, row.get::<_, Option<i64>>(4)?.is_some()))
            })
            .optional()?;
        let Some((family, client_id, sub, scope, is_used)) = found else { return Ok(None) };
        if is_used {
            db.prepare_cached("UPDATE family SET revoked = ?2 WHERE id = ?1")?.execute(params![family, now])?;
            return Ok(None);
        }
        db.prepare_cached("UPDATE refresh SET used = ?2 WHERE hash = ?1")?.execute(params![old, now])?;
        db.prepare_cached("INSERT INTO refresh VALUES(?1, ?2, ?3, ?4, ?5, ?6, NULL)")?.execute(params![
            new,
            family,
            client_id,
            sub,
            scope,
            now + 86_400
        ])?;
        Ok(Some((sub, scope)))
    });
    let (sub, scope) = granted.await??;
    Some(Issued { refresh_token: Some(successor), ..mint(bare, client, &sub, &scope)? })
}

struct Code {
    client_id: String,
    redirect_uri: String,
    challenge: String,
    sub: String,
    scope: String,
    nonce: String,
}

/// Uses the code up and stores the first refresh token of its family.
pub(super) async fn redeem(bare: &Bare, client: &str, form: &Form<'_>) -> Option<Issued> {
    let (first, family, now) = (random(), random_bytes::<32>(), now() as i64);
    let (hash, refresh) = (sha256(form.get("code")?), sha256(&first));
    let redeemed = bare.writer.run(move |db| {
        let code = db
            .prepare_cached(
                "UPDATE code SET used = ?2 WHERE hash = ?1 AND used IS NULL AND exp > ?2
                 RETURNING client_id, redirect_uri, challenge, sub, scope, nonce",
            )?
            .query_row(params![hash, now], |row| {
                let (client_id, redirect_uri, challenge) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Code {
                    client_id,
                    redirect_uri,
                    challenge,
                    sub: row.get(3)?,
                    scope: row.get(4)?,
                    nonce: row.get(5)?,
                })
            })
            .optional()?;
        let Some(code) = code else { return Ok(None) };
        db.prepare_cached("INSERT INTO family VALUES(?1, NULL)")?.execute(params![family])?;
        db.prepare_cached("INSERT INTO refresh VALUES(?1, ?2, ?3, ?4, ?5, ?6, NULL)")?.execute(params![
            refresh,
            family,
            code.client_id,
            code.sub,
            code.scope,
            now + 86_400
        ])?;
        Ok(Some(code))
    });
    let code = redeemed.await??;
    let is_its_own = code.client_id == client
        && form.get("redirect_uri") == Some(&code.redirect_uri)
        && BASE64URL_NOPAD.encode(&sha256(form.get("code_verifier")?)) == code.challenge;
    let issued = mint(bare, client, &code.sub, &code.scope).filter(|_| is_its_own)?;
    Some(Issued { refresh_token: Some(first), id_token: bare.sign(&code.sub, client, &code.nonce), ..issued })
}

pub(super) async fn authorize(
    State(bare): State<Arc<Bare>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let cookie = headers.get(header::COOKIE).and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
    let session = cookie.split("; ").find_map(|pair| pair.strip_prefix("session="));
    let Some(sub) = session.and_then(|session| bare.sessions.get(session)) else {
        return refuse(StatusCode::UNAUTHORIZED, "login_required");
    };
    let query = query.unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let field = |name| form.get(name).unwrap_or_default().to_owned();
    let is_valid = form.get("response_type") == Some("code")
        && form.get("code_challenge_method") == Some("S256")
        && form.get("client_id").is_some_and(|id| bare.clients.contains_key(id));
    if !is_valid {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let (value, sub, expires) = (random(), sub.clone(), now() as i64 + 60);
    let (client_id, redirect_uri, challenge) = (field("client_id"), field("redirect_uri"), field("code_challenge"));
    let (scope, nonce, state) = (field("scope"), field("nonce"), field("state"));
    let location = format!("{redirect_uri}?code={value}&state={state}&iss=http%3A%2F%2F127.0.0.1%3A9100");
    let hash = sha256(&value);
    let inserted = bare.writer.run(move |db| {
        db.prepare_cached("INSERT INTO code VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)")?.execute(params![
            hash,
            client_id,
            redirect_uri,
            challenge,
            sub,
            scope,
            nonce,
            expires
        ])
    });
    let (Some(_), Ok(location)) = (inserted.await, HeaderValue::try_from(location)) else {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error");
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

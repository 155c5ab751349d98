//! Owns the `returns` table: the page that a browser requested before sign-in. Does not decide which pages are stored;
//! see `http::login_redirect`.

use super::{
    Error, Store,
    row::{binds, column},
    tx::transaction,
};
use crate::model::{clock::Timestamp, secret::Digest, words};

/// Why a page redirected to the sign-in page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginReason {
    /// There was no session.
    NoSession,
    /// The session had ended.
    Ended,
    /// A form was submitted after the session had ended; it was not processed.
    Form,
}

words!(LoginReason { NoSession => "asked", Ended => "ended", Form => "form" });

column!(LoginReason, LoginReason::parse, "a return");

impl Store {
    /// Stores the page to return this browser to, replacing any earlier one.
    pub async fn set_return_path(
        &self,
        now: Timestamp,
        browser: Digest,
        path: String,
        why: LoginReason,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        transaction!(self, now, |tx| {
            tx.execute(
                "INSERT INTO returns (browser, path, why, expires_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (browser) DO UPDATE SET path = excluded.path, why = excluded.why,
                 expires_at = excluded.expires_at",
                binds![&browser.text(), &path, why.as_str(), expires_at],
            )
            .await
            .map(drop)
        })
    }

    /// Why this browser must sign in, if it was redirected from a page.
    pub async fn login_reason(&self, now: Timestamp, browser: &Digest) -> Result<Option<LoginReason>, Error> {
        let sql = "SELECT why FROM returns WHERE browser = $1 AND expires_at > $2";
        self.find(sql, binds![&browser.text(), now]).await
    }

    /// Returns and deletes the page to return to.
    pub async fn take_return_path(
        &self,
        now: Timestamp,
        browser: Digest,
    ) -> Result<Option<(String, LoginReason)>, Error> {
        transaction!(self, now, |tx| {
            let sql = "DELETE FROM returns WHERE browser = $1 RETURNING path, why, expires_at";
            let kept: Option<(String, LoginReason, Timestamp)> = tx.find(sql, binds![&browser.text()]).await?;
            Ok(kept.filter(|(_, _, ends)| *ends > now).map(|(path, why, _)| (path, why)))
        })
    }
}

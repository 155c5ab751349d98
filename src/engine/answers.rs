//! Owns answers that are given again to whoever repeats a request (`Idempotency-Key`), and the cursors of lists. An answer may
//! hold a key that is shown once, so it is kept sealed; a cursor is authenticated, so that nobody else's text is one.

use aws_lc_rs::{constant_time, hmac};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::master::{MasterKey, Purpose};
use crate::{
    model::{clock::Timestamp, error::Error, secret::Digest},
    store::{KeptAnswer, Position, Store},
};

/// How long an answer is given again, in seconds.
const KEPT_SECONDS: i64 = 86_400;
const TAG_BYTES: usize = 16;
/// Longest cursor read, in bytes.
const CURSOR_MAX: usize = 256;

/// Who asks for what, under a name of their own.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The credential that asks.
    pub actor: String,
    /// The `Idempotency-Key`.
    pub name: String,
    /// Digest of the request.
    pub request: Digest,
}

/// What was answered before.
#[derive(Debug)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// Another request under the same name.
    Another,
    /// This: status and body.
    This(u16, Zeroizing<Vec<u8>>),
}

/// Seals and opens answers, and makes cursors.
#[derive(Debug)]
pub struct Answers {
    master: MasterKey,
    cursors: hmac::Key,
}

impl Answers {
    /// Under subkeys of their own.
    ///
    /// # Errors
    /// `server_error` when the cryptographic library refuses.
    pub fn new(master: MasterKey) -> Result<Self, Error> {
        Ok(Self { cursors: master.mac(Purpose::Cursors)?, master })
    }

    /// What was answered to this request before.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub async fn before(&self, store: &Store, now: Timestamp, asked: &Asked) -> Result<Before, Error> {
        let Some(kept) = store.kept_answer(now, &asked.actor, &asked.name).await? else { return Ok(Before::Nothing) };
        if kept.request != asked.request.text() {
            return Ok(Before::Another);
        }
        let body = self.master.open(Purpose::Answers, &context(asked), &kept.sealed)?;
        Ok(Before::This(kept.status, body))
    }

    /// An answer to keep.
    ///
    /// # Errors
    /// `server_error` when the cryptographic library refuses.
    pub fn keep(&self, now: Timestamp, asked: &Asked, status: u16, body: &[u8]) -> Result<KeptAnswer, Error> {
        Ok(KeptAnswer {
            actor: asked.actor.clone(),
            name: asked.name.clone(),
            request: asked.request.text(),
            status,
            sealed: self.master.seal(Purpose::Answers, &context(asked), body)?,
            expires_at: now.plus_seconds(KEPT_SECONDS),
        })
    }

    /// The cursor of a place in the list called `list`.
    #[must_use]
    pub fn cursor(&self, list: &str, place: &Position) -> String {
        let place = format!("{} {}", place.at.0, place.id);
        let mut bytes = self.tag(list, &place);
        bytes.extend_from_slice(place.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The place that a cursor of this list stands for; nothing if it is none.
    #[must_use]
    pub fn place(&self, list: &str, cursor: &str) -> Option<Position> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok().filter(|_| cursor.len() <= CURSOR_MAX)?;
        let (tag, place) = bytes.split_at_checked(TAG_BYTES)?;
        let place = std::str::from_utf8(place).ok()?;
        constant_time::verify_slices_are_equal(tag, &self.tag(list, place)).ok()?;
        let (at, id) = place.split_once(' ')?;
        Some(Position { at: Timestamp(at.parse().ok()?), id: id.to_owned() })
    }

    fn tag(&self, list: &str, place: &str) -> Vec<u8> {
        hmac::sign(&self.cursors, format!("{list} {place}").as_bytes()).as_ref()[..TAG_BYTES].to_vec()
    }
}

/// What an answer is bound to: it opens for the same request alone.
fn context(asked: &Asked) -> String {
    format!("{} {} {}", asked.actor, asked.request.text(), asked.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_its_own_list_and_nobody_elses_text_is_one() {
        // THREATS: HX11
        let answers = Answers::new(MasterKey::generate()).expect("answers");
        let place = Position { at: Timestamp(7), id: "key_1".to_owned() };
        let cursor = answers.cursor("keys", &place);
        assert_eq!(answers.place("keys", &cursor), Some(place));
        assert_eq!(answers.place("projects", &cursor), None);
        assert_eq!(Answers::new(MasterKey::generate()).expect("answers").place("keys", &cursor), None);
        for bad in ["", "AAAA", "' OR 1=1 --", &cursor[1..], &format!("{cursor}A"), &"A".repeat(10_000)] {
            assert_eq!(answers.place("keys", bad), None, "{bad}");
        }
    }
}

//! Owns the cursors of lists. A cursor is authenticated, so text from elsewhere is not accepted.

use aws_lc_rs::{constant_time, hmac};
use data_encoding::BASE64URL_NOPAD;

use super::master::{MasterKey, Purpose};
use crate::{
    model::{clock::Timestamp, error::Error},
    store::Position,
};

const TAG_BYTES: usize = 16;
/// Longest cursor accepted, in bytes.
const CURSOR_MAX: usize = 256;

/// Creates and reads cursors.
#[derive(Debug)]
pub struct Cursors {
    key: hmac::Key,
}

impl Cursors {
    /// Uses a subkey of its own.
    pub fn new(master: &MasterKey) -> Result<Self, Error> {
        Ok(Self { key: master.mac(Purpose::Cursors)? })
    }

    /// The cursor of a position in the list called `list`.
    #[must_use]
    pub fn cursor(&self, list: &str, place: &Position) -> String {
        let place = format!("{} {}", place.at.0, place.id);
        let mut bytes = self.tag(list, &place);
        bytes.extend_from_slice(place.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The position of a cursor of this list; `None` if the cursor is invalid.
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
        hmac::sign(&self.key, format!("{list} {place}").as_bytes()).as_ref()[..TAG_BYTES].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_bound_to_their_list_and_cannot_be_forged() {
        // THREATS: HX11
        let cursors = Cursors::new(&MasterKey::generate()).expect("cursors");
        let place = Position { at: Timestamp(7), id: "key_1".to_owned() };
        let cursor = cursors.cursor("keys", &place);
        assert_eq!(cursors.place("keys", &cursor), Some(place));
        assert_eq!(cursors.place("projects", &cursor), None);
        assert_eq!(Cursors::new(&MasterKey::generate()).expect("cursors").place("keys", &cursor), None);
        for bad in ["", "AAAA", "' OR 1=1 --", &cursor[1..], &format!("{cursor}A"), &"A".repeat(10_000)] {
            assert_eq!(cursors.place("keys", bad), None, "{bad}");
        }
    }
}

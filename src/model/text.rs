//! Owns words that people write and others read: names. Does not escape; templates do that.

use super::error::Error;

/// Longest name, in characters.
const NAME_MAX: usize = 100;

/// A trimmed name, if others can be shown it safely: no control, bidirectional-override or zero-width characters.
///
/// # Errors
/// `invalid_request` naming `what`.
pub fn name(what: &'static str, text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > NAME_MAX {
        return Err(Error::invalid_request(format!("{what} has 1 to {NAME_MAX} characters")));
    }
    if text.chars().any(deceives) {
        return Err(Error::invalid_request(format!("{what} has control, zero-width or direction-changing characters")));
    }
    Ok(text.to_owned())
}

fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00AD}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_deceive_are_refused() {
        // THREATS: SE4
        for bad in ["", "  ", "a\u{202E}b", "a\u{200B}b", "a\nb", "\u{FEFF}", &"x".repeat(101)] {
            assert!(name("name", bad).is_err(), "{bad:?}");
        }
        assert_eq!(name("name", "  Zoë’s app 🚀 ").expect("name"), "Zoë’s app 🚀");
    }
}

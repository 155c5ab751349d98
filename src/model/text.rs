//! Owns names, which one user writes and others read. Does not escape them; templates do.

use super::error::Error;

/// Longest name, in characters.
pub const NAME_MAX: usize = 100;

macro_rules! deceiving {
    () => {
        r"\u0000-\u001F\u007F-\u009F\u00AD\u061C\u115F\u1160\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB\u{E0000}-\u{E007F}"
    };
}

/// The pattern of [`name`], apart from its length: something other than spaces, and no deceptive characters.
pub const NAME_PATTERN: &str = concat!(
    "^[^",
    deceiving!(),
    "]*[^",
    deceiving!(),
    r"\u0020\u00A0\u1680\u2000-\u200A\u202F\u205F\u3000][^",
    deceiving!(),
    "]*$"
);

/// A trimmed name that is safe to show to others: no control, bidirectional-override or zero-width characters.
///
/// # Errors
/// `invalid_request` naming `what`.
pub fn name(what: &'static str, text: &str) -> Result<String, Error> {
    if text.trim().is_empty() || text.chars().count() > NAME_MAX {
        return Err(Error::invalid_request(format!("{what} must have 1 to {NAME_MAX} characters")));
    }
    if text.chars().any(deceives) {
        return Err(Error::invalid_request(format!(
            "{what} must not contain control, zero-width or direction-changing characters"
        )));
    }
    Ok(text.trim().to_owned())
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
    fn name_pattern_matches_the_check() {
        let schema = jsonschema::validator_for(&serde_json::json!({ "pattern": NAME_PATTERN })).expect("a schema");
        let planes = [0..0x3300, 0xF000..0x1_0000, 0xD_FFF0..0xE_0100];
        for c in planes.into_iter().flatten().filter_map(char::from_u32) {
            for text in [c.to_string(), format!("a{c}"), format!("{c}a"), format!(" {c} ")] {
                assert_eq!(schema.is_valid(&text.clone().into()), name("a name", &text).is_ok(), "{text:?}");
            }
        }
    }

    #[test]
    fn deceptive_names_are_refused() {
        // THREATS: SE4
        for bad in ["", "  ", "a\u{202E}b", "a\u{200B}b", "a\nb", "\u{FEFF}", &"x".repeat(101)] {
            assert!(name("name", bad).is_err(), "{bad:?}");
        }
        assert!(name("name", "a\n").is_err());
        assert_eq!(name("name", "  Zoë’s app 🚀 ").expect("name"), "Zoë’s app 🚀");
    }
}

//! Owns the rules for new passwords (NIST SP 800-63B-4 §3.1.1.2): long enough, and not one that attackers try first.
//! Does not hash, and does not apply at sign-in: existing passwords stay valid.

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use crate::model::error::Error;

/// Shortest password, in Unicode code points after NFC, given that it is the only factor.
pub const LENGTH_MIN: usize = 15;
/// Longest password, in Unicode code points after NFC.
pub const LENGTH_MAX: usize = 128;
/// A password that fewer than ten to the power of this many guesses would find is refused. This refuses two listed
/// words in a row, but not three unrelated ones.
const GUESSES_LOG10_MIN: f64 = 9.0;
/// Longest and shortest names of the user and the server that are searched for, in characters.
const OWN_MAX: usize = 100;
const OWN_MIN: usize = 3;

/// A new password that was accepted, in the form in which it is hashed.
pub struct NewPassword(pub(super) SecretString);

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword(REDACTED)")
    }
}

/// What an attacker may know about the user and the server. None of it makes a password stronger.
#[derive(Clone, Copy, Debug)]
pub struct PasswordOwner<'a> {
    /// The deployment's issuer.
    pub issuer: &'a str,
    /// The e-mail address for sign-in.
    pub email: &'a str,
    /// The display name.
    pub name: &'a str,
}

impl NewPassword {
    /// Checks a password that a user chose.
    ///
    /// # Errors
    /// `invalid_request`, saying what would be valid.
    pub fn accept(chosen: &SecretString, whose: PasswordOwner<'_>) -> Result<Self, Error> {
        let text = normal(chosen.expose_secret());
        let length = text.chars().count();
        if length < LENGTH_MIN {
            return Err(Error::invalid_request(format!(
                "the password must have at least {LENGTH_MIN} characters; a few unrelated words make a good one"
            )));
        }
        if length > LENGTH_MAX {
            return Err(Error::invalid_request(format!("the password must have at most {LENGTH_MAX} characters")));
        }
        if guesses_log10(&text, &own_words(whose)) < GUESSES_LOG10_MIN {
            return Err(Error::invalid_request(
                "this password is easy to guess: it is common, repeats itself, or comes from your name, your address or \
                 this server's; choose a few unrelated words",
            ));
        }
        Ok(Self(SecretString::from(text)))
    }
}

/// The number of guesses needed to find a text, as a power of ten. Hyphens and spaces between words add nothing.
fn guesses_log10(text: &str, own: &[String]) -> f64 {
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let guesses = |text: &str| zxcvbn::zxcvbn(text, &own).guesses_log10();
    let bare: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    // With more punctuation than this, it is not a sequence of words.
    let is_words = bare.chars().count() * 4 >= text.chars().count() * 3;
    if is_words { guesses(text).min(guesses(&bare)) } else { guesses(text) }
}

/// The normal form (NFC) of a text that keyboards and systems encode in several ways.
pub(super) fn normal(text: &str) -> String {
    text.nfc().collect()
}

/// Each name as it is, without its punctuation, and split into parts.
fn own_words(whose: PasswordOwner<'_>) -> Vec<String> {
    let host = whose.issuer.split_once("://").map_or(whose.issuer, |(_, rest)| rest);
    let mut words = vec!["grantd".to_owned()];
    for name in [host, whose.email, whose.name] {
        let name: String = name.chars().take(OWN_MAX).collect();
        words.extend(name.split(|c: char| !c.is_alphanumeric()).map(ToOwned::to_owned));
        words.push(name.chars().filter(|c| c.is_alphanumeric()).collect());
        words.push(name);
    }
    words.retain(|word| word.chars().count() >= OWN_MIN);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: PasswordOwner<'_> = PasswordOwner {
        issuer: "https://auth.vessels.example",
        email: "ada.lovelace@harbor.example",
        name: "Ada Lovelace",
    };

    fn accept(text: &str) -> Result<String, String> {
        let accepted = NewPassword::accept(&SecretString::from(text), ADA);
        accepted.map(|new| new.0.expose_secret().to_owned()).map_err(|error| error.description.into_owned())
    }

    #[test]
    fn password_length_is_counted_in_normalized_code_points() {
        // THREATS: SE9
        assert_eq!(accept("xk9vtq2lmpz8rwy").expect("15 characters").chars().count(), 15);
        assert!(accept("xk9vtq2lmpz8rw").expect_err("14 characters").contains("at least 15 characters"));
        // Fourteen letters, one of them written as two code points.
        assert!(accept("gru\u{308}nes Pferd x").expect_err("14 characters").contains("at least 15"));
        let long = "kestrel quarry mitten ".repeat(6);
        assert_eq!(long.chars().count(), 132);
        assert!(accept(&long).expect_err("132 characters").contains("at most 128"));
        let most: String = long.chars().take(128).collect();
        assert_eq!(accept(&most).expect("128 characters"), most, "nothing is cut");
        assert_eq!(accept("gru\u{308}nes Pferd Batterie").expect("long enough"), "gr\u{fc}nes Pferd Batterie");
        assert!(accept("лошадь батарея скрепка").is_ok() && accept("馬が正しい電池のホチキスを噛んだよ").is_ok());
    }

    #[test]
    fn common_passwords_are_refused() {
        // THREATS: SE9
        for guessed in [
            "passwordpassword",
            "Password12345678!",
            "passw0rd passw0rd",
            "P@ssw0rdP@ssw0rd",
            "123456789012345",
            "1234567890123456789012345",
            "aaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabc",
            "abcdefghijklmnopqrstuvwxyz",
            "qwertyuiopasdfgh",
            "1q2w3e4r5t6y7u8i",
            "iloveyou-iloveyou",
            "letmeinletmeinletmein",
            "monkeydragonmaster",
            "sunshine2026sunshine",
            "summer holiday 2025",
        ] {
            assert!(accept(guessed).expect_err(guessed).contains("easy to guess"), "{guessed}");
        }
    }

    #[test]
    fn passwords_from_names_of_user_or_server_are_refused() {
        // THREATS: SE9
        for own in [
            "ada.lovelace@harbor.example",
            "adalovelaceharborexample",
            "AdaLovelaceAdaLovelace",
            "lovelace-lovelace-1",
            "auth.vessels.example",
            "authvesselsexample1",
            "grantdgrantdgrantd",
            "grantd-password-1",
        ] {
            assert!(accept(own).expect_err(own).contains("easy to guess"), "{own}");
        }
    }

    #[test]
    fn passphrases_are_accepted_without_composition_rules() {
        // THREATS: SE9
        for good in [
            "correct horse battery",
            "kestrel over a quiet lake",
            "to be or not to be",
            "mydogslikeicecream",
            "xk9vtq2lmpz8rwy",
            "!7#k@9$q^2&v*4(",
            "ein langes passwort ohne sinn",
        ] {
            accept(good).unwrap_or_else(|why| panic!("{good}: {why}"));
        }
    }
}

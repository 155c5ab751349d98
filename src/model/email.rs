//! Owns e-mail addresses as login names: one normal form, lower-case ASCII.

use super::error::Error;

/// Longest address (RFC 5321 §4.5.3.1.3), in bytes.
pub const EMAIL_MAX: usize = 254;

/// The normal form of an address, the only form in which it is stored, compared and counted.
///
/// # Errors
/// `invalid_request` when it is not `local@domain` in plain ASCII.
pub fn normalize(text: &str) -> Result<String, Error> {
    let refuse = || Error::invalid_request("not a valid email address");
    let text = text.trim_matches(' ');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-@".contains(&b);
    if text.len() > EMAIL_MAX || !text.bytes().all(plain) {
        return Err(refuse());
    }
    let (local, domain) = text.split_once('@').ok_or_else(refuse)?;
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if local.is_empty() || domain.contains('@') || !domain.split('.').all(label) {
        return Err(refuse());
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses_are_normalized() {
        // THREATS: HX7
        assert_eq!(normalize(" Alice@Example.COM ").expect("address"), "alice@example.com");
        for bad in ["a@x@y", "a\u{FF20}x", "a", "@x", "a@", "a@x..y", "a b@x", "a@x\n", "ａ@x.y", "a@[1.2.3.4]"] {
            assert!(normalize(bad).is_err(), "{bad}");
        }
    }
}

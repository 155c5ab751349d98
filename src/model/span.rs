//! Owns durations as people write them, such as `90d`.

use super::error::Error;

/// Parses a duration such as `90d`, `12h`, `30m` or `45s` into seconds.
///
/// # Errors
/// `invalid_request` with the expected format.
pub fn seconds(text: &str) -> Result<i64, Error> {
    let wrong = || Error::invalid_request("a duration must be a number followed by s, m, h or d, such as 90d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).filter(|span| *span >= 0).ok_or_else(wrong)
}

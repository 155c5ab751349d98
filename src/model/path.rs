//! Owns the normal form of a request's path, and the forms that lax servers may read it as. A path that two servers
//! could read differently is refused, not guessed. Does not own rules; see `rules`.

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;

/// Longest path accepted, in bytes.
pub const PATH_MAX: usize = 2048;

/// The path of a request target, if it can be read in only one way: no empty or dot segments, no encoded characters
/// that a server might decode into one, nothing encoded that is not UTF-8, no backslash, semicolon or control
/// character. A query is removed.
pub fn normal_path(target: &str) -> Option<&str> {
    let path = target.split('?').next()?;
    let unreadable = |b: u8| {
        !(0x21..=0x7E).contains(&b)
            || matches!(b, b'\\' | b';' | b'#' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    if !path.starts_with('/') || path.len() > PATH_MAX || path.bytes().any(unreadable) {
        return None;
    }
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (decoded, length) = encoded_char(&rest[at..])?;
        // The last two become k and s under Unicode case folding.
        let ambiguous = decoded.is_ascii_alphanumeric()
            || decoded.is_control()
            || "-._~/\\%;".contains(decoded)
            || matches!(decoded, '\u{212A}' | '\u{17F}')
            // Characters that a server may normalise to a delimiter.
            || (!decoded.is_ascii() && std::iter::once(decoded).nfkc().any(|c| "./\\%;?#".contains(c)));
        if ambiguous {
            return None;
        }
        rest = &rest[at + length..];
    }
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment == "." || segment == ".." || (segment.is_empty() && !last) {
            return None;
        }
    }
    Some(path)
}

/// The percent-encoded UTF-8 character at the start of an ASCII text (RFC 3986 §2.1, RFC 3629), and the length of its
/// encoding in bytes. `None` for a sequence that only lax decoders accept, such as `%C0%AE` for a dot.
fn encoded_char(text: &str) -> Option<(char, usize)> {
    let byte = |at: usize| {
        let digits = text.get(3 * at..3 * at + 3)?.strip_prefix('%')?;
        // `from_str_radix` accepts a sign.
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
    };
    let first = byte(0)?;
    let count = usize::try_from(first.leading_ones().max(1)).ok().filter(|count| *count <= 4)?;
    let mut bytes = [first, 0, 0, 0];
    for (at, place) in bytes.iter_mut().enumerate().take(count).skip(1) {
        *place = byte(at)?;
    }
    let decoded = std::str::from_utf8(&bytes[..count]).ok()?.chars().next()?;
    Some((decoded, 3 * count))
}

/// Other paths that a lax server may read this normal form as: with letters folded, then also without characters that
/// some cut off the end of a segment, then also without a format ending. Usually empty.
pub(super) fn readings(path: &str) -> Vec<String> {
    if !path.contains(['%', '.']) {
        return Vec::new();
    }
    let folded = folded(&percent_decode_str(path).decode_utf8_lossy());
    let cut = |segment: &str| {
        let whole = segment.split(['#', '?']).next().unwrap_or_default();
        whole.trim().trim_end_matches([' ', '.']).to_owned()
    };
    let trimmed = folded.split('/').map(cut).collect::<Vec<_>>().join("/");
    let is_format = |ending: &str| (1..=5).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    let stem = bare(&trimmed).rsplit_once('.').filter(|(_, ending)| is_format(ending)).map(|(stem, _)| stem.to_owned());
    [folded, trimmed].into_iter().chain(stem).collect()
}

/// A text with its letters folded: compatibility forms replaced (NFKC), upper and lower case alike, also by Turkish
/// rules, and invisible characters removed.
fn folded(text: &str) -> String {
    let plain: String = text.nfkc().flat_map(char::to_uppercase).collect();
    let unseen = |c: &char| matches!(c, '\u{307}' | '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}');
    plain.chars().flat_map(char::to_lowercase).filter(|c| !unseen(c)).collect()
}

/// The path without a trailing slash.
pub(super) fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_paths_are_refused() {
        // THREATS: FA2
        for bad in [
            "",
            "a",
            "//a",
            "/a//b",
            "/./a",
            "/a/../b",
            "/a/..",
            "/%2e%2e/a",
            "/%2E/a",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a;x=1",
            "/a#b",
            "/a%00",
            "/a%0d",
            "/a%252e",
            "/%61dmin",
            "/a%",
            "/a%zz",
            "/a b",
            "/\u{430}",
            "/a%C0%AE%C0%AE/b",
            "/a%c0%af..",
            "/a%E0%80%AE",
            "/a%ED%A0%80",
            "/a%F8%80%80%80%AE",
            "/a%C3",
            "/a%C3%",
            "/a%C3a",
            "/a%80",
            "/a%FF",
            "/a%C2%85",
            "/a%+5",
            "/%E2%84%AAeys",
            "/u%C5%BFers",
            "/a\u{0}",
            "/a%EF%BC%8Fb",
            "/a/%E2%80%A5/b",
            "*",
            "http://x/a",
        ] {
            assert_eq!(normal_path(bad), None, "{bad}");
        }
        assert_eq!(normal_path("/v1/users?x=/../"), Some("/v1/users"));
        for good in ["/a%20b/%C3%A9/", "/%e2%82%ac/%F0%9F%94%91", "/%28x%29+"] {
            assert_eq!(normal_path(good), Some(good));
        }
    }
}

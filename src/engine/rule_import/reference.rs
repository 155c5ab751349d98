//! Owns following `$ref` within a document: not into other files, and not in circles.

use serde_saphyr::Spanned;

/// The value that a reference leads to; the value itself if it is no reference. References begin with one of `places`,
/// and `find` looks up the name behind it.
///
/// # Errors
/// The line, and what is wrong there.
pub(super) fn follow<'d, T>(
    mut value: &'d T,
    reference: impl Fn(&'d T) -> Option<&'d Spanned<String>>,
    places: &[&str],
    find: impl Fn(&str) -> Option<&'d T>,
) -> Result<&'d T, (u64, String)> {
    let mut seen: Vec<&str> = Vec::new();
    while let Some(target) = reference(value) {
        let (line, target) = (target.referenced.line(), target.value.as_str());
        let wrong = |words: &str| (line, format!("the reference {target:.100} {words}"));
        if !target.starts_with('#') {
            return Err(wrong("leads to another file: bundle the document first"));
        }
        if seen.contains(&target) {
            return Err(wrong("leads back to itself"));
        }
        seen.push(target);
        let name = places.iter().find_map(|place| target.strip_prefix(place));
        // RFC 6901 §3.
        let found = name.and_then(|name| find(&name.replace("~1", "/").replace("~0", "~")));
        value = found.ok_or_else(|| wrong("leads nowhere"))?;
    }
    Ok(value)
}

//! Owns the order of rules from a document that has none, and the paths in it that no order can tell apart.

use std::collections::{BTreeMap, HashMap};

use super::ImportedRule;
use crate::model::rule::Rule;

/// Conflicts after which no more are looked for.
const FOUND_MAX: usize = 100;

/// A rule with the segments of its pattern.
struct Pattern<'r> {
    made: &'r ImportedRule,
    segments: Vec<&'r str>,
}

impl<'r> Pattern<'r> {
    fn of(made: &'r ImportedRule) -> Self {
        Self { made, segments: made.rule.pattern.split('/').collect() }
    }

    /// Whether a segment is plain where the other one has a placeholder.
    fn is_closer(&self, other: &Self) -> bool {
        let mut pairs = self.segments.iter().zip(&other.segments);
        pairs.any(|(own, other)| !is_placeholder(own) && is_placeholder(other))
    }

    fn shown(&self) -> String {
        format!("{} {:.100}", self.made.rule.method, self.made.rule.pattern)
    }
}

/// Where a rule from a document stands among others: plain segments before placeholders, then by name.
pub(super) fn order(rule: &Rule) -> (Vec<(bool, String)>, String) {
    let key = |segment: &str| (is_placeholder(segment), segment.to_owned());
    (rule.pattern.split('/').map(key).collect(), rule.method.clone())
}

fn is_placeholder(segment: &str) -> bool {
    segment.starts_with('{')
}

/// Calls `found` with the line and words of each conflict: two operations for the same requests, or two for some of the
/// same that need different things and of which neither is closer.
pub(super) fn find(rules: &[ImportedRule], mut found: impl FnMut(u64, String)) {
    let mut groups: HashMap<(&str, usize), Vec<Pattern<'_>>> = HashMap::new();
    for pattern in rules.iter().map(Pattern::of) {
        groups.entry((&pattern.made.rule.method, pattern.segments.len())).or_default().push(pattern);
    }
    let mut count = 0;
    for group in groups.into_values() {
        overlapping(&group.iter().collect::<Vec<_>>(), 0, &mut |one, other| {
            let (first, second) = if one.made.line <= other.made.line { (one, other) } else { (other, one) };
            let needs = |pattern: &Pattern<'_>| (pattern.made.rule.scopes.clone(), pattern.made.rule.public);
            let place = format!("{} at line {}", first.shown(), first.made.line);
            let words = match (first.is_closer(second), second.is_closer(first)) {
                (false, false) => format!("{} is the same as {place}", second.shown()),
                (true, true) if needs(first) != needs(second) => {
                    format!("{} and {place} take some of the same paths and need different things", second.shown())
                }
                _ => return true,
            };
            found(second.made.line, words);
            count += 1;
            count < FOUND_MAX
        });
    }
}

/// Calls `found` for every two of these patterns that one path can match, until it returns false. They have the same
/// number of segments, and match the same in those before `depth`.
fn overlapping<'p, 'r>(
    patterns: &[&'p Pattern<'r>],
    depth: usize,
    found: &mut dyn FnMut(&'p Pattern<'r>, &'p Pattern<'r>) -> bool,
) -> bool {
    let [first, _, ..] = patterns else { return true };
    if depth == first.segments.len() {
        let mut pairs = patterns
            .iter()
            .enumerate()
            .flat_map(|(at, one)| patterns[at + 1..].iter().map(move |other| (*one, *other)));
        return pairs.all(|(one, other)| found(one, other));
    }
    let mut plain: BTreeMap<&str, Vec<&'p Pattern<'r>>> = BTreeMap::new();
    let mut open: Vec<&'p Pattern<'r>> = Vec::new();
    for pattern in patterns.iter().copied() {
        match pattern.segments[depth] {
            segment if is_placeholder(segment) => open.push(pattern),
            segment => plain.entry(segment).or_default().push(pattern),
        }
    }
    for (segment, mut together) in plain {
        // A placeholder stands for something.
        if !segment.is_empty() {
            together.extend(&open);
        }
        if !overlapping(&together, depth + 1, found) {
            return false;
        }
    }
    overlapping(&open, depth + 1, found)
}

//! Owns the difference between the rules of an API and those that are to replace them. Does not replace them; see
//! `engine::rules`.

use std::collections::{HashMap, VecDeque};

use super::rule::Rule;

/// What happens to one rule. Rules are the same if they have the same method and pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleFate {
    /// It is new.
    Added,
    /// It is removed.
    Removed,
    /// It needs something else than before.
    Changed,
    /// It needs the same, and is evaluated before or after other rules than before.
    Moved,
}

impl RuleFate {
    /// Every fate.
    pub const ALL: [Self; 4] = [Self::Added, Self::Removed, Self::Changed, Self::Moved];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Moved => "moved",
        }
    }
}

/// A rule that does not stay as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// What happens to it.
    pub fate: RuleFate,
    /// The rule, as it was if it is removed.
    pub rule: Rule,
    /// As it was, if it is changed.
    pub before: Option<Rule>,
}

/// What a replacement changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleDiff {
    /// The changes, in the order of the new rules; a removed rule stands where it was.
    pub changes: Vec<RuleChange>,
    /// How many rules stay as they are.
    pub unchanged: usize,
}

impl RuleDiff {
    /// The difference between rules that are there and `new` ones, each at most once. A rule that stays keeps its id.
    pub fn of(old: &[Rule], new: &mut [Rule]) -> Self {
        let mut places: HashMap<(&str, &str), VecDeque<usize>> = HashMap::new();
        for (place, rule) in old.iter().enumerate() {
            places.entry((&rule.method, &rule.pattern)).or_default().push_back(place);
        }
        let was: Vec<Option<usize>> = new
            .iter()
            .map(|rule| places.get_mut(&(rule.method.as_str(), rule.pattern.as_str()))?.pop_front())
            .collect();
        let mut is_removed = vec![true; old.len()];
        was.iter().flatten().for_each(|place| is_removed[*place] = false);
        let in_order = longest_increasing(&was);
        let (mut diff, mut done) = (Self::default(), 0);
        for ((rule, was), in_order) in new.iter_mut().zip(&was).zip(in_order) {
            if let Some(place) = was.filter(|_| in_order) {
                diff.removed(&old[done..place], &is_removed[done..place]);
                done = place;
            }
            let fate = match was.map(|place| &old[place]) {
                None => RuleFate::Added,
                Some(before) => {
                    rule.id.clone_from(&before.id);
                    match (*before == *rule, in_order) {
                        (false, _) => RuleFate::Changed,
                        (true, false) => RuleFate::Moved,
                        (true, true) => {
                            diff.unchanged += 1;
                            continue;
                        }
                    }
                }
            };
            let before = was.filter(|_| fate == RuleFate::Changed).map(|place| old[place].clone());
            diff.changes.push(RuleChange { fate, rule: rule.clone(), before });
        }
        diff.removed(&old[done..], &is_removed[done..]);
        diff
    }

    /// How many rules have this fate.
    pub fn count(&self, fate: RuleFate) -> usize {
        self.changes.iter().filter(|change| change.fate == fate).count()
    }

    fn removed(&mut self, old: &[Rule], is_removed: &[bool]) {
        let gone = old.iter().zip(is_removed).filter(|(_, is_removed)| **is_removed);
        let change = |rule: &Rule| RuleChange { fate: RuleFate::Removed, rule: rule.clone(), before: None };
        self.changes.extend(gone.map(|(rule, _)| change(rule)));
    }
}

/// Which of these numbers, each there at most once, form a longest increasing sequence.
fn longest_increasing(numbers: &[Option<usize>]) -> Vec<bool> {
    // For each length the place where the sequence of that length with the smallest end ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; numbers.len()];
    for (place, number) in numbers.iter().enumerate().filter(|(_, number)| number.is_some()) {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before[place] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() { ends.push(place) } else { ends[length] = place }
    }
    let mut is_part = vec![false; numbers.len()];
    let mut next = ends.last().copied();
    while let Some(place) = next {
        is_part[place] = true;
        next = before[place];
    }
    is_part
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::{btree_map, vec},
        prelude::*,
    };

    use super::*;
    use crate::model::scope::Scopes;

    fn rules(of: &[(&str, &str)]) -> Vec<Rule> {
        let rule = |(number, (path, scope)): (usize, &(&str, &str))| Rule {
            id: format!("route_{number}"),
            method: "GET".to_owned(),
            pattern: (*path).to_owned(),
            scopes: Scopes::parse(scope).expect("scopes"),
            public: false,
        };
        of.iter().enumerate().map(rule).collect()
    }

    fn told(diff: &RuleDiff) -> Vec<String> {
        diff.changes.iter().map(|change| format!("{} {}", change.fate.as_str(), change.rule.pattern)).collect()
    }

    #[test]
    fn a_diff_says_what_happens_to_each_rule() {
        let old = rules(&[("/a", "x"), ("/b", "x"), ("/c", "x"), ("/d", "x"), ("/e", "x")]);
        let mut new = rules(&[("/e", "x"), ("/a", "x"), ("/new", "x"), ("/c", "y"), ("/d", "x")]);
        let diff = RuleDiff::of(&old, &mut new);
        assert_eq!(told(&diff), ["moved /e", "added /new", "removed /b", "changed /c"]);
        assert_eq!(diff.unchanged, 2);
        assert_eq!(diff.changes[3].before.as_ref().map(|rule| rule.scopes.to_string()), Some("x".to_owned()));
        assert_eq!(new.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>()[..2], ["route_4", "route_0"]);
    }

    #[test]
    fn of_rules_that_are_there_twice_the_second_is_removed() {
        let old = rules(&[("/a", "x"), ("/a", "y"), ("/b", "x")]);
        let diff = RuleDiff::of(&old, &mut rules(&[("/a", "x"), ("/b", "x")]));
        assert_eq!((told(&diff), diff.unchanged), (vec!["removed /a".to_owned()], 2));
    }

    proptest! {
        #[test]
        fn every_rule_has_one_fate(
            old in vec(("/[a-d]{1,2}", "[xy]"), 0..12),
            new in btree_map("/[a-d]{1,2}", "[xy]", 0..12),
            by_end in any::<bool>(),
        ) {
            let text = |of: &[(String, String)]| {
                rules(&of.iter().map(|(path, scope)| (path.as_str(), scope.as_str())).collect::<Vec<_>>())
            };
            let (old, mut new) = (text(&old), text(&new.into_iter().collect::<Vec<_>>()));
            if by_end {
                new.reverse();
            }
            let diff = RuleDiff::of(&old, &mut new);
            let [added, removed, changed, moved] = RuleFate::ALL.map(|fate| diff.count(fate));
            prop_assert_eq!(added + changed + moved + diff.unchanged, new.len());
            prop_assert_eq!(removed + changed + moved + diff.unchanged, old.len());
            // What is replaced by itself does not change.
            let same = RuleDiff::of(&new.clone(), &mut new);
            prop_assert_eq!((same.changes, same.unchanged), (Vec::new(), new.len()));
        }
    }
}

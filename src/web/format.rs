//! Owns the format of stored values on pages: times, durations, scopes.

use crate::{
    model::{api::Catalog, clock::Timestamp, scope::Scopes},
    ui::{Choice, ScopeChoice, ScopeGroup, ScopeLine, When},
};

const MINUTE: i64 = 60;

const HOUR: i64 = 60 * MINUTE;

const DAY: i64 = 24 * HOUR;

const YEAR: i64 = 365 * DAY;

/// A time as its day.
pub(super) fn day(at: Timestamp) -> When {
    When { iso: at.rfc3339(), text: at.day() }
}

/// A time to the minute.
pub(super) fn moment(at: Timestamp) -> When {
    let iso = at.rfc3339();
    let text = format!("{}, {} UTC", at.day(), iso.get(11..16).unwrap_or_default());
    When { iso, text }
}

/// A time as day and hour, without the year.
pub(super) fn hour(at: Timestamp) -> When {
    let When { iso, text } = short_day(at);
    let text = format!("{text}, {}", iso.get(11..16).unwrap_or_default());
    When { iso, text }
}

/// A time as its day, without the year.
pub(super) fn short_day(at: Timestamp) -> When {
    let day = at.day();
    When { iso: at.rfc3339(), text: day.rsplit_once(' ').map_or(day.clone(), |(day, _)| day.to_owned()) }
}

/// A time as its time of day.
pub(super) fn clock(at: Timestamp) -> When {
    let iso = at.rfc3339();
    let text = format!("{} UTC", iso.get(11..16).unwrap_or_default());
    When { iso, text }
}

/// A past time, relative to now.
pub(super) fn ago(now: Timestamp, at: Timestamp) -> When {
    let text = match now.seconds() - at.seconds() {
        ..MINUTE => "just now".to_owned(),
        seconds @ ..HOUR => format!("{} min ago", seconds / MINUTE),
        seconds @ ..DAY => format!("{} h ago", seconds / HOUR),
        _ => at.day(),
    };
    When { iso: at.rfc3339(), text }
}

/// A duration in its largest whole unit.
pub(super) fn span(seconds: i64) -> String {
    let (unit, name) = [(YEAR, "year"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second")]
        .into_iter()
        .find(|(unit, _)| seconds >= *unit && seconds % unit == 0)
        .unwrap_or((1, "second"));
    let count = seconds / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// A readable name for a `User-Agent`, such as "Firefox on Linux". A guess: browsers may send anything.
pub(super) fn device(agent: &str) -> String {
    let named =
        |known: &[(&str, &'static str)]| known.iter().find(|(word, _)| agent.contains(word)).map(|(_, name)| *name);
    // Most browsers also name others for compatibility, so the order decides.
    let browser = named(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chromium/", "Chromium"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = named(&[
        ("Windows", "Windows"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => "Unknown browser".to_owned(),
    }
}

/// Scopes with their descriptions, for a list.
pub(super) fn lines(catalog: &Catalog, scopes: &Scopes) -> Vec<ScopeLine> {
    let description = |name: &str| catalog.scope(name).map(|(_, scope)| scope.description.clone()).unwrap_or_default();
    scopes.iter().map(|name| ScopeLine { name: name.to_owned(), description: description(name) }).collect()
}

/// All scopes, grouped by API, for a form.
pub(super) fn groups(catalog: &Catalog, is_checked: impl Fn(&str) -> bool) -> Vec<ScopeGroup> {
    let choice = |name: &str, description: &str| ScopeChoice {
        name: name.to_owned(),
        description: description.to_owned(),
        checked: is_checked(name),
    };
    catalog
        .apis
        .iter()
        .filter(|api| !api.scopes.is_empty())
        .map(|api| ScopeGroup {
            api: api.name.clone(),
            scopes: api.scopes.iter().map(|scope| choice(&scope.name, &scope.description)).collect(),
        })
        .collect()
}

/// A name that the operator chose, such as `staging`, as a label.
pub(super) fn label(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The entries of a select or radio group, one of them selected.
pub(super) fn choices(of: &[(&str, &str)], selected: &str) -> Vec<Choice> {
    of.iter()
        .map(|(value, label)| Choice {
            value: (*value).to_owned(),
            label: (*label).to_owned(),
            selected: *value == selected,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_times_are_readable() {
        for (seconds, text) in [
            (1, "1 second"),
            (90, "90 seconds"),
            (3600, "1 hour"),
            (2_592_000, "30 days"),
            (31_536_000, "1 year"),
            (0, "0 seconds"),
        ] {
            assert_eq!(span(seconds), text);
        }
        let now = Timestamp::from_seconds(1_795_255_200);
        assert_eq!(ago(now, now).text, "just now");
        assert_eq!(ago(now, now.plus_seconds(-7300)).text, "2 h ago");
        assert_eq!(moment(now).text, "21 Nov 2026, 10:00 UTC");
        assert_eq!((hour(now).text, clock(now).text), ("21 Nov, 10:00".to_owned(), "10:00 UTC".to_owned()));
    }

    #[test]
    fn user_agents_get_readable_names() {
        for (agent, words) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0",
                "Edge on Windows",
            ),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1", "Safari on iPhone"),
            ("Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile Safari/537.36", "Chrome on Android"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.5 Safari/605.1.15", "Safari on macOS"),
            ("curl/8.5.0", "curl"),
            ("", "Unknown browser"),
            ("<script>", "Unknown browser"),
        ] {
            assert_eq!(device(agent), words);
        }
    }
}

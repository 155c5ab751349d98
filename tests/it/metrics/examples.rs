//! Owns tests that the alert rules and the dashboard in `examples/` use existing metrics. Thresholds are not tested.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{Scrape, everything, scrape, traffic};

/// Labels that Prometheus adds, and the histograms' own.
const GIVEN: [&str; 3] = ["instance", "job", "le"];

/// One query, and the adjacent text that names labels.
struct Query {
    text: String,
    beside: String,
}

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/monitoring");
    fs::read_to_string(folder.join(name)).expect("an example")
}

fn alerts() -> Vec<Query> {
    let text = example("alerts.yaml");
    let rules = text.split("- alert: ").skip(1).map(|rule| {
        let expr = rule.lines().find_map(|line| line.trim_start().strip_prefix("expr: ")).expect("an expr");
        let summary = rule.lines().find_map(|line| line.trim_start().strip_prefix("annotations: ")).expect("words");
        Query { text: expr.to_owned(), beside: summary.replace("$labels.", "") }
    });
    rules.collect()
}

fn dashboard() -> Vec<Query> {
    let board: Value = serde_json::from_str(&example("dashboard.json")).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let panels = board["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row");
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let mut queries: Vec<Query> =
        targets.map(|target| Query { text: text(&target["expr"]), beside: text(&target["legendFormat"]) }).collect();
    let variables = board["templating"]["list"].as_array().expect("variables").iter();
    let asked = variables.filter_map(|variable| variable["query"]["query"].as_str());
    queries.extend(asked.map(|query| Query { text: query.to_owned(), beside: String::new() }));
    queries
}

/// Each family in a query, with its label matchers.
fn selectors(query: &str) -> Vec<(String, Vec<(String, String)>)> {
    let starts = query.match_indices("grantd_").map(|(at, _)| &query[at..]);
    starts
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
            let matchers = inside.split("\",").filter(|matcher| !matcher.is_empty()).map(|matcher| {
                let (label, value) = matcher.split_once('"').expect("a matcher");
                let label = label.trim().trim_end_matches(['=', '~', '!']);
                (label.to_owned(), value.trim_end_matches('"').to_owned())
            });
            (name.to_owned(), matchers.collect())
        })
        .collect()
}

/// The labels a query groups by, and those that the adjacent text shows.
fn named_labels(query: &Query) -> Vec<String> {
    let groups = query.text.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    let shown = query.beside.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let words = groups.chain(shown).flat_map(|text| text.split([',', ' ', '|']));
    words
        .filter(|word| !word.is_empty() && !["$value", "humanizeDuration"].contains(word))
        .map(ToOwned::to_owned)
        .collect()
}

/// A family's name, or the family of a histogram's series.
fn family_of<'s>(page: &Scrape, series: &'s str) -> &'s str {
    let ends = ["_bucket", "_sum", "_count"].iter().filter_map(|end| series.strip_suffix(end));
    let mut families = ends.chain([series]).filter(|name| page.families.contains_key(*name));
    families.next().unwrap_or_else(|| panic!("there is no {series}"))
}

fn check(page: &Scrape, query: &Query) -> Vec<String> {
    let (mut families, mut labels) = (Vec::new(), BTreeSet::from(GIVEN.map(ToOwned::to_owned)));
    for (series, matchers) in selectors(&query.text) {
        let family = family_of(page, &series);
        let samples = &page.families[family].samples;
        labels.extend(samples.iter().flat_map(|(labels, _)| labels.keys().cloned()));
        for (label, values) in matchers.iter().filter(|(label, _)| !GIVEN.contains(&label.as_str())) {
            for value in values.split('|') {
                let has = samples.iter().any(|(labels, _)| labels.get(label).is_some_and(|found| found == value));
                assert!(has, "{family} has no {label}=\"{value}\": {}", query.text);
            }
        }
        families.push(family.to_owned());
    }
    for label in named_labels(query) {
        assert!(labels.contains(&label), "no family has {label}: {} / {}", query.text, query.beside);
    }
    families
}

#[tokio::test]
async fn alerts_and_dashboard_use_existing_metrics() {
    let app = everything().await;
    traffic(&app).await;
    // No healthy server sends this status; the class is counted all the same.
    app.app.telemetry.request("/oauth/introspect", 500, std::time::Duration::ZERO);
    let page = scrape(&app).await;
    let (alerts, dashboard) = (alerts(), dashboard());
    assert!(alerts.len() > 10 && dashboard.len() > 30, "{} {}", alerts.len(), dashboard.len());
    let watched = alerts.iter().map(|query| check(&page, query).len()).sum::<usize>();
    assert!(watched > 15, "{watched}");
    let shown: BTreeSet<String> = dashboard.iter().flat_map(|query| check(&page, query)).collect();
    let missing: Vec<_> = page.families.keys().filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "on no panel: {missing:?}");
}

//! Owns tests of `/metrics` and of the examples that use it, with a parser of the Prometheus format.

mod counted;
mod examples;
mod page;

use std::collections::{BTreeMap, BTreeSet};

use grantd::model::{audit::Origin, plan::Plan};

use crate::harness::{TestApp, flow};

const TOKEN: &str = "m3trics";

/// A family: its help, its type, its samples by their labels.
#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    samples: Vec<(BTreeMap<String, String>, f64)>,
}

/// The page.
#[derive(Debug)]
struct Scrape {
    lines: usize,
    families: BTreeMap<String, Family>,
}

impl Scrape {
    /// Parses a page and fails where Prometheus would: samples must follow their family's HELP and TYPE, without repeats.
    fn read(text: &str) -> Self {
        let (mut families, mut current) = (BTreeMap::<String, Family>::new(), String::new());
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and words");
                let family = Family { help: help.to_owned(), ..Family::default() };
                assert!(families.insert(name.to_owned(), family).is_none(), "{name} stands twice");
                current = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a kind");
                assert_eq!(name, current, "{line}");
                families.get_mut(name).expect("its HELP").kind = kind.to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a sample");
                assert!(seen.insert(series.to_owned()), "{series} stands twice");
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let family = families.get_mut(&current).expect("a family");
                let ends: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(ends.iter().any(|end| name == format!("{current}{end}")), "{line} stands below {current}");
                family.samples.push((labels_of(labels.trim_end_matches('}')), value.parse().expect("a number")));
            }
        }
        Self { lines: text.lines().count(), families }
    }

    #[track_caller]
    fn family(&self, name: &str) -> &Family {
        self.families.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.families.keys()))
    }

    /// The sum of the samples with these labels.
    #[track_caller]
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &BTreeMap<String, String>| {
            labels.iter().all(|(label, text)| sample.get(*label).is_some_and(|value| value == text))
        };
        let found: Vec<f64> =
            self.family(name).samples.iter().filter(|(sample, _)| has(sample)).map(|(_, value)| *value).collect();
        assert!(!found.is_empty(), "no {labels:?}: {:?}", self.family(name));
        found.iter().sum()
    }
}

fn labels_of(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split("\",").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (label, value) = pair.split_once("=\"").expect("a label");
            (label.to_owned(), value.trim_end_matches('"').to_owned())
        })
        .collect()
}

async fn scrape(app: &TestApp) -> Scrape {
    let page = app.get_as("/metrics", TOKEN).await;
    assert_eq!(page.status(200).header("content-type"), "text/plain; version=0.0.4");
    Scrape::read(&page.body)
}

/// A server with everything configured, at addresses where nothing listens.
async fn everything() -> TestApp {
    TestApp::with(&[
        ("metrics_token", TOKEN),
        ("limits.shared", "redis://127.0.0.1:1/0"),
        ("limits.login_failures_per_account", "1"),
        ("mail.url", "smtp://127.0.0.1:1"),
        ("mail.from", "keys@example.com"),
    ])
    .await
}

/// One of everything that is counted: a key and a token accepted, refused and over their plan; successful, failed and
/// limited sign-ins; an active, an expired and a revoked key.
async fn traffic(app: &TestApp) {
    let plan = Plan { name: "pro".to_owned(), per_hour: Some(1), burst: 50 };
    app.app.store.set_plan(app.now(), Origin::default(), plan).await.expect("a plan");
    app.app.catalog.reload().await.expect("a catalog");
    let user = app.user("alice@example.com").await;
    let (_, key) = app.key(&user, "read").await;
    let (_, expired) = app.key_with(&user, "read", |new| new.expires_in_seconds = Some(60)).await;
    app.advance(60);
    let (revoked_id, revoked) = app.key(&user, "read").await;
    app.app.store.revoke_key(app.now(), Origin::default(), revoked_id, None).await.expect("revoked");
    app.introspect(&key).await.active();
    app.introspect(&key).await.active();
    app.introspect(&expired).await.inactive();
    app.introspect(&revoked).await.inactive();
    for status in [200, 429] {
        app.get_as("/gateway/verify/example-api", &key).await.status(status);
    }
    app.get_as("/gateway/verify/example-api", "no-credential-of-ours").await.status(401);
    app.get("/nowhere").await.status(404);
    let browser = app.browser();
    browser.log_in("alice@example.com").await.status(303);
    let client = app.confidential().await;
    let (access, _) = flow::tokens(&browser, &client).await;
    app.introspect(&access).await.active();
    flow::code(&browser, &client).await;
    for status in [401, 429] {
        let other = app.browser();
        let page = other.get("/login").await;
        let form =
            [("csrf", page.input("csrf")), ("email", "bob@example.com".to_owned()), ("password", "wrong".to_owned())];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        other.post("/login", &form).await.status(status);
    }
    app.app.background.census.advance(&app.app.store, app.now()).await.expect("counted");
}

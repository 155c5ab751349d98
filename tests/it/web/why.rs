//! Owns tests of `/settings/denied` and `/settings/activity`.

use std::collections::BTreeSet;

use grantd::{
    model::audit::{Event, Origin},
    store::NewUser,
};

use super::submit;
use crate::{
    docs::{files, read},
    harness::{TestApp, app::PASSWORD, flow::tokens},
};

const DENIED: &str = "/settings/denied";
const ACTIVITY: &str = "/settings/activity";
/// Events that concern no user.
const OF_NO_USER: [&str; 18] = [
    "admin.read",
    "api.create",
    "api.update",
    "client.authenticate",
    "grant.wrong_client",
    "key.import_begin",
    "master_key.rotate",
    "plan.set",
    "profile.create",
    "profile.delete",
    "profile.update",
    "route.create",
    "route.delete",
    "route.replace",
    "signing_key.create",
    "signing_key.drop",
    "token.issue",
    "token.revoke",
];

/// The names of audit events in the source: literals beside the word `event`, and those that begin as these do.
fn events() -> BTreeSet<&'static str> {
    let sources = files("src").into_iter().filter(|path| path.ends_with(".rs") && path != "src/web/events.rs");
    let text: String =
        sources.map(|path| read(&path).split("#[cfg(test)]").next().unwrap_or_default().to_owned()).collect();
    let text: &'static str = text.leak();
    let names = |line: &'static str| {
        let is_name = |text: &&str| {
            let mut words = text.split('.');
            !text.ends_with(".html")
                && words.all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        };
        line.split('"').skip(1).step_by(2).filter(is_name)
    };
    let mut found: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.contains("Event::new(") || line.contains("event = \""))
        .flat_map(names)
        .collect();
    let begins: BTreeSet<&str> = found.iter().filter_map(|name| Some(name.split_once('.')?.0)).collect();
    let is_alike = |name: &&str| name.split_once('.').is_some_and(|(begin, _)| begins.contains(begin));
    found.extend(text.lines().flat_map(names).filter(is_alike));
    found
}

#[tokio::test]
async fn owner_finds_the_reason_by_request_id() {
    let app = TestApp::new().await;
    let ada = app.user("ada@example.com").await;
    let (id, key) = app
        .key_with(&ada, "read", |key| {
            key.name = "Nightly backup".to_owned();
            key.expires_in_seconds = Some(3600);
        })
        .await;
    app.advance(4 * 3600);
    let refused = app.get_as("/v1/users/me", &key).await;
    refused.status(401);
    let request_id = refused.header("x-request-id");
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    browser.get(DENIED).await.page(200);
    // Before it is written and after.
    for _ in 0..2 {
        let page = browser.get(&format!("{DENIED}?request_id=%20{request_id}%20")).await;
        page.page(200);
        for words in
            ["Expired 3 h ago.", "401 unauthorized", "192.0.2.1", "Nightly backup", &id, "21 Nov 2026, 04:00 UTC"]
        {
            assert!(page.body.contains(words), "{words}: {}", page.body);
        }
        assert!(!page.body.contains(&key));
        app.app.background.flush().await.expect("flushed");
    }
    assert_eq!(app.get(&format!("{DENIED}?request_id={request_id}")).await.location(), "/login");
}

#[tokio::test]
async fn unknown_and_foreign_request_ids_look_alike() {
    // THREATS: AK16 AK13
    let app = TestApp::new().await;
    let ada = app.user("ada@example.com").await;
    app.user("eve@example.com").await;
    let (id, key) = app.key(&ada, "read").await;
    app.app.store.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked");
    let refused = app.get_as("/v1/users/me", &key).await;
    let nobodys = app.get_as("/v1/users/me", "gd_live_nonsense").await;
    let eve = app.browser();
    eve.log_in("eve@example.com").await;
    let mut answers = Vec::new();
    let evil = "%3Cscript%3Ealert(1)%3C/script%3E";
    for request_id in [refused.header("x-request-id"), nobodys.header("x-request-id"), "req_never", evil] {
        let page = eve.get(&format!("{DENIED}?request_id={request_id}")).await;
        page.page(200);
        assert!(page.body.contains("Nothing found.") && !page.body.contains("<script>alert"), "{}", page.body);
        answers.push(page.body.replace(request_id, "").replace("&#60;script&#62;alert(1)&#60;/script&#62;", ""));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn administrators_see_all_refusals_and_users_are_informed() {
    // THREATS: AU1
    let app = TestApp::new().await;
    let ada = app.user("ada@example.com").await;
    let (id, key) = app.key(&ada, "read").await;
    app.app.store.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked");
    let (refused, nobodys) = (app.get_as("/v1/users/me", &key).await, app.get_as("/v1/users/me", "gd_live_x").await);
    let password = app.hash(PASSWORD).await;
    let root = NewUser {
        email: "root@example.com".to_owned(),
        name: "Root".to_owned(),
        password: Some(password),
        plan: "free".to_owned(),
        admin: true,
    };
    let origin = Origin::default();
    let admin = app.app.store.insert_user(app.now(), origin, root).await.expect("a user");
    let browser = app.browser();
    browser.log_in("root@example.com").await;
    let page = browser.get(&format!("{DENIED}?request_id={}", refused.header("x-request-id"))).await;
    assert!(page.body.contains("Revoked just now.") && page.body.contains(&ada), "{}", page.body);
    let page = browser.get(&format!("{DENIED}?request_id={}", nobodys.header("x-request-id"))).await;
    assert!(page.body.contains(">Reason<"), "{}", page.body);
    let entries = app.entries(100).await;
    let looks: Vec<_> = entries.iter().filter(|entry| entry.event == "denial.read").collect();
    assert_eq!(looks.len(), 1, "one for each owner of what was found");
    assert_eq!((looks[0].actor.as_str(), looks[0].user_id.as_deref()), (admin.as_str(), Some(ada.as_str())));
    let owner = app.browser();
    owner.log_in("ada@example.com").await;
    let activity = owner.get(ACTIVITY).await.body;
    assert_eq!(activity.matches("An administrator viewed one").count(), 1, "{activity}");
}

#[tokio::test]
async fn activity_shows_own_events_newest_first() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    app.user("eve@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    app.advance(60);
    tokens(&browser, &client).await;
    let fields = [("scope", "read"), ("name", "Night <b>shift</b>")];
    submit(&browser, "/settings/keys", "/settings/keys", &fields).await.status(200);
    app.advance(60);
    submit(&browser, "/settings/projects", "/settings/projects", &[("name", "Harbor")]).await.status(303);
    let page = browser.get(ACTIVITY).await;
    page.page(200);
    let place = |word: &str| page.body.find(word).unwrap_or_else(|| panic!("{word}: {}", page.body));
    for earlier in ["Night &#60;b&#62;shift", "got access to your account", "You allowed"] {
        assert!(place("Harbor") < place(earlier) && place(earlier) < place("You signed in"), "{earlier}");
    }
    assert!(page.body.contains("from 192.0.2.7") && !page.body.contains("Night <b>"), "{}", page.body);
    let eve = app.browser();
    eve.log_in("eve@example.com").await;
    let others = eve.get(ACTIVITY).await.body;
    assert!(!others.contains("Harbor") && others.matches("You signed in").count() == 1, "{others}");
    assert_eq!(app.get(ACTIVITY).await.location(), "/login");
}

#[tokio::test]
async fn activity_has_words_for_every_event_of_a_user() {
    let app = TestApp::new().await;
    let ada = app.user("ada@example.com").await;
    let client = app.confidential().await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let mut events = events();
    for name in OF_NO_USER {
        assert!(events.remove(name), "there is no event {name}");
    }
    assert!(["login", "refresh", "key.spike", "code.reuse", "grant.excess"].iter().all(|name| events.contains(name)));
    for name in events {
        app.advance(1);
        let event = Event::new(name).user(&ada).client(&client.id).object("object");
        app.app.store.audit(app.now(), vec![(Origin::system(), event)]).await.expect("written");
        let page = browser.get(ACTIVITY).await;
        let line = page.body.split("<li class=\"event ").nth(1).and_then(|line| line.split("</p>").next());
        let line = line.expect("an event").to_lowercase();
        assert!(!line.contains(&name.replace(['.', '_'], " ")), "{name} has no words: {line}");
    }
}

#[tokio::test]
async fn activity_is_paged_without_gaps_or_repeats() {
    let app = TestApp::new().await;
    let ada = app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    // Many events at the same time, so that the time alone does not determine where a page ends.
    for count in 0..120 {
        if count % 40 == 0 {
            app.advance(60);
        }
        app.key_with(&ada, "read", |key| key.name = format!("Number {count} of many")).await;
    }
    let (mut path, mut seen, mut pages) = (ACTIVITY.to_owned(), Vec::new(), 0);
    loop {
        let page = browser.get(&path).await;
        page.page(200);
        pages += 1;
        let names = page.body.split("<bdi>Number ").skip(1).filter_map(|rest| rest.split(' ').next());
        seen.extend(names.map(|number| number.parse::<usize>().expect("a number")));
        let Some(at) = page.body.find("?before=") else { break };
        let end = at + page.body[at..].find('"').expect("a quote");
        path = format!("{ACTIVITY}{}", &page.body[at..end]);
    }
    assert_eq!((pages, seen.len()), (3, 120));
    assert!(seen[..40].iter().all(|number| *number >= 80) && seen[80..].iter().all(|number| *number < 40), "{seen:?}");
    seen.sort_unstable();
    assert_eq!(seen, (0..120).collect::<Vec<_>>());
    for bad in ["x", "zzzzzzzzzzzz", "%00", "0000'--00000001", "%F0%9F%A6%80aaaaaaaaaaaa"] {
        browser.get(&format!("{ACTIVITY}?before={bad}")).await.page(400);
    }
}

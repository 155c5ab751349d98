//! Owns tests of `/settings/keys`.

use grantd::model::{audit::Origin, project::Project};

use super::{element, submit};
use crate::harness::{Browser, Reply, TestApp};

const PAGE: &str = "/settings/keys";

async fn generate(browser: &Browser<'_>, fields: &[(&str, &str)]) -> Reply {
    submit(browser, PAGE, PAGE, fields).await
}

#[tokio::test]
async fn keys_are_created_shown_once_and_work() {
    // THREATS: AK2
    let app = TestApp::new().await;
    let user = app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    assert!(browser.get(PAGE).await.body.contains("No keys yet"));
    let reply = generate(
        &browser,
        &[
            ("name", "Nightly backup"),
            ("scope", "read"),
            ("scope", "write"),
            ("environment", "test"),
            ("expires_in", "30d"),
        ],
    )
    .await;
    reply.page(200);
    assert_eq!(reply.header("cache-control"), "no-store");
    let key = element(&reply, "key");
    assert!(key.starts_with("gd_test_") && reply.body.contains("You will not see it again"), "{}", reply.body);
    assert!(element(&reply, "curl").contains(&key));
    let answer = app.introspect(&key).await.active();
    assert_eq!(
        (&answer["sub"], &answer["scope"], &answer["environment"]),
        (&user.into(), &"read write".into(), &"test".into())
    );
    app.get_as("/v1/users/me", &key).await.status(200);
    let list = browser.get(PAGE).await;
    assert!(list.body.contains("Nightly backup") && list.body.contains("21 Dec 2026"), "{}", list.body);
    assert!(!list.body.contains(&key), "shown again");
    assert!(list.headers.values().all(|value| !value.to_str().unwrap_or_default().contains(&key)));
    app.advance(31 * 86_400);
    app.introspect(&key).await.inactive();
}

#[tokio::test]
async fn no_scope_of_a_new_key_is_preselected() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = browser.get(PAGE).await.body;
    assert!(page.contains("name=\"scope\" value=\"read\"") && !page.contains("type=\"checkbox\" checked"), "{page}");
    assert!(!page.contains("value=\"read\" checked") && !page.contains("value=\"write\" checked"), "{page}");
    let reply =
        generate(&browser, &[("name", ""), ("scope", "read"), ("environment", "live"), ("expires_in", "90d")]).await;
    assert_eq!(app.introspect(&element(&reply, "key")).await.active()["scope"], "read");
    assert!(browser.get(PAGE).await.body.contains("Key of 21 Nov 2026"));
}

#[tokio::test]
async fn repeated_form_creates_one_key() {
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let page = browser.get(PAGE).await;
    let (csrf, form) = (page.input("csrf"), page.input("form"));
    let fields = [("csrf", csrf.as_str()), ("form", &form), ("name", "Once"), ("scope", "read")];
    let first = browser.post(PAGE, &fields).await;
    let key = element(&first, "key");
    let second = browser.post(PAGE, &fields).await;
    second.page(409);
    assert!(second.body.contains("already sent") && !second.body.contains(&key), "{}", second.body);
    assert_eq!(second.body.matches("<bdi>Once</bdi></a>").count(), 1, "{}", second.body);
}

#[tokio::test]
async fn key_form_marks_errors_and_keeps_the_input() {
    // THREATS: AK18
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    let reply = generate(&browser, &[("name", "a\u{202E}b"), ("environment", "test"), ("expires_in", "365d")]).await;
    reply.page(400);
    assert!(element(&reply, "key-scope-error").contains("Choose at least one permission"), "{}", reply.body);
    assert!(!element(&reply, "key-name-error").is_empty());
    assert!(
        reply.body.contains("value=\"test\" checked") && reply.body.contains("value=\"365d\" selected"),
        "{}",
        reply.body
    );
    let reply = generate(&browser, &[("name", "Kept"), ("scope", "read"), ("scope", "admin")]).await;
    reply.page(400);
    assert!(reply.body.contains("value=\"Kept\"") && reply.body.contains("value=\"read\" checked"), "{}", reply.body);
    for (name, value) in
        [("environment", "prod"), ("expires_in", "soon"), ("expires_in", "99999d"), ("form", "made-up")]
    {
        let mut fields = vec![("name", "x"), ("scope", "read"), ("environment", "live"), ("expires_in", "never")];
        fields.retain(|(n, _)| *n != name);
        fields.push((name, value));
        let page = browser.get(PAGE).await;
        let (csrf, form) = (page.input("csrf"), page.input("form"));
        fields.push(("csrf", &csrf));
        if name != "form" {
            fields.push(("form", &form));
        }
        browser.post(PAGE, &fields).await.page(if name == "form" { 403 } else { 400 });
    }
    assert!(browser.get(PAGE).await.body.contains("No keys yet"));
}

#[tokio::test]
async fn revocation_stops_the_key_immediately() {
    let app = TestApp::new().await;
    let user = app.user("ada@example.com").await;
    let (id, key) = app.key(&user, "read").await;
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    app.introspect(&key).await.active();
    let reply = browser.submit(PAGE, &format!("{PAGE}/{id}/revoke"), &[]).await;
    assert_eq!(reply.location(), "/settings/keys?done=revoked");
    app.introspect(&key).await.inactive();
    let list = browser.follow(reply).await;
    assert!(list.body.contains("The key was revoked") && list.body.contains("1 revoked or expired"), "{}", list.body);
    assert!(!list.body.contains(&format!("/{id}/revoke")));
}

#[tokio::test]
async fn many_keys_are_listed_in_small_pages() {
    let app = TestApp::new().await;
    let ada = app.user("ada@example.com").await;
    let project = Project {
        id: "project_1".to_owned(),
        user_id: ada.clone(),
        name: "Grid".to_owned(),
        key_form: grantd::model::key::KeyForm::Prefixed,
        one_live_key: false,
        plan: None,
        disabled_by: None,
        key_terms: Default::default(),
        created_at: app.now(),
    };
    app.app.store.insert_project(app.now(), Origin::default(), project.clone()).await.expect("a project");
    for number in 0..500 {
        let project = (number % 20 == 0).then(|| project.clone());
        let (id, _) = app.key_with(&ada, "read", |key| key.project = project).await;
        if number % 5 == 1 {
            app.app.store.revoke_key(app.now(), Origin::default(), id, None).await.expect("revoked");
        }
    }
    let browser = app.browser();
    browser.log_in("ada@example.com").await;
    for (first, active) in [(PAGE.to_owned(), 400), (format!("{PAGE}?project=project_1"), 25)] {
        let (mut seen, mut next) = (std::collections::BTreeSet::new(), Some(first));
        while let Some(path) = next.take() {
            let page = browser.get(&path).await;
            page.page(200);
            assert!(page.body.len() < 100_000, "{path} has {} bytes", page.body.len());
            let revocable =
                page.body.split("popovertarget=\"revoke-").skip(1).filter_map(|rest| rest.split('"').next());
            let before = seen.len();
            seen.extend(revocable.map(ToOwned::to_owned));
            assert!(seen.len() > before, "{path} adds no key");
            let link = page.body.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
            next = link.map(|link| link.replace("&amp;", "&"));
        }
        assert_eq!(seen.len(), active);
    }
    let page = browser.get(PAGE).await.body;
    assert!(page.contains("400 active keys") && page.contains("100 revoked or expired"), "{page}");
    assert!(page.contains("These are the newest."), "{page}");
    let project = browser.get("/settings/projects/project_1").await;
    assert!(project.body.contains("Show all 25 active keys") && project.body.len() < 100_000, "{}", project.body);
    assert!(browser.get(&format!("{PAGE}?from=400")).await.body.contains("No more keys"));
    browser.get(&format!("{PAGE}?from=-1")).await.page(400);
    app.user("eve@example.com").await;
    let eve = app.browser();
    eve.log_in("eve@example.com").await;
    eve.get(&format!("{PAGE}?project=project_1")).await.page(404);
}

#[tokio::test]
async fn keys_of_other_users_are_not_found() {
    // THREATS: AK16
    let app = TestApp::new().await;
    let ada = app.user("ada@example.com").await;
    app.user("eve@example.com").await;
    let (id, key) = app.key_with(&ada, "read", |key| key.name = "Secret plans".to_owned()).await;
    let browser = app.browser();
    browser.log_in("eve@example.com").await;
    assert!(!browser.get(PAGE).await.body.contains("Secret plans"));
    let others = browser.submit(PAGE, &format!("{PAGE}/{id}/revoke"), &[]).await;
    let missing = browser.submit(PAGE, &format!("{PAGE}/key_missing/revoke"), &[]).await;
    assert_eq!((others.status, missing.status.as_u16()), (missing.status, 404));
    app.introspect(&key).await.active();
}

#[tokio::test]
async fn form_cannot_create_keys_for_others_or_with_more() {
    // THREATS: AK5 SE16
    let app = TestApp::new().await;
    app.user("ada@example.com").await;
    let other = app.user("bob@example.com").await;
    let browser = app.browser();
    assert_eq!(app.post(PAGE, &[("name", "x"), ("scope", "read")]).await.location(), "/login");
    browser.log_in("ada@example.com").await;
    let reply = generate(
        &browser,
        &[
            ("name", "x"),
            ("scope", "read"),
            ("user_id", &other),
            ("userId", &other),
            ("plan", "enterprise"),
            ("id", "key_mine"),
        ],
    )
    .await;
    let answer = app.introspect(&element(&reply, "key")).await.active();
    assert_ne!(answer["sub"], other);
    assert_eq!(answer["plan"], "pro");
    assert_ne!(answer["key_id"], "key_mine");
}

#[tokio::test]
async fn keys_are_not_sessions() {
    // THREATS: AK8
    let app = TestApp::new().await;
    let user = app.user("ada@example.com").await;
    let (_, key) = app.key(&user, "read write").await;
    assert_eq!(app.get_as(PAGE, &key).await.location(), "/login");
    assert_eq!(app.get_as("/apps", &key).await.location(), "/login");
}

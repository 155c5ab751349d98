//! Owns tests of a key's life: projects and their policy, the UUID form, networks, own plans. For pages, see `web`.

use grantd::{
    engine::new_key::{self, NewKey},
    model::{
        audit::Origin, error::ErrorCode, key::KeyForm, network::Networks, plan::Plan, project::Project, secret::new_id,
    },
    store::{self, ProjectChanges, Replacement},
};
use serde_json::json;

use super::{a_second_later, look};
use crate::harness::{Reply, TestApp};

async fn project(app: &TestApp, user: &str, name: &str, change: impl FnOnce(&mut Project)) -> Project {
    let mut project = Project {
        id: new_id("project"),
        user_id: user.to_owned(),
        name: name.to_owned(),
        key_form: KeyForm::Prefixed,
        one_live_key: false,
        key_terms: Default::default(),
        plan: None,
        disabled_by: None,
        created_at: app.now(),
    };
    change(&mut project);
    app.app.store.insert_project(app.now(), Origin::default(), project.clone()).await.expect("a project");
    project
}

async fn change(app: &TestApp, project: &Project, changes: ProjectChanges) {
    let done = app.app.store.update_project(app.now(), Origin::default(), project.id.clone(), changes).await;
    assert!(done.expect("changed"));
}

/// Creates a key of this project, in each of the ways there are.
async fn make(app: &TestApp, of: &Project) -> Result<(String, String), store::Error> {
    let scopes = app.app.catalog.current().all_scopes();
    let new = NewKey { project: Some(of.clone()), ..NewKey::of(&of.user_id, "Test key", scopes) };
    let (secret, key) = new_key::create(app.now(), &app.app.config, new).expect("a key");
    let id = key.id.clone();
    app.app.store.insert_key(app.now(), Origin::default(), secret.digest(), key).await?;
    Ok((id, secret.expose().to_owned()))
}

/// Replaces `old`, which ends immediately or after `overlap` seconds.
async fn replace(app: &TestApp, old: &str, overlap: i64) -> Result<(String, String), store::Error> {
    let old = app.app.store.find_key(old).await?.expect("a key");
    let of = app.app.store.find_project(old.project_id.as_deref().expect("a project")).await?;
    let (secret, new) = new_key::create(app.now(), &app.app.config, NewKey::like(&old, of)).expect("a key");
    let id = new.id.clone();
    let old_ends_at = (overlap > 0).then(|| app.now().plus_seconds(overlap));
    let replacement = Replacement { old_id: old.id, old_ends_at, user_id: None, digest: secret.digest(), new };
    if !app.app.store.replace_key(app.now(), Origin::default(), replacement).await? {
        return Err(store::Error::Conflict);
    }
    Ok((id, secret.expose().to_owned()))
}

fn refused<T: std::fmt::Debug>(result: Result<T, store::Error>, words: &str) {
    match result {
        Err(store::Error::Refused(error)) => assert!(error.description.contains(words), "{error:?}"),
        other => panic!("{other:?}, and not refused with {words}"),
    }
}

async fn introspect_from(app: &TestApp, key: &str, address: &str) -> Reply {
    app.post_as(&app.api, "/oauth/introspect", &[("token", key), ("ip_address", address)]).await
}

#[tokio::test]
async fn regenerating_the_only_uuid_key_ends_the_old_one() {
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let grid = project(&app, &user, "Grid", |grid| (grid.key_form, grid.one_live_key) = (KeyForm::Uuid, true)).await;
    let (id, first) = make(&app, &grid).await.expect("a key");
    look(&app).await;
    let parts: Vec<usize> = first.split('-').map(str::len).collect();
    assert_eq!((parts, &first[14..15]), (vec![8, 4, 4, 4, 12], "4"), "{first}");
    let answer = app.introspect(&first).await.active();
    assert_eq!((&answer["key_id"], &answer["project"]), (&json!(id), &json!(grid.id)));
    refused(make(&app, &grid).await, "allows one active key");
    refused(replace(&app, &id, 3600).await, "without an overlap");
    app.introspect(&first).await.active();
    let (second_id, second) = replace(&app, &id, 0).await.expect("replaced");
    app.introspect(&first).await.inactive();
    app.introspect(&second).await.active();
    assert!(app.app.store.revoke_key(app.now(), Origin::default(), second_id, None).await.expect("revoked"));
    make(&app, &grid).await.expect("a key, now that none is live");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_for_the_only_key_create_one() {
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let grid = project(&app, &user, "Grid", |grid| grid.one_live_key = true).await;
    let made = tokio::join!(make(&app, &grid), make(&app, &grid), make(&app, &grid), make(&app, &grid));
    let made = [made.0, made.1, made.2, made.3];
    assert_eq!(made.iter().filter(|one| one.is_ok()).count(), 1, "{made:?}");
    let (id, _) = made.into_iter().find_map(Result::ok).expect("a key");
    let next = tokio::join!(replace(&app, &id, 0), replace(&app, &id, 0), replace(&app, &id, 0));
    let next = [next.0, next.1, next.2];
    assert_eq!(next.iter().filter(|one| one.is_ok()).count(), 1, "{next:?}");
}

#[tokio::test]
async fn disabling_a_project_stops_its_keys_and_enabling_revives_no_revoked_one() {
    // THREATS: AK9
    let app = TestApp::new().await;
    let other = app.beside().await;
    let user = app.user("alice@example.com").await;
    let harbor = project(&app, &user, "Harbor", |_| ()).await;
    let (_, live) = make(&app, &harbor).await.expect("a key");
    let (revoked_id, revoked) = make(&app, &harbor).await.expect("a key");
    for node in [&app, &other] {
        node.introspect(&live).await.active();
    }
    assert!(app.app.store.revoke_key(app.now(), Origin::default(), revoked_id, None).await.expect("revoked"));
    change(&app, &harbor, ProjectChanges { disabled: Some(true), ..ProjectChanges::default() }).await;
    app.introspect(&live).await.inactive();
    a_second_later().await;
    other.introspect(&live).await.inactive();
    refused(make(&app, &harbor).await, "the project is disabled");
    change(&app, &harbor, ProjectChanges { disabled: Some(false), ..ProjectChanges::default() }).await;
    app.introspect(&live).await.active();
    app.introspect(&revoked).await.inactive();
}

#[tokio::test]
async fn owner_cannot_enable_what_an_administrator_disabled() {
    // THREATS: AK9 IN8
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let harbor = project(&app, &user, "Harbor", |_| ()).await;
    let (_, key) = make(&app, &harbor).await.expect("a key");
    let set = async |disabled: Option<bool>, by_operator: bool| {
        let changes = ProjectChanges { disabled, by_operator, name: Some("Haven".to_owned()), ..Default::default() };
        app.app.store.update_project(app.now(), Origin::default(), harbor.id.clone(), changes).await
    };
    set(Some(true), true).await.expect("disabled");
    app.introspect(&key).await.inactive();
    refused(make(&app, &harbor).await, "the project is disabled");
    refused(set(Some(false), false).await, "an administrator has disabled");
    // Nor by changing something else, or by disabling it too.
    set(None, false).await.expect("renamed");
    set(Some(true), false).await.expect("disabled twice");
    app.introspect(&key).await.inactive();
    set(Some(false), true).await.expect("enabled");
    app.introspect(&key).await.active();
    set(Some(true), false).await.expect("disabled by the owner");
    app.introspect(&key).await.inactive();
    set(Some(false), false).await.expect("enabled by the owner");
    app.introspect(&key).await.active();
}

#[tokio::test]
async fn key_networks_are_enforced_on_every_path() {
    // THREATS: AK12
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let networks = Networks::parse("192.0.2.0/24").expect("networks");
    let (_, key) = app.key_with(&user, "read", |new| new.networks = networks).await;
    introspect_from(&app, &key, "192.0.2.77").await.active();
    introspect_from(&app, &key, "::ffff:192.0.2.77").await.active();
    introspect_from(&app, &key, "192.0.3.1").await.inactive();
    // A resource server that does not send the address cannot use the key.
    app.introspect(&key).await.inactive();
    introspect_from(&app, &key, "192.0.2.300").await.oauth_error("invalid_request");
    let request = |target: &str| {
        let request = axum::http::Request::get(target).header("authorization", format!("Bearer {key}"));
        request.body(axum::body::Body::empty()).expect("a request")
    };
    for target in ["/v1/users/me", "/health", "/gateway/verify/example-api"] {
        app.send_from("192.0.2.1", request(target)).await.status(200);
        let reply = app.send_from("198.51.100.1", request(target)).await;
        // All refusals of a key look alike.
        assert_eq!(reply.status(401).text("error"), "invalid_api_key", "{target}");
    }
    let catalog = app.app.catalog.current();
    let like = app.app.store.list_keys(app.now(), &user, None).await.expect("keys").remove(0);
    assert_eq!(NewKey::like(&like, None).networks, like.networks, "a successor is no wider");
    assert!(NewKey::like(&like, None).scopes.is_subset(&catalog.all_scopes()));
}

#[tokio::test]
async fn own_plans_are_counted_separately() {
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let plan = |name: &str, per_hour| Plan { name: name.to_owned(), per_hour: Some(per_hour), burst: 50 };
    for one in [plan("pro", 5), plan("small", 1)] {
        app.app.store.set_plan(app.now(), Origin::default(), one).await.expect("a plan");
    }
    let harbor = project(&app, &user, "Harbor", |harbor| harbor.plan = Some("small".to_owned())).await;
    look(&app).await;
    let (_, users) = app.key(&user, "read").await;
    let (_, own) = app.key_with(&user, "read", |key| key.plan = Some("small".to_owned())).await;
    let (_, one) = make(&app, &harbor).await.expect("a key");
    let (_, two) = make(&app, &harbor).await.expect("a key");
    let ask = async |key: &str| {
        let reply = app.get_as("/gateway/verify/example-api", key).await;
        (reply.status.as_u16(), reply.header("x-ratelimit-limit").to_owned())
    };
    assert_eq!(ask(&one).await, (200, "1".to_owned()));
    assert_eq!(ask(&two).await, (429, "1".to_owned()), "one project, one plan");
    assert_eq!(ask(&own).await, (200, "1".to_owned()));
    assert_eq!(ask(&own).await, (429, "1".to_owned()));
    assert_eq!(ask(&users).await, (200, "5".to_owned()));
    assert_eq!(app.get_as("/v1/users/me", &one).await.status(200).text("plan"), "small");
    // The replacement of a key with its own plan does not get a new quota, nor does the next one.
    let mut old = app.introspect(&own).await.active()["key_id"].as_str().expect("an id").to_owned();
    for _ in 0..2 {
        let like = app.app.store.find_key(&old).await.expect("found").expect("a key");
        let (secret, new) = new_key::create(app.now(), &app.app.config, NewKey::like(&like, None)).expect("a key");
        let replacement =
            Replacement { old_id: old, old_ends_at: None, user_id: None, digest: secret.digest(), new: new.clone() };
        assert!(app.app.store.replace_key(app.now(), Origin::default(), replacement).await.expect("replaced"));
        assert_eq!(ask(secret.expose()).await, (429, "1".to_owned()));
        old = new.id;
    }
}

#[tokio::test]
async fn invalid_keys_are_refused_and_not_created() {
    let app = TestApp::new().await;
    let (alice, bob) = (app.user("alice@example.com").await, app.user("bob@example.com").await);
    let bobs = project(&app, &bob, "Harbor", |_| ()).await;
    let scopes = app.app.catalog.current().all_scopes();
    let theirs = NewKey { project: Some(bobs.clone()), ..NewKey::of(&alice, "Test key", scopes.clone()) };
    let error = new_key::create(app.now(), &app.app.config, theirs).expect_err("another's project");
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    let elsewhere =
        NewKey { environment: Some("staging".to_owned()), ..NewKey::of(&alice, "Test key", scopes.clone()) };
    new_key::create(app.now(), &app.app.config, elsewhere.clone()).expect_err("an environment nobody configured");
    let staging = TestApp::with(&[("GRANTD_ENVIRONMENTS", "dev,staging,production")]).await;
    let (secret, _) = new_key::create(app.now(), &staging.app.config, elsewhere).expect("a key");
    assert!(secret.expose().starts_with("gd_staging_"));
    let unsaid = NewKey::of(&alice, "Test key", scopes.clone());
    let (secret, _) = new_key::create(app.now(), &staging.app.config, unsaid).expect("a key");
    assert!(secret.expose().starts_with("gd_dev_"), "the first is what a key is for when nobody says");
    let new = NewKey { plan: Some("none".to_owned()), ..NewKey::of(&alice, "Test key", scopes) };
    let (secret, key) = new_key::create(app.now(), &app.app.config, new).expect("a key");
    let kept = app.app.store.insert_key(app.now(), Origin::default(), secret.digest(), key).await;
    refused(kept, "no such plan");
    let twice = Project { id: new_id("project"), ..bobs.clone() };
    let again = app.app.store.insert_project(app.now(), Origin::default(), twice).await;
    assert!(matches!(again, Err(store::Error::Conflict)), "{again:?}");
    let nothing = app.app.store.list_keys(app.now(), &alice, None).await.expect("keys");
    assert!(nothing.is_empty(), "{nothing:?}");
}

#[tokio::test]
async fn replacement_of_a_key_has_a_bounded_lifetime() {
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let (id, _) = app.key(&user, "read").await;
    app.database.run("UPDATE api_keys SET expires_at = 32472144000000").await;
    let old = app.app.store.find_key(&id).await.expect("found").expect("a key");
    let (_, new) = new_key::create(app.now(), &app.app.config, NewKey::like(&old, None)).expect("a key");
    assert_eq!(new.expires_at, Some(app.now().plus_seconds(3650 * 86_400)));
}

#[tokio::test]
async fn garbage_costs_no_query_without_opaque_keys() {
    // THREATS: AK1
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let foreign = "3f0c1a52-1111-4222-8333-444455556666";
    assert!(!app.app.verifier.may_be_api_key(foreign));
    let grid = project(&app, &user, "Grid", |grid| grid.key_form = KeyForm::Uuid).await;
    let (_, key) = make(&app, &grid).await.expect("a key");
    look(&app).await;
    assert!(app.app.verifier.may_be_api_key(foreign) && app.app.verifier.may_be_api_key(&key));
    app.introspect(foreign).await.inactive();
    for other in ["gd_code_x", "gd_rt_x", "gd_secret_x", "eyJhbGciOi", "short"] {
        assert!(!app.app.verifier.may_be_api_key(other), "{other}");
    }
    // The holder can revoke it with the key alone, like any other key.
    app.send(revoke_as(&key)).await.status(200);
    app.introspect(&key).await.inactive();
}

fn revoke_as(key: &str) -> axum::http::Request<axum::body::Body> {
    let request = axum::http::Request::post("/oauth/revoke").header("authorization", format!("Bearer {key}"));
    request.body(axum::body::Body::empty()).expect("a request")
}

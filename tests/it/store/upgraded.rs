//! Owns tests of rows written before a migration changed where their state is kept.

use grantd::model::{
    authentication::Method,
    project::{DisabledBy, KeyTerms},
    secret::Digest,
};

use crate::harness::database::Database;

/// The schema before the state of a project was one column.
const BEFORE_PROJECT_STATE: [&str; 8] = [
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_plans.sql"),
    include_str!("../../../migrations/0003_routes.sql"),
    include_str!("../../../migrations/0004_key_life.sql"),
    include_str!("../../../migrations/0005_usage.sql"),
    include_str!("../../../migrations/0006_idempotency.sql"),
    include_str!("../../../migrations/0007_audit_chain.sql"),
    include_str!("../../../migrations/0008_lists.sql"),
];

/// A database with this schema and no rows.
async fn at_version(migrations: &[&str]) -> Database {
    let database = Database::new().await;
    database.run("CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY)").await;
    for (sql, number) in migrations.iter().zip(1..) {
        database.run(sql).await;
        database.run(&format!("INSERT INTO schema_migrations (version) VALUES ({number})")).await;
    }
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_disabled_before_the_upgrade_stay_disabled() {
    let database = at_version(&BEFORE_PROJECT_STATE).await;
    database
        .run(
            "INSERT INTO users (id, email, name, plan, admin, created_at) VALUES ('user_1', 'a@example.com', 'a', 'free', FALSE, 1)",
        )
        .await;
    for (id, disabled_at, barred_at) in
        [("live", "NULL", "NULL"), ("own", "5", "NULL"), ("barred", "NULL", "5"), ("both", "4", "5")]
    {
        let sql = format!(
            "INSERT INTO projects (id, user_id, name, key_form, one_live_key, disabled_at, barred_at, created_at)
             VALUES ('{id}', 'user_1', '{id}', 'prefixed', FALSE, {disabled_at}, {barred_at}, 1)"
        );
        database.run(&sql).await;
    }
    let store = crate::harness::database::open(&database.url).await.expect("a store");
    for (id, by) in [
        ("live", None),
        ("own", Some(DisabledBy::Owner)),
        ("barred", Some(DisabledBy::Administrator)),
        ("both", Some(DisabledBy::Administrator)),
    ] {
        let project = store.find_project(id).await.expect("a look").expect("a project");
        assert_eq!((project.disabled_by, project.key_terms), (by, KeyTerms::default()), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_the_management_api_and_another_from_before_the_upgrade_stays_accepted_by_both() {
    let database = at_version(&BEFORE_PROJECT_STATE).await;
    database
        .run(
            "INSERT INTO users (id, email, name, plan, admin, created_at) VALUES ('user_1', 'a@example.com', 'a', 'free', FALSE, 1)",
        )
        .await;
    for (id, scopes) in [("both", "grantd:keys:read read"), ("one", "read write")] {
        let digest = Digest::of(id).text();
        let sql = format!(
            "INSERT INTO api_keys (id, digest, user_id, name, prefix, hint, scopes, environment, created_at, uses)
             VALUES ('{id}', '{digest}', 'user_1', '{id}', '', '', '{scopes}', 'live', 1, 0)"
        );
        database.run(&sql).await;
    }
    let store = crate::harness::database::open(&database.url).await.expect("a store");
    for (id, is_for_both) in [("both", true), ("one", false)] {
        let key = store.find_key_by_digest(&Digest::of(id)).await.expect("a look").expect("a key");
        assert_eq!(key.is_for_both, is_for_both, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_from_before_the_upgrade_were_started_with_a_password() {
    let database = at_version(&BEFORE_PROJECT_STATE).await;
    let digest = Digest::of("cookie");
    for sql in [
        "INSERT INTO users (id, email, name, plan, admin, created_at) VALUES ('user_1', 'a@example.com', 'a', 'free', FALSE, 1)",
        &format!(
            "INSERT INTO sessions (digest, user_id, auth_time, expires_at, address, agent)
             VALUES ('{}', 'user_1', 1, 2, '', '')",
            digest.text()
        ),
    ] {
        database.run(sql).await;
    }
    let store = crate::harness::database::open(&database.url).await.expect("a store");
    let session = store.find_session(&digest).await.expect("a look").expect("a session");
    assert_eq!(session.who.methods, [Method::Password]);
}

#[tokio::test(flavor = "multi_thread")]
async fn apis_from_before_the_upgrade_keep_their_profiles() {
    const NAMES: [&str; 5] = ["api-key-module", "bearer", "ensemble", "iapm", "telemetry-harbor"];
    let database = at_version(&BEFORE_PROJECT_STATE).await;
    for name in NAMES {
        database
            .run(&format!(
                "INSERT INTO clients (id, name, kind, auth_methods, redirect_uris, grant_types, scopes, first_party, require_pkce,
                     refresh_grace_ms, created_at)
                 VALUES ('{name}', '', 'confidential', 'client_secret_basic', '', '', '', FALSE, TRUE, 0, 1)"
            ))
            .await;
        database
            .run(&format!(
                "INSERT INTO apis (id, slug, identifier, name, profile, algorithm, access_token_seconds, client_id, created_at)
                 VALUES ('{name}', '{name}', 'https://{name}.example', '{name}', '{name}', 'ES256', 300, '{name}', 1)"
            ))
            .await;
    }
    let store = crate::harness::database::open(&database.url).await.expect("a store");
    let apis = store.catalog().await.expect("a catalog").apis;
    assert_eq!(apis.iter().map(|api| api.profile.name.as_str()).collect::<Vec<_>>(), NAMES);
}

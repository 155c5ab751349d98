//! Owns tests of imported keys as credentials, on every path.

use std::fs;

use axum::{
    body::Body,
    http::{Request, header},
};
use grantd::{
    engine::import::{self, Defaults, Format, Options, Watch},
    model::{audit::Origin, error::Error, secret::Digest},
    store::ImportProgress,
};

use super::key;
use crate::harness::{Reply, TestApp};

struct Silent;

impl Watch for Silent {
    fn begin(&mut self, _: u64, _: ImportProgress) -> Result<(), Error> {
        Ok(())
    }

    fn left_out(&mut self, line: u64, reason: &str) -> Result<(), Error> {
        panic!("line {line}: {reason}")
    }

    fn kept(&mut self, _: ImportProgress) -> Result<(), Error> {
        Ok(())
    }
}

async fn import(app: &TestApp, text: &str) {
    let file = app.database.dir.path().join("keys.csv");
    fs::write(&file, text).expect("a file");
    let options = Options {
        format: Format::Csv,
        dry_run: false,
        force_weak: false,
        owners_plan: None,
        defaults: Defaults { environment: "live".to_owned(), ..Defaults::default() },
        environments: app.app.config.environments.clone(),
    };
    let done = import::run(&app.app.store, app.now(), Origin::default(), &file, &options, &mut Silent).await;
    assert_eq!(done.expect("imported").refused, 0);
    app.app.catalog.reload().await.expect("a catalog");
}

async fn gateway(app: &TestApp, key: &str) -> Reply {
    let request = Request::get("/gateway/verify/example-api").header(header::AUTHORIZATION, format!("Bearer {key}"));
    app.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn imported_keys_work_on_every_path() {
    let app = TestApp::new().await;
    let user = app.user("alice@example.com").await;
    let uuid = "f47ac10b-58cc-4372-a567-0e02b2c3d479".to_owned();
    let (clear, hashed, ending) = (key(), key(), key());
    let ends = app.now().seconds() + 3600;
    // Guesses from before the import are no longer cached.
    app.get_as("/v1/users/me", &clear).await.status(401);
    import(
        &app,
        &format!(
            "key,sha256,owner,scopes,expires_at,plan\n{clear},,alice@example.com,read,,\n,{},alice@example.com,read,,\n\
             {uuid},,alice@example.com,read,,enterprise\n{ending},,alice@example.com,read,{ends},\n",
            Digest::of(&hashed).text()
        ),
    )
    .await;
    for key in [&clear, &hashed, &uuid, &ending] {
        let told = app.introspect(key).await.active();
        assert_eq!((&told["sub"], &told["credential"]), (&user.as_str().into(), &"api_key".into()));
        assert_eq!(gateway(&app, key).await.status(200).header("x-auth-subject"), user);
        app.get_as("/v1/users/me", key).await.status(200);
    }
    assert_eq!(app.introspect(&uuid).await.active()["plan"], "enterprise");
    // Another case, a part, or an extension of it is another key.
    for wrong in [clear.to_uppercase(), clear[1..].to_owned(), format!("{clear}0"), uuid.to_uppercase()] {
        app.introspect(&wrong).await.inactive();
        gateway(&app, &wrong).await.status(401);
    }
    app.advance(3600);
    app.introspect(&ending).await.inactive();
    app.introspect(&clear).await.active();
    // Revoked by its holder, and by the resource server.
    let revoke = Request::post("/oauth/revoke").header(header::AUTHORIZATION, format!("Bearer {clear}"));
    app.send(revoke.body(Body::empty()).expect("a request")).await.status(200);
    app.post_as(&app.api, "/oauth/revoke", &[("token", &hashed)]).await.status(200);
    for key in [&clear, &hashed] {
        app.introspect(key).await.inactive();
        gateway(&app, key).await.status(401);
        app.get_as("/v1/users/me", key).await.status(401);
    }
    gateway(&app, &uuid).await.status(200);
    // Disabling its owner stops it.
    app.app.store.set_user_active(app.now(), Origin::default(), user, false).await.expect("disabled");
    gateway(&app, &uuid).await.status(401);
}

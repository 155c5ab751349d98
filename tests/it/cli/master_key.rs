//! Owns replacing the master key, as `docs/operate.md` says: no step ends what works, and the old key alone opens what is old.

use data_encoding::BASE64;
use grantd::model::secret::random_bytes;
use serde_json::json;

use crate::harness::{Installation, app::CALLBACK, database::Database, prepare, process::now};

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_replaced_while_both_are_accepted() {
    // THREATS: SR3
    let database = Database::sqlite();
    let mut here = Installation::on(database.same());
    let (api, user) = (here.api(), here.user("alice@example.com"));
    let client = here.client(&["--redirect-uri", CALLBACK]);
    let store = here.store().await;
    let codes = [
        prepare::code(&store, &here.grant_tokens(), now(), &user, &client.id).await,
        prepare::code(&store, &here.grant_tokens(), now(), &user, &client.id).await,
    ];
    drop(store);
    let [old, new] = [here.variable("GRANTD_MASTER_KEY").to_owned(), BASE64.encode(&random_bytes::<32>())];
    let sealed = async || database.column("SELECT sealed FROM signing_keys").await;
    // Every node accepts both, and then the new one is used.
    here.set("GRANTD_OTHER_MASTER_KEY", new.clone());
    let server = here.serve().await;
    let exchanged = server.try_exchange(&client, &codes[0]).await.expect("a reply");
    let (access, refresh) = (exchanged.text("access_token"), exchanged.text("refresh_token"));
    server.stop();
    let backup = here.path("before.db").display().to_string();
    here.json(&["backup", &backup]);
    let before = sealed().await;
    here.set("GRANTD_MASTER_KEY", new.clone());
    here.set("GRANTD_OTHER_MASTER_KEY", old.clone());
    let server = here.serve().await;
    server.introspect(&api, &access).await.active();
    let refreshed = server.try_refresh(&client, &refresh).await.expect("a reply").text("refresh_token");
    server.try_exchange(&client, &codes[1]).await.expect("a reply").status(200);
    let doctor = here.run(&["doctor"]).out;
    assert!(doctor.contains("warn  master key") && doctor.contains("warn  signing keys"), "{doctor}");
    assert_eq!(sealed().await, before);
    assert_eq!(here.json(&["master-key", "rotate"]), json!({ "signing_keys": 1 }));
    assert_ne!(sealed().await, before);
    assert_eq!(here.json(&["master-key", "rotate"]), json!({ "signing_keys": 0 }), "again is nothing");
    server.introspect(&api, &access).await.active();
    here.json(&["audit", "verify"]);
    server.stop();
    // From then on the new one alone is enough, and the old one is not.
    here.unset("GRANTD_OTHER_MASTER_KEY");
    let server = here.serve().await;
    server.introspect(&api, &access).await.active();
    server.try_refresh(&client, &refreshed).await.expect("a reply").status(200);
    server.try_refresh(&client, &refresh).await.expect("a reply").oauth_error("invalid_grant");
    server.stop();
    assert!(here.refused(&["audit", "verify"]).contains("sealed with an earlier master key"));
    let opens = |here: &Installation, url: &str| here.run(&["signing-key", "list", "--database", url]);
    let backup = format!("sqlite:{backup}");
    let refused = opens(&here, &backup);
    assert!(!refused.status.success() && refused.err.contains("does not match this database"), "{refused:?}");
    here.set("GRANTD_MASTER_KEY", old);
    assert!(opens(&here, &backup).status.success());
    let refused = here.refused(&["signing-key", "list"]);
    assert!(refused.contains("does not match this database"), "{refused}");
}

//! Owns tests of an upgrade: a database of schema 8 with data, under the current grantd. The rows were written by that
//! version; see `tests/fixtures/schema_8.sql`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use crate::harness::{Installation, OAuthClient};

/// The last schema of the version that wrote the rows.
const SCHEMA: i64 = 8;
const MASTER_KEY: &str = "9vL0yXgq4cYwz7bWzJt1mC5oHcZk0Q8sTn3uRfEaPdI=";
const KEY: &str = "gd_live_F51ptJ8w6U03tVwLdr0MUW1HChYOQiIiRURz17j1pH";
/// Limited to 192.0.2.0/24.
const UUID: &str = "4080b356-b4d6-44ee-836a-211530617cd0";

/// The statements that create the old database, the same for both engines.
fn old() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> =
        fs::read_dir(root.join("migrations")).expect("migrations").collect::<Result<_, _>>().expect("files");
    files.sort_by_key(fs::DirEntry::file_name);
    let mut text = "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY);\n".to_owned();
    for (file, number) in files.iter().zip(1..=SCHEMA) {
        assert!(file.file_name().to_string_lossy().starts_with(&format!("{number:04}_")), "{file:?}");
        text += &fs::read_to_string(file.path()).expect("a migration");
        text += &format!("\nINSERT INTO schema_migrations (version) VALUES ({number});\n");
    }
    text + fs::read_to_string(root.join("tests/fixtures/schema_8.sql")).expect("rows").as_str()
}

async fn works_on(mut here: Installation) {
    // THREATS: ST9
    here.set("GRANTD_MASTER_KEY", MASTER_KEY);
    // Only a start migrates the schema: a command refuses, and a backup has the old schema.
    let refused = here.refused(&["key", "list"]);
    assert!(refused.contains("the database has schema 8") && refused.contains("grantd serve"), "{refused}");
    if here.variable("GRANTD_DATABASE_URL").starts_with("sqlite:") {
        here.json(&["backup", "copy.db"]);
        let copy = rusqlite::Connection::open(here.path("copy.db")).expect("a copy");
        let query = "SELECT MAX(version) FROM schema_migrations";
        assert_eq!(copy.query_row(query, [], |row| row.get::<_, i64>(0)).expect("a version"), SCHEMA);
    }
    let server = here.serve().await;
    let api = OAuthClient {
        id: "client_OBMyboxqr5qBSG5dXJb6".to_owned(),
        secret: Some("gd_secret_ZliIFsDrGUhihcEtw4pTBbKItkh8GemBjkWs18Rcqx".to_owned()),
    };
    let asked = server.introspect(&api, KEY).await;
    asked.active();
    assert_eq!(asked.json()["sub"], "user_dS1oMKg5zLDc05aoIDhp");
    server.introspect(&api, UUID).await.inactive();
    server.post_as(&api, "/oauth/introspect", &[("token", UUID), ("ip_address", "192.0.2.7")]).await.active();
    // Old hints of prefixed keys end with a mark; those of UUIDs always were the end of the key.
    let list = here.json(&["key", "list", "--user", "alice@example.com"]).to_string();
    for hint in ["gd_live_…RURz…", "…7cd0\""] {
        assert!(list.contains(hint), "{hint}: {list}");
    }
    let made = here.json(&["key", "create", "--user", "alice@example.com", "--scope", "read"]);
    let key = made["key"].as_str().expect("a key");
    let list = here.json(&["key", "list", "--user", "alice@example.com"]).to_string();
    assert!(list.contains(&format!("gd_live_…{}\"", &key[key.len() - 4..])), "{list}");
    let verified = here.run(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    assert_eq!(here.json(&["project", "list", "--user", "alice@example.com"])["items"][0]["name"], json!("Station"));
    assert!(server.stop().success());
    // The warning appears once.
    here.serve().await.introspect(&api, KEY).await.active();
}

#[tokio::test]
async fn old_sqlite_database_is_upgraded_with_its_data() {
    let here = Installation::new();
    let connection = rusqlite::Connection::open(here.path("grantd.db")).expect("a database");
    connection.execute_batch(&old()).expect("the old database");
    drop(connection);
    // As the old version created it.
    fs::set_permissions(here.path("grantd.db"), fs::Permissions::from_mode(0o600)).expect("changed");
    works_on(here).await;
}

#[cfg(feature = "services")]
#[tokio::test]
async fn old_postgresql_database_is_upgraded_with_its_data() {
    let here = Installation::on_postgres().await;
    let pool = sqlx::PgPool::connect(here.variable("GRANTD_DATABASE_URL")).await.expect("PostgreSQL");
    sqlx::raw_sql(sqlx::AssertSqlSafe(old())).execute(&pool).await.expect("the old database");
    pool.close().await;
    works_on(here).await;
}

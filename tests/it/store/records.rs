//! Owns tests of the other rows: users, clients, APIs, consents, sessions, interactions, meta, purging, backup.

use std::time::Duration;

use grantd::{
    engine::clients::new_secret,
    model::{
        authentication::Method,
        authorize_request::{AuthorizeRequest, Prompt},
        client::REDIRECT_URIS_MAX,
        error::{Error as ModelError, ErrorCode},
        grant::{Consent, ConsentAnswer},
        scope::Scopes,
        secret::Digest,
    },
    store::{ClientChanges, Error, Interaction, NewSession, Position},
};

use super::{Base, NOW, PASSWORD, new_api, new_client, new_user, who};
use crate::harness::{
    app::CALLBACK,
    prepare::{grant, keep, session},
};

on_each_engine!(
    email_address_belongs_to_one_user,
    failed_transaction_changes_nothing,
    client_keeps_its_secrets_and_is_deleted_with_everything,
    consent_accumulates_and_its_withdrawal_revokes_grants,
    withdrawal_without_consent_revokes_grants,
    session_replaces_another_and_ends_with_its_user,
    interaction_is_completed_once,
    keep_once_keeps_the_first_value,
    purge_deletes_only_expired_rows,
    backup_is_complete,
    a_consent_to_a_deleted_client_is_refused,
    invalid_statement_is_a_bug_and_not_an_outage,
);

async fn email_address_belongs_to_one_user(base: Base) {
    let again = base.store.insert_user(NOW, who(), new_user("alice@example.com")).await;
    assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
    let (user, password) = base.store.find_user_by_email("alice@example.com").await.expect("a look").expect("a user");
    assert_eq!((user.id, password.as_deref()), (base.user.clone(), Some("$argon2id$…")));
    assert!(base.store.find_user_by_email("Alice@example.com").await.expect("a look").is_none());
    assert!(base.store.find_user(&base.user).await.expect("a look").is_some());
    assert_eq!(base.store.list_users(10).await.expect("users").len(), 1);
}

async fn failed_transaction_changes_nothing(base: Base) {
    let clients = async || base.store.clients_after(None, Position::start(), 100).await.expect("clients").entries.len();
    let before = (clients().await, base.audit(100).await);
    let (api, client) = new_api("other", "https://other.example.com", &["admin", "read"]);
    let taken = base.store.insert_api(NOW, who(), api, client).await;
    assert!(matches!(&taken, Err(Error::Refused(error)) if error.description.contains("scope read")), "{taken:?}");
    let (api, client) = new_api("example", "https://other.example.com", &["admin"]);
    let taken = base.store.insert_api(NOW, who(), api, client).await;
    assert!(matches!(taken, Err(Error::Conflict)), "{taken:?}");
    assert_eq!((clients().await, base.audit(100).await), before);
    assert_eq!(base.store.catalog().await.expect("a catalog").all_scopes().to_string(), "read write");
}

async fn client_keeps_its_secrets_and_is_deleted_with_everything(base: Base) {
    let rotate = async |owner: Option<&str>| {
        let owner = owner.map(ToOwned::to_owned);
        let new = new_secret(NOW).1;
        base.store
            .rotate_secret(NOW, who(), base.client.clone(), owner, new, NOW.plus_seconds(60))
            .await
            .expect("an answer")
    };
    assert!(!rotate(Some("user_other")).await);
    for _ in 0..20 {
        assert!(rotate(None).await);
    }
    let client = base.store.find_client(&base.client).await.expect("a look").expect("a client");
    assert_eq!(client.secrets.len(), 10, "a bound");
    assert_eq!(client.secrets.iter().filter(|secret| secret.expires_at.is_none()).count(), 1);
    assert!(client.redirect_uris.len() <= REDIRECT_URIS_MAX && client.active);
    let changes = ClientChanges {
        name: Some("Renamed".to_owned()),
        scopes: Some(Scopes::parse("read").expect("scopes")),
        ..ClientChanges::default()
    };
    let update = base.store.update_client(NOW, who(), base.client.clone(), base.user.clone(), changes).await;
    assert!(!update.expect("an answer"), "only its owner's");
    let grant = grant(NOW, &base.user, &base.client);
    let id = grant.id.text();
    keep(&base.store, NOW, grant).await;
    let active = |active| base.store.set_client_active(NOW, who(), base.client.clone(), active);
    assert!(active(false).await.expect("an answer"));
    assert!(!base.store.find_client(&base.client).await.expect("a look").expect("a client").active);
    assert!(active(true).await.expect("an answer"));
    let delete = |id: &str| base.store.delete_client(NOW, who(), id.to_owned(), None);
    assert!(delete(&base.client).await.expect("an answer"));
    assert!(!delete(&base.client).await.expect("an answer"));
    assert!(base.store.grant_token_state(&id, "jti").await.expect("a look").is_none(), "its grants are gone");
    let resource_server = base.store.catalog().await.expect("a catalog").apis[0].client_id.clone();
    assert!(!delete(&resource_server).await.expect("an answer"), "an API's client stays");
}

async fn consent_accumulates_and_its_withdrawal_revokes_grants(base: Base) {
    let digest = Digest::of("interaction");
    base.store.insert_interaction(digest, interaction(&base.client)).await.expect("kept");
    let decide = async |scopes: &str, allow: bool| {
        let asked = Consent {
            scopes: Scopes::parse(scopes).expect("scopes"),
            resources: Vec::new(),
            client_name: "Test app".to_owned(),
            hosts: vec!["app.example.test".to_owned()],
        };
        let (user_id, client_id) = (base.user.clone(), base.client.clone());
        let answer = ConsentAnswer { interaction: digest, user_id, client_id, asked, allow };
        base.store.decide_consent(NOW, who(), answer).await.expect("an answer")
    };
    let consent = async || base.store.find_consent(&base.user, &base.client).await.expect("a look");
    assert!(decide("write", false).await);
    assert!(consent().await.is_none(), "no is not remembered");
    assert!(decide("read", true).await && decide("write", true).await);
    assert_eq!(consent().await.expect("a consent").scopes.to_string(), "read write");
    let waiting = base.store.find_interaction(NOW, &digest).await.expect("a look").expect("an interaction");
    assert_eq!(waiting.decision, Some((base.user.clone(), true)));
    let grant = grant(NOW, &base.user, &base.client);
    let id = grant.id.text();
    keep(&base.store, NOW, grant).await;
    assert_eq!(base.store.connected_apps(NOW, &base.user).await.expect("apps")[0].client_id, base.client);
    let withdraw = || base.store.withdraw_consent(NOW, who(), base.user.clone(), base.client.clone());
    assert!(withdraw().await.expect("an answer"));
    assert!(!withdraw().await.expect("an answer"));
    assert!(base.store.grant_token_state(&id, "jti").await.expect("a look").expect("a grant").revoked);
}

async fn withdrawal_without_consent_revokes_grants(base: Base) {
    let grant = grant(NOW, &base.user, &base.client);
    keep(&base.store, NOW, grant).await;
    let later = NOW.plus_seconds(1);
    let withdrawn = base.store.withdraw_consent(later, who(), base.user.clone(), base.client.clone()).await;
    assert!(withdrawn.expect("an answer"));
    assert_eq!(base.audit(1).await, ["consent.withdraw"]);
}

async fn session_replaces_another_and_ends_with_its_user(base: Base) {
    let (one, two) = (Digest::of("one"), Digest::of("two"));
    let begin = |digest, replaces| {
        let expires_at = NOW.plus_seconds(60);
        let session = NewSession { expires_at, replaces, ..session(NOW, &base.user, digest, PASSWORD) };
        base.store.insert_session(NOW, who(), session)
    };
    let found = async |digest: &Digest| base.store.find_session(digest).await.expect("a look");
    begin(one, None).await.expect("a session");
    let session = found(&one).await.expect("a session");
    assert_eq!(
        (session.who.user.id, session.who.at, session.expires_at),
        (base.user.clone(), NOW, NOW.plus_seconds(60))
    );
    assert_eq!(session.who.methods, [Method::Password]);
    begin(two, Some(one)).await.expect("a session");
    assert!(found(&one).await.is_none() && found(&two).await.is_some());
    base.store.delete_session(NOW, who(), two, base.user.clone()).await.expect("ended");
    assert!(found(&two).await.is_none());
    begin(one, None).await.expect("a session");
    assert!(base.store.set_user_active(NOW, who(), base.user.clone(), false).await.expect("an answer"));
    assert!(found(&one).await.is_none());
}

async fn interaction_is_completed_once(base: Base) {
    let digest = Digest::of("interaction");
    base.store.insert_interaction(digest, interaction(&base.client)).await.expect("kept");
    let find = async |seconds| base.store.find_interaction(NOW.plus_seconds(seconds), &digest).await.expect("a look");
    assert!(find(59).await.is_some() && find(60).await.is_none());
    base.store.interaction_signed_in(NOW.plus_seconds(5), digest).await.expect("noted");
    assert_eq!(find(10).await.expect("waiting").signed_in_at, Some(NOW.plus_seconds(5)));
    let other = base.other_node().await;
    let (one, two) = tokio::join!(base.store.delete_interaction(NOW, digest), other.delete_interaction(NOW, digest));
    assert_ne!(one.expect("an answer"), two.expect("an answer"), "exactly one ends it");
    assert!(find(10).await.is_none());
}

async fn keep_once_keeps_the_first_value(base: Base) {
    // THREATS: MN4
    let mut tasks = tokio::task::JoinSet::new();
    for node in 0..8 {
        let other = base.other_node().await;
        tasks.spawn(async move { other.keep_once(NOW, "test", format!("of node {node}")).await.expect("an answer") });
    }
    let mut kept = tasks.join_all().await;
    kept.dedup();
    assert_eq!(kept.len(), 1, "all agree");
    assert_eq!(base.store.keep_once(NOW, "test", "late".to_owned()).await.expect("an answer"), kept[0]);
}

async fn purge_deletes_only_expired_rows(base: Base) {
    let digest = Digest::of("one");
    base.store.insert_interaction(digest, interaction(&base.client)).await.expect("kept");
    let new = grant(NOW, &base.user, &base.client);
    let id = new.id.text();
    keep(&base.store, NOW, new).await;
    let token = base.store.revoke_token(NOW, who(), "jti".to_owned(), base.client.clone(), NOW.plus_seconds(60)).await;
    token.expect("revoked");
    let is_there = async || {
        let grant = base.store.grant_token_state(&id, "x").await.expect("a look").is_some();
        let token =
            base.store.client_token_state(&base.client, "jti").await.expect("a look").expect("a client").revoked;
        let waiting = base.store.find_interaction(NOW, &digest).await.expect("a look").is_some();
        (grant, token, waiting)
    };
    let day = Duration::from_hours(24);
    assert!(!base.store.purge_expired(NOW.plus_seconds(59), day).await.expect("purged"));
    assert_eq!(is_there().await, (true, true, true));
    assert!(!base.store.purge_expired(NOW.plus_seconds(61), day).await.expect("purged"));
    assert_eq!(is_there().await, (true, true, false), "what others may still know waits a day for their clocks");
    base.seal().await;
    assert!(!base.audit(100).await.is_empty());
    assert!(!base.store.purge_expired(NOW.plus_seconds(61) + day, day).await.expect("purged"));
    assert_eq!(is_there().await, (true, false, false));
    assert!(!base.store.purge_expired(NOW.plus_seconds(601) + day, day).await.expect("purged"));
    assert_eq!(is_there().await, (false, false, false), "a code that nobody redeemed leads nowhere");
    assert!(base.audit(100).await.is_empty());
    for n in 0..501 {
        let token = base.store.revoke_token(NOW, who(), format!("jti_{n}"), base.client.clone(), NOW).await;
        token.expect("revoked");
    }
    assert!(base.store.purge_expired(NOW.plus_seconds(1) + day, day).await.expect("purged"), "there may be more");
    assert!(!base.store.purge_expired(NOW.plus_seconds(1) + day, day).await.expect("purged"));
}

async fn backup_is_complete(base: Base) {
    let target = base.database.dir.path().join("copy.db");
    if base.database.url.starts_with("postgres") {
        assert!(base.store.backup(&target).expect_err("not ours").to_string().contains("pg_dump"));
        return;
    }
    let writer = base.store.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..50 {
            writer.insert_client(NOW, who(), new_client()).await.expect("a client");
        }
    });
    base.store.backup(&target).expect("a backup");
    writing.await.expect("written");
    let copy = crate::harness::database::open(&format!("sqlite:{}", target.display())).await.expect("a store");
    assert!(copy.find_user_by_email("alice@example.com").await.expect("a look").is_some());
    assert!(base.store.backup(&target).is_err(), "never over a file");
}

pub(super) fn interaction(client: &str) -> Interaction {
    Interaction {
        browser: Digest::of("browser"),
        request: AuthorizeRequest {
            client_id: client.to_owned(),
            redirect_uri: CALLBACK.to_owned(),
            state: None,
            scopes: Scopes::parse("read").expect("scopes"),
            resources: Vec::new(),
            code_challenge: None,
            prompt: Prompt::default(),
            max_age_seconds: None,
        },
        created_at: NOW,
        expires_at: NOW.plus_seconds(60),
        signed_in_at: None,
        decision: None,
    }
}

async fn a_consent_to_a_deleted_client_is_refused(base: Base) {
    let answer = ConsentAnswer {
        interaction: Digest::of("waiting"),
        user_id: base.user.clone(),
        client_id: "client_nobody".to_owned(),
        asked: Consent {
            scopes: Scopes::parse("read").expect("scopes"),
            resources: Vec::new(),
            client_name: "App".to_owned(),
            hosts: Vec::new(),
        },
        allow: true,
    };
    base.store.insert_interaction(Digest::of("waiting"), interaction(&base.client)).await.expect("kept");
    let refused = base.store.decide_consent(NOW, who(), answer).await.expect_err("no such client");
    assert!(matches!(refused, Error::Gone), "{refused:?}");
    assert_eq!(ModelError::from(refused).code, ErrorCode::InvalidRequest);
}

async fn invalid_statement_is_a_bug_and_not_an_outage(base: Base) {
    let code = |error: Error| ModelError::from(error).code;
    // A column that does not exist.
    base.database.run("ALTER TABLE plans RENAME COLUMN burst TO gust").await;
    let refused = base.other_view().await.plans().await.expect_err("no such column");
    assert!(matches!(refused, Error::Bug(_)), "{refused:?}");
    assert_eq!(code(refused), ErrorCode::ServerError);
    // A missing table: somebody is working on the database.
    base.database.run("ALTER TABLE plans RENAME TO away").await;
    let refused = base.other_view().await.plans().await.expect_err("no such table");
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert_eq!(code(refused), ErrorCode::TemporarilyUnavailable);
}

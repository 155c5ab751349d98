//! Owns rows that tests create in the store directly, because pages would be too slow. Everything else uses HTTP.

use grantd::{
    engine::grant_token::GrantTokens,
    model::{
        audit::Origin,
        authentication::Proof,
        clock::Timestamp,
        grant::{GrantId, NewGrant},
        scope::Scopes,
        secret::Digest,
    },
    store::{NewSession, Store},
};

use super::{app::CALLBACK, flow::CHALLENGE};

/// A grant by this user to this client, from now on; its code is valid for ten minutes.
pub fn grant(now: Timestamp, user_id: &str, client_id: &str) -> NewGrant {
    NewGrant {
        id: GrantId::new(now),
        user_id: user_id.to_owned(),
        session: Digest::of(user_id),
        client_id: client_id.to_owned(),
        scopes: Scopes::parse("read write").expect("scopes"),
        resources: Vec::new(),
        redirect_uri: CALLBACK.to_owned(),
        code_challenge: Some(CHALLENGE.to_owned()),
        auth_time: now,
        code_expires_at: now.plus_seconds(600),
        expires_at: now.plus_seconds(86_400),
    }
}

/// Stores a grant that was approved in a session of its user, who has a password.
pub async fn keep(store: &Store, now: Timestamp, grant: NewGrant) {
    if store.find_session(&grant.session).await.expect("a look").is_none() {
        let user = store.find_user(&grant.user_id).await.expect("a look").expect("a user");
        let (_, password) = store.find_user_by_email(&user.email).await.expect("a look").expect("a user");
        let session = session(now, &user.id, grant.session, &password.expect("a password"));
        // Another task may have started it meanwhile.
        drop(store.insert_session(now, Origin::default(), session).await);
    }
    assert!(store.insert_grant(now, Origin::default(), grant).await.expect("an answer"), "a live session");
}

/// A session of a user whose password was checked against this PHC string.
pub fn session(now: Timestamp, user_id: &str, digest: Digest, password: &str) -> NewSession {
    NewSession {
        digest,
        user_id: user_id.to_owned(),
        proof: Proof::Password(password.to_owned()),
        expires_at: now.plus_seconds(86_400),
        agent: "x".to_owned(),
        replaces: None,
    }
}

/// A code of this user for this client, with the challenge of `flow`.
pub async fn code(store: &Store, tokens: &GrantTokens, now: Timestamp, user_id: &str, client_id: &str) -> String {
    let grant = grant(now, user_id, client_id);
    let id = grant.id;
    keep(store, now, grant).await;
    tokens.code(&id).expose().to_owned()
}

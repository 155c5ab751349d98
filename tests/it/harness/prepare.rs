//! Owns rows that tests make through the store itself, where pages would be too slow. Everything else goes by HTTP.

use grantd::{
    engine::grant_token::GrantTokens,
    model::{
        audit::Origin,
        clock::Timestamp,
        grant::{GrantId, NewGrant},
        scope::Scopes,
    },
    store::Store,
};

use super::{app::CALLBACK, flow::CHALLENGE};

/// An approval of this client by this user, from now on: its code is good for ten minutes.
pub fn grant(now: Timestamp, user_id: &str, client_id: &str) -> NewGrant {
    NewGrant {
        id: GrantId::random(),
        user_id: user_id.to_owned(),
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

/// A code of this user for this client, with the challenge of `flow`.
pub async fn code(store: &Store, tokens: &GrantTokens, now: Timestamp, user_id: &str, client_id: &str) -> String {
    let grant = grant(now, user_id, client_id);
    let id = grant.id;
    store.insert_grant(now, Origin::default(), grant).await.expect("a grant");
    tokens.code(&id).expose().to_owned()
}

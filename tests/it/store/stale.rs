//! Owns tests of writes that depend on earlier reads: each repeats its condition, so that a write fails if what was
//! checked has changed. Every race here is made by hand, with its steps in the worst order.

use grantd::{
    config::Config,
    engine::{
        attenuation::Attenuation,
        client_rules::may_change,
        new_key::{self, NewKey},
    },
    model::{
        client::Client,
        error::ErrorCode,
        grant::{Consent, ConsentAnswer, NewGrant},
        key::KeyForm,
        project::Project,
        scope::Scopes,
        secret::{Digest, new_id},
    },
    store::{ClientChanges, Error, NewSession, Replacement},
};

use super::{Base, NOW, PASSWORD, new_client, who};
use crate::harness::prepare::{grant, session};

on_each_engine!(
    session_requires_the_password_that_was_checked,
    grant_requires_a_current_session,
    disabled_user_gets_nothing_new,
    session_writes_require_a_current_session,
    client_changes_require_the_client_that_was_checked,
);

const NEW_PASSWORD: &str = "$argon2id$new";

impl Base {
    fn new_session(&self, digest: &str, password: &str) -> NewSession {
        session(NOW, &self.user, Digest::of(digest), password)
    }

    async fn begins(&self, digest: &str, password: &str) -> bool {
        let begun = self.store.insert_session(NOW, who(), self.new_session(digest, password)).await.expect("an answer");
        let found = self.store.find_session(&Digest::of(digest)).await.expect("a look").is_some();
        assert_eq!(begun, found, "what is answered is what happened");
        begun
    }

    async fn set_active(&self, active: bool) {
        assert!(self.store.set_user_active(NOW, who(), self.user.clone(), active).await.expect("an answer"));
    }
}

async fn session_requires_the_password_that_was_checked(base: Base) {
    // THREATS: SE1
    assert!(base.begins("before", PASSWORD).await);
    // The password is checked here; then another is set; then the session would be created.
    base.store.set_password(NOW, who(), base.user.clone(), NEW_PASSWORD.to_owned()).await.expect("an answer");
    assert!(!base.begins("late", PASSWORD).await, "the old password began a session after it was replaced");
    assert!(base.store.find_session(&Digest::of("before")).await.expect("a look").is_none());
    assert!(base.begins("new", NEW_PASSWORD).await);
    base.set_active(false).await;
    assert!(!base.begins("disabled", NEW_PASSWORD).await);
    base.set_active(true).await;
    assert!(base.begins("enabled", NEW_PASSWORD).await);
    // The session that a refused one would have replaced continues.
    let replacing = NewSession { replaces: Some(Digest::of("enabled")), ..base.new_session("replacing", PASSWORD) };
    assert!(!base.store.insert_session(NOW, who(), replacing).await.expect("an answer"));
    assert!(base.store.find_session(&Digest::of("enabled")).await.expect("a look").is_some());
}

async fn grant_requires_a_current_session(base: Base) {
    // THREATS: SE1
    let (user, client) = (base.user.clone(), base.client.clone());
    let keep = async |seconds: i64, of: &str| {
        let new = grant(NOW, of, &client);
        let (id, new) = (new.id.text(), NewGrant { session: Digest::of("session"), ..new });
        let kept = base.store.insert_grant(NOW.plus_seconds(seconds), who(), new).await.expect("an answer");
        let found = base.store.grant_token_state(&id, "jti").await.expect("a look").is_some();
        assert_eq!(kept, found, "what is answered is what happened");
        kept
    };
    assert!(!keep(0, &user).await, "no session");
    assert!(base.begins("session", PASSWORD).await);
    assert!(keep(0, &user).await);
    assert!(!keep(0, "user_other").await, "another user's session");
    assert!(!keep(86_400, &user).await, "a session that has expired");
    let set_client = |active| base.store.set_client_active(NOW, who(), client.clone(), active);
    assert!(set_client(false).await.expect("an answer"));
    assert!(!keep(0, &user).await, "the client was disabled");
    assert!(set_client(true).await.expect("an answer"));
    base.store.set_password(NOW, who(), user.clone(), NEW_PASSWORD.to_owned()).await.expect("an answer");
    assert!(!keep(0, &user).await, "the session ended with its password");
    assert!(base.begins("session", NEW_PASSWORD).await);
    base.set_active(false).await;
    assert!(!keep(0, &user).await, "the user was disabled");
    base.set_active(true).await;
    assert!(!keep(0, &user).await, "and the session does not come back");
}

async fn disabled_user_gets_nothing_new(base: Base) {
    // THREATS: AK9
    let (store, user) = (&base.store, base.user.clone());
    let config = Config::load(None, std::iter::empty(), &[("issuer", "https://auth.example.test".to_owned())]);
    let config = config.expect("a configuration");
    let key = || {
        let scopes = Scopes::parse("read").expect("scopes");
        new_key::create(NOW, &config, NewKey::of(&user, "A key", scopes)).expect("a key")
    };
    let (old, old_key) = key();
    store.insert_key(NOW, who(), old.digest(), old_key.clone()).await.expect("kept while enabled");
    let interaction = super::records::interaction(&base.client);
    store.insert_interaction(Digest::of("interaction"), interaction).await.expect("kept");
    // All of it was read and allowed; then the user is disabled; then it would be written.
    base.set_active(false).await;
    let refused = |what: &str, result: Result<(), Error>| match result {
        Err(Error::Refused(error)) => assert!(error.description.contains("disabled"), "{what}: {error}"),
        other => panic!("{what}: {other:?}"),
    };
    let (secret, new) = key();
    refused("a key", store.insert_key(NOW, who(), secret.digest(), new.clone()).await);
    let replacement =
        Replacement { old_id: old_key.id.clone(), old_ends_at: None, user_id: None, digest: secret.digest(), new };
    refused("a key in place of another", store.replace_key(NOW, who(), replacement).await.map(drop));
    let project = Project {
        id: new_id("project"),
        user_id: user.clone(),
        name: "A project".to_owned(),
        key_form: KeyForm::Prefixed,
        one_live_key: false,
        key_terms: Default::default(),
        plan: None,
        disabled_by: None,
        created_at: NOW,
    };
    refused("a project", store.insert_project(NOW, who(), project).await);
    let client = Client { owner_id: Some(user.clone()), ..new_client() };
    refused("a client", store.insert_client(NOW, who(), client).await);
    let scopes = Scopes::parse("read").expect("scopes");
    let asked = Consent { scopes, resources: Vec::new(), client_name: "Test app".to_owned(), hosts: Vec::new() };
    let (interaction, user_id, client_id) = (Digest::of("interaction"), user.clone(), base.client.clone());
    let answer = ConsentAnswer { interaction, user_id, client_id, asked, allow: true };
    refused("a consent", store.decide_consent(NOW, who(), answer).await.map(drop));
    assert!(store.find_consent(&user, &base.client).await.expect("a look").is_none());
    base.set_active(true).await;
    let kept = store.find_key(&old_key.id).await.expect("a look").expect("the old key");
    assert!(kept.revoked_at.is_none(), "a refused replacement ends nothing");
}

async fn session_writes_require_a_current_session(base: Base) {
    // THREATS: SE15
    let digest = Digest::of("cookie");
    assert!(base.begins("cookie", PASSWORD).await);
    let store = base.store.in_session(digest, base.user.clone());
    let owned = || Client { owner_id: Some(base.user.clone()), ..new_client() };
    let add = async || store.insert_client(NOW, who(), owned()).await;
    let clients = async || base.store.list_clients(&base.user, 100).await.expect("clients").len();
    add().await.expect("a client");
    let before = (clients().await, base.audit(100).await.len());
    let strange = base.store.in_session(digest, "user_other".to_owned());
    let late = NOW.plus_seconds(86_400);
    for refused in [strange.insert_client(NOW, who(), owned()).await, store.insert_client(late, who(), owned()).await] {
        assert!(matches!(refused, Err(Error::SessionEnded)), "{refused:?}");
    }
    base.store.set_password(NOW, who(), base.user.clone(), NEW_PASSWORD.to_owned()).await.expect("an answer");
    let refused = add().await;
    assert!(matches!(refused, Err(Error::SessionEnded)), "{refused:?}");
    assert_eq!((clients().await, base.audit(100).await.len()), (before.0, before.1 + 1), "the new password alone");
}

async fn client_changes_require_the_client_that_was_checked(base: Base) {
    let owned = Client { owner_id: Some(base.user.clone()), ..new_client() };
    let id = owned.id.clone();
    base.store.insert_client(NOW, who(), owned).await.expect("a client");
    let read = async || base.store.find_client(&id).await.expect("a look").expect("a client");
    let owner = base.store.find_user(&base.user).await.expect("a look").expect("a user");
    let config = Config::load(None, [], &[]).expect("a configuration");
    let rename = async |before: &Client, name: &str| {
        let to = ClientChanges {
            name: Some(name.to_owned()),
            scopes: Some(before.scopes.clone()),
            ..ClientChanges::default()
        };
        let to = may_change(&config, &Attenuation::signed_in(&owner), before, to).expect("allowed");
        base.store.update_client(NOW, who(), id.clone(), base.user.clone(), to).await
    };
    let before = read().await;
    // It is allowed here; then an administrator removes a scope; then it would be written.
    let scopes = Some(Scopes::parse("read").expect("scopes"));
    let less = ClientChanges { scopes, ..ClientChanges::default() };
    assert!(base.store.update_client(NOW, who(), id.clone(), None, less).await.expect("an answer"));
    let refused = rename(&before, "Late").await;
    assert!(matches!(&refused, Err(Error::Refused(error)) if error.code == ErrorCode::Conflict), "{refused:?}");
    assert_eq!((read().await.name, read().await.scopes.to_string()), ("Test app".to_owned(), "read".to_owned()));
    assert!(rename(&read().await, "Again").await.expect("an answer"));
    assert_eq!(read().await.name, "Again");
}

//! Owns tests that a response is stored with its work or not at all, on each engine.

use grantd::{
    model::{clock::Timestamp, key::KeyForm, project::Project},
    store::{Error, StoredResponse},
};

use super::{Base, NOW, who};

on_each_engine!(
    response_is_stored_in_the_transaction_of_the_work,
    concurrent_repeats_create_once,
    expired_response_is_replaced,
);

fn answer(name: &str, now: Timestamp) -> StoredResponse {
    StoredResponse {
        actor: "key_1".to_owned(),
        name: name.to_owned(),
        request: "digest".to_owned(),
        status: 201,
        sealed: format!("sealed {name}"),
        expires_at: now.plus_seconds(60),
    }
}

fn project(base: &Base, name: &str) -> Project {
    Project {
        id: format!("project_{name}"),
        user_id: base.user.clone(),
        name: name.to_owned(),
        key_form: KeyForm::Prefixed,
        one_live_key: false,
        key_terms: Default::default(),
        plan: None,
        disabled_by: None,
        created_at: NOW,
    }
}

async fn response_is_stored_in_the_transaction_of_the_work(base: Base) {
    let store = base.store.storing(Some(answer("a", NOW)));
    store.insert_project(NOW, who(), project(&base, "one")).await.expect("made");
    let kept = base.store.find_response(NOW, "key_1", "a").await.expect("a look").expect("an answer");
    assert_eq!((kept.status, kept.request.as_str(), kept.sealed.as_str()), (201, "digest", "sealed a"));
    assert!(base.store.find_response(NOW, "key_2", "a").await.expect("a look").is_none());
    // If the name is taken, nothing is done.
    let store = base.store.storing(Some(answer("a", NOW)));
    let twice = store.insert_project(NOW, who(), project(&base, "two")).await;
    assert!(matches!(twice, Err(Error::Conflict)), "{twice:?}");
    assert!(base.store.find_project("project_two").await.expect("a look").is_none());
    // Errors, and requests without effect, store nothing.
    let store = base.store.storing(Some(answer("b", NOW)));
    assert!(store.insert_project(NOW, who(), project(&base, "one")).await.is_err());
    assert!(!store.revoke_key(NOW, who(), "key_none".to_owned(), None).await.expect("an answer"));
    assert!(base.store.find_response(NOW, "key_1", "b").await.expect("a look").is_none());
}

async fn concurrent_repeats_create_once(base: Base) {
    let make = |name: &'static str| {
        let (store, project) = (base.store.storing(Some(answer("twin", NOW))), project(&base, name));
        tokio::spawn(async move { store.insert_project(NOW, who(), project).await })
    };
    let twins = ["a", "b", "c", "d", "e", "f"].map(make);
    let mut made = 0;
    for twin in twins {
        match twin.await.expect("a task") {
            Ok(()) => made += 1,
            Err(error) => assert!(matches!(error, Error::Conflict), "{error:?}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(base.store.list_projects(&base.user).await.expect("projects").len(), 1);
}

async fn expired_response_is_replaced(base: Base) {
    let store = base.store.storing(Some(answer("a", NOW)));
    store.insert_project(NOW, who(), project(&base, "one")).await.expect("made");
    let later = NOW.plus_seconds(60);
    assert!(base.store.find_response(later, "key_1", "a").await.expect("a look").is_none());
    let store = base.store.storing(Some(answer("a", later)));
    store.insert_project(later, who(), project(&base, "two")).await.expect("made");
    assert!(base.store.find_response(later, "key_1", "a").await.expect("a look").is_some());
}

//! Owns what the store promises of a batch of imported keys: each row has the outcome that it would have alone.

use grantd::{
    model::{
        key::KeyForm,
        project::{DisabledBy, Project},
        secret::{Digest, new_id},
    },
    store::{ImportBatch, ImportOutcome, ImportProgress, ImportedKey},
};

use super::{Base, NOW, who};

on_each_engine!(a_row_of_a_batch_has_the_outcome_it_has_alone);

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";

fn key(text: &str, owner: &str, project: Option<&str>) -> ImportedKey {
    ImportedKey {
        id: new_id("key"),
        digest: Digest::of(text),
        owner: owner.to_owned(),
        name: "Imported key".to_owned(),
        prefix: String::new(),
        hint: String::new(),
        scopes: "read".to_owned(),
        environment: "live".to_owned(),
        project: project.map(ToOwned::to_owned),
        plan: None,
        networks: String::new(),
        expires_at: None,
    }
}

async fn a_row_of_a_batch_has_the_outcome_it_has_alone(base: Base) {
    for (name, one_live_key, disabled) in [("many", false, false), ("one", true, false), ("off", false, true)] {
        let project = Project {
            id: new_id("project"),
            user_id: base.user.clone(),
            name: name.to_owned(),
            key_form: KeyForm::Prefixed,
            one_live_key,
            key_terms: Default::default(),
            plan: None,
            disabled_by: None,
            created_at: NOW,
        };
        base.store.insert_project(NOW, who(), project).await.expect("a project");
        if disabled {
            let by = DisabledBy::Owner.as_str();
            base.database.run(&format!("UPDATE projects SET disabled_by = '{by}' WHERE name = '{name}'")).await;
        }
    }
    let refused = |why: &'static str| ImportOutcome::Refused(why.into());
    let (theirs, new, there) =
        ("the key already exists and belongs to another user", ImportOutcome::Imported, ImportOutcome::Present);
    let one = "this project allows one active key; regenerate it, or revoke it first";
    let rows = [
        (key("a", ALICE, None), new.clone(), there.clone()),
        (key("a", ALICE, None), there.clone(), there.clone()),
        (key("a", BOB, None), refused(theirs), refused(theirs)),
        (key("b", BOB, None), new.clone(), there.clone()),
        (key("c", ALICE, Some("one")), new.clone(), there.clone()),
        (key("d", ALICE, Some("one")), refused(one), refused(one)),
        (
            key("e", ALICE, Some("none")),
            refused("the owner does not have this project"),
            refused("the owner does not have this project"),
        ),
        (key("f", ALICE, Some("many")), new.clone(), there.clone()),
        (key("f", ALICE, Some("many")), there.clone(), there.clone()),
        (key("g", ALICE, Some("off")), refused("the project is disabled"), refused("the project is disabled")),
        (key("h", ALICE, None), new, there),
    ];
    let import = async |plan: Option<&str>, is_dry| {
        let batch = ImportBatch {
            id: "import".to_owned(),
            keys: rows.iter().map(|(key, ..)| ImportedKey { id: new_id("key"), ..key.clone() }).collect(),
            progress: ImportProgress::default(),
            owners_plan: plan.map(ToOwned::to_owned),
            dry_run: is_dry,
        };
        base.store.import_keys(NOW, who(), batch).await.expect("imported")
    };
    let (outcomes, progress) = import(Some("free"), true).await;
    assert_eq!((outcomes[3].clone(), progress.owners), (ImportOutcome::Imported, 0), "nothing is created");
    let (outcomes, _) = import(None, false).await;
    assert_eq!(outcomes[3], refused("there is no user with the owner's address"));
    base.database.run("DELETE FROM api_keys").await;
    let (outcomes, progress) = import(Some("free"), false).await;
    assert_eq!(outcomes, rows.iter().map(|(_, first, _)| first.clone()).collect::<Vec<_>>());
    assert_eq!((progress.imported, progress.present, progress.refused, progress.owners), (5, 2, 4, 1));
    let (outcomes, progress) = import(Some("free"), false).await;
    assert_eq!(outcomes, rows.iter().map(|(.., again)| again.clone()).collect::<Vec<_>>());
    assert_eq!((progress.imported, progress.present, progress.refused, progress.owners), (0, 7, 4, 0));
}

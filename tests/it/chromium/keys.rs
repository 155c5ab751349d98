//! Owns tests of API keys: generating, seeing once, using, revoking.

use std::fs;

use grantd::model::secret::random_base62;
use thirtyfour::Key;

use super::{EMAIL, Place};
use crate::harness::chromium::Screen;

#[tokio::test]
async fn keys_are_shown_once_work_and_are_revoked() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.sign_in().await;
        window.see("No keys yet").await;
        window.fill("#key-name", "Nightly backup").await;
        window.click("label:has([name=scope][value=read])").await;
        window.click("label:has([name=environment][value=test])").await;
        window.click("#key-expiry option[value='30d']").await;
        window.press("Generate new key").await;
        window.page("Your new key").await;
        let key = window.text("#key").await;
        assert!(key.starts_with("gd_test_"), "{key}");
        window.click("[data-copy=key]").await;
        window.see("Copied").await;
        let me = place.server.get_as("/v1/users/me", &key).await;
        me.status(200);
        assert_eq!((me.text("id"), me.text("scope")), (place.user_id.clone(), "read".to_owned()));
        window.reload().await;
        window.see("A key is shown only once.").await;
        window.page("API keys").await;
        assert!(!window.source().await.contains(&key));
        place.goto("/settings/keys").await;
        window.page("API keys").await;
        assert!(!window.source().await.contains(&key));
        assert_eq!(window.shown("article").await, 1, "sending the form again made no second key");
        let row = window.text("article").await;
        assert!(row.contains("Nightly backup") && row.contains("active"), "{row}");
        assert_eq!(window.shown(".sheet button").await, 0, "nothing is revoked by one slip");
        window.click("button[popovertarget^='re']").await;
        window.see("Revoke Nightly backup?").await;
        window.press("Cancel").await;
        window.gone(".sheet").await;
        window.click("button[popovertarget^='re']").await;
        window.see("Revoke Nightly backup?").await;
        window.keys(Key::Escape).await;
        window.gone(".sheet").await;
        window.click("button[popovertarget^='re']").await;
        window.press("Revoke key").await;
        window.see("The key was revoked.").await;
        window.page("API keys").await;
        place.server.get_as("/v1/users/me", &key).await.status(401);
        place.server.introspect(&place.api, &key).await.inactive();
        window.click("details.more > summary").await;
        let row = window.text("article").await;
        assert!(row.contains("Nightly backup") && row.contains("revoked"), "{row}");
        place.window.close().await;
    }
}

#[tokio::test]
async fn page_of_many_keys_is_short() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let line = |_| format!("sk_live_{},{EMAIL},read\n", random_base62(32));
        let keys: String = (0..500).map(line).collect();
        fs::write(place.here.path("keys.csv"), format!("key,owner,scopes\n{keys}")).expect("a file");
        place.here.run(&["key", "import", "keys.csv"]);
        place.sign_in().await;
        let window = &place.window;
        window.see("500 active keys").await;
        let height = window.script("return document.documentElement.scrollHeight", vec![]).await.expect("a number");
        let limit = if matches!(screen, Screen::Desktop) { 3000 } else { 6000 };
        assert!(height.as_u64().expect("a number") < limit, "{height} px");
        window.click("a[rel=next]").await;
        window.see("First page").await;
        assert_eq!(window.shown("article").await, 12);
        place.window.close().await;
    }
}

#[tokio::test]
async fn key_form_marks_errors_and_keeps_the_input() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.sign_in().await;
        window.fill("#key-name", "Kept").await;
        window.press("Generate new key").await;
        window.see("The key was not created.").await;
        window.page("API keys").await;
        assert!(window.text("#key-scope-error").await.contains("Choose at least one permission"));
        assert_eq!(window.value("#key-name").await, "Kept");
        window.click("label:has([name=scope][value=write])").await;
        window.press("Generate new key").await;
        window.page("Your new key").await;
        let key = window.text("#key").await;
        assert_eq!(place.server.introspect(&place.api, &key).await.active()["scope"], "write");
        place.window.close().await;
    }
}

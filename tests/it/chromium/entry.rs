//! Owns tests of signing in and out: with a pointer, with the keyboard, without JavaScript.

use thirtyfour::{Key, SameSite};

use super::{EMAIL, Place, sign_in};
use crate::harness::{
    app::PASSWORD,
    callback::Callback,
    chromium::{Screen, Window},
};

#[tokio::test]
async fn users_sign_in_and_out() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.goto("/settings/keys").await;
        window.page("Sign in").await;
        sign_in(window, "wrong horse battery").await;
        window.see("The email address or password is wrong.").await;
        window.page("Sign in").await;
        assert_eq!((window.value("#email").await.as_str(), window.value("#password").await.as_str()), (EMAIL, ""));
        assert_eq!(window.focused().await, "password", "what is to be typed again");
        window.fill("#password", PASSWORD).await;
        window.press("Sign in").await;
        window.page("API keys").await;
        let session = window.cookie("grantd_session").await;
        assert_eq!((session.http_only, session.same_site), (Some(true), Some(SameSite::Lax)));
        assert_eq!(window.script("return document.cookie", vec![]).await.expect("an answer"), "");
        window.click(".who").await;
        window.see(EMAIL).await;
        window.press("Sign out").await;
        window.page("Sign in").await;
        window.back().await;
        window.page("Sign in").await;
        place.window.close().await;
    }
}

#[tokio::test]
async fn pages_work_with_the_keyboard_alone() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.goto("/login").await;
        window.page("Sign in").await;
        assert_eq!(window.focused().await, "email");
        window.keys(EMAIL + Key::Tab + PASSWORD + Key::Enter).await;
        window.page("API keys").await;
        window.keys(Key::Tab).await;
        assert_eq!(window.focused().await, "Skip to content");
        let at = window.script("return document.activeElement.getBoundingClientRect().top >= 0", vec![]).await;
        assert_eq!(at.expect("an answer"), true, "one sees where the focus is");
        let label = "return document.activeElement.textContent.includes('account menu')";
        for press in 0.. {
            assert!(press < 10, "no way to the menu");
            window.keys(Key::Tab).await;
            if window.script(label, vec![]).await.expect("an answer") == true {
                break;
            }
        }
        window.keys(Key::Enter).await;
        window.see(EMAIL).await;
        for stop in ["Security", "Activity", "Why was my request refused?", "Sign out"] {
            window.keys(Key::Tab).await;
            assert_eq!(window.focused().await, stop);
        }
        window.keys(Key::Enter).await;
        window.page("Sign in").await;
        place.window.close().await;
    }
}

#[tokio::test]
async fn pages_work_without_javascript() {
    let place = Place::seen_in(Window::without_scripts(Screen::Phone).await).await;
    let window = &place.window;
    let mut callback = Callback::start().await;
    let client = place.app(&callback.uri);
    place.start(&client, &callback.uri).await;
    window.page("Sign in").await;
    sign_in(window, PASSWORD).await;
    window.page("Test app wants to access your account").await;
    window.press("Allow").await;
    let code = callback.visit().await.remove("code").expect("a code");
    let (access, _) = place.exchange(&client, &callback.uri, &code).await;
    place.goto("/settings/keys").await;
    window.page("API keys").await;
    window.fill("#key-name", "Backup").await;
    window.tick("[name=scope][value=read]").await;
    window.press("Generate new key").await;
    window.page("Your new key").await;
    assert_eq!(window.shown("button[data-copy]").await, 0, "they would do nothing");
    let key = window.text("#key").await;
    place.server.get_as("/v1/users/me", &key).await.status(200);
    window.press("I have copied it; back to my keys").await;
    window.page("API keys").await;
    window.click("button[popovertarget^='re']").await;
    window.press("Revoke key").await;
    window.see("The key was revoked.").await;
    place.server.get_as("/v1/users/me", &key).await.status(401);
    place.goto("/settings/apps").await;
    window.page("Connected apps").await;
    window.click("button[popovertarget^='re']").await;
    window.press("Remove access").await;
    window.see("Access was removed.").await;
    place.server.introspect(&place.api, &access).await.inactive();
    window.click(".who").await;
    window.press("Sign out").await;
    window.page("Sign in").await;
    place.window.close().await;
}

//! Owns tests of allowing, denying and removing an app's access.

use super::{EMAIL, Place, sign_in};
use crate::harness::{app::PASSWORD, callback::Callback, chromium::Screen, process::free_port};

const ASKED: &str = "Test app wants to access your account";

#[tokio::test]
async fn allow_returns_the_user_with_a_code() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        let mut callback = Callback::start().await;
        let client = place.app(&callback.uri);
        place.start(&client, &callback.uri).await;
        window.page("Sign in").await;
        window.see("to continue to Test app").await;
        sign_in(window, PASSWORD).await;
        window.page(ASKED).await;
        let words = window.words().await;
        for shown in [
            "Returns you to 127.0.0.1",
            "Local app",
            "On Example API, it will be able to",
            "May read read",
            "May write write",
            &format!("App id {}", client.id),
            &format!("Signed in as {EMAIL}"),
        ] {
            assert!(words.contains(shown), "{shown}: {words}");
        }
        window.press("Allow").await;
        window.see("Back at the app").await;
        let came = callback.visit().await;
        assert_eq!(came.keys().collect::<Vec<_>>(), ["code", "iss", "state"]);
        assert_eq!((came["state"].as_str(), &came["iss"]), ("st4te", &place.server.base));
        let (access, _) = place.exchange(&client, &callback.uri, &came["code"]).await;
        let answer = place.server.introspect(&place.api, &access).await.active();
        assert_eq!((&answer["sub"], &answer["scope"]), (&place.user_id.as_str().into(), &"read write".into()));
        place.window.close().await;
    }
}

#[tokio::test]
async fn deny_returns_the_user_without_a_code() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        let mut callback = Callback::start().await;
        let client = place.app(&callback.uri);
        place.sign_in().await;
        place.start(&client, &callback.uri).await;
        window.page(ASKED).await;
        window.press("Deny").await;
        window.see("Back at the app").await;
        let came = callback.visit().await;
        assert_eq!((came["error"].as_str(), came["state"].as_str()), ("access_denied", "st4te"));
        assert_eq!((came.get("iss"), came.get("code")), (Some(&place.server.base), None));
        place.goto("/settings/apps").await;
        window.page("Connected apps").await;
        window.see("No app has access").await;
        place.window.close().await;
    }
}

#[tokio::test]
async fn callbacks_of_every_kind_are_reached() {
    // THREATS: SE3
    // RFC 8252 §7 allows loopback addresses and private-use schemes; an app may also redirect to another of its origins.
    let place = Place::new(Screen::Desktop).await;
    let window = &place.window;
    let mut callback = Callback::start().await;
    let (loopback, private) = (format!("http://[::1]:{}/callback", free_port()), "com.example.app:/callback");
    place.sign_in().await;
    for uri in [&callback.onward, &loopback, private] {
        place.start(&place.app(uri), uri).await;
        window.page(ASKED).await;
        window.press("Allow").await;
        if *uri == callback.onward {
            window.arrive(&callback.uri).await;
        } else if *uri == loopback {
            window.arrive(uri).await;
        } else {
            // There is no such program here; the page must just not cause an error in Chromium.
            window.page(ASKED).await;
        }
    }
    assert!(callback.visit().await.contains_key("code"));
    place.goto("/settings/apps").await;
    window.page("Connected apps").await;
    assert_eq!(window.shown("article").await, 3);
    place.window.close().await;
}

#[tokio::test]
async fn removing_access_revokes_the_apps_tokens() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        let mut callback = Callback::start().await;
        let client = place.app(&callback.uri);
        place.sign_in().await;
        place.start(&client, &callback.uri).await;
        window.page(ASKED).await;
        window.press("Allow").await;
        let code = callback.visit().await.remove("code").expect("a code");
        let (access, refresh) = place.exchange(&client, &callback.uri, &code).await;
        place.server.introspect(&place.api, &access).await.active();
        place.goto("/").await;
        window.page("API keys").await;
        window.press("Connected apps").await;
        window.page("Connected apps").await;
        window.see("Test app").await;
        assert_eq!(window.shown(".sheet button").await, 0, "nothing is removed by one slip");
        window.click("button[popovertarget^='re']").await;
        window.press("Remove access").await;
        window.see("Access was removed.").await;
        window.page("Connected apps").await;
        window.see("No app has access").await;
        place.server.introspect(&place.api, &access).await.inactive();
        let again = place.server.try_refresh(&client, &refresh).await.expect("a reply");
        again.oauth_error("invalid_grant");
        place.start(&client, &callback.uri).await;
        window.page(ASKED).await;
        place.window.close().await;
    }
}

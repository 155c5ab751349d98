//! Owns tests of own apps: registering, changing, a new secret, deleting.

use super::Place;
use crate::harness::{
    OAuthClient,
    callback::Callback,
    chromium::{Screen, Window},
    flow::authorize_url,
};

#[tokio::test]
async fn apps_are_registered_and_secrets_shown_once() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        let mut callback = Callback::start().await;
        place.sign_in().await;
        let client = register(&place, &callback.uri).await;
        let secret = client.secret.clone().expect("a secret");
        assert!(client.id.starts_with("client_") && secret.starts_with("gd_secret_"), "{client:?}");
        window.reload().await;
        window.see("A secret is shown only once.").await;
        window.page("Register an app").await;
        place.goto("/apps").await;
        window.page("Your apps").await;
        assert_eq!(window.shown(".row").await, 1, "sending the form again made no second app");
        window.click(".row-link").await;
        window.page("My app").await;
        assert_eq!(window.text("#client-id").await, client.id);
        assert!(!window.source().await.contains(&secret));
        place.start(&client, &callback.uri).await;
        window.page("My app wants to access your account").await;
        assert!(window.words().await.contains("Unverified Registered by ada"), "{}", window.words().await);
        window.press("Allow").await;
        let code = callback.visit().await.remove("code").expect("a code");
        place.exchange(&client, &callback.uri, &code).await;
        place.window.close().await;
    }
}

#[tokio::test]
async fn changed_redirect_uris_apply_immediately() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.sign_in().await;
        let (old, new) = ("https://app.example.com/old", "https://app.example.com/new");
        let client = register(&place, old).await;
        window.press("Continue to the app").await;
        window.page("My app").await;
        window.fill("#app-uris", "https://*.example.com/").await;
        window.press("Save changes").await;
        window.see("Nothing was changed.").await;
        window.page("My app").await;
        assert!(window.text("#app-uris-error").await.starts_with("Line 1: "));
        assert_eq!(window.value("#app-uris").await, "https://*.example.com/", "what was typed is there to correct");
        window.fill("#app-uris", &format!("{new}\n{new}/2")).await;
        window.press("Save changes").await;
        window.see("Saved.").await;
        window.page("My app").await;
        assert_eq!(window.value("#app-uris").await, format!("{new} {new}/2"));
        place.goto(&authorize_url(&client, &[("redirect_uri", new)])).await;
        window.page("My app wants to access your account").await;
        window.see("Returns you to app.example.com").await;
        place.server.get(&authorize_url(&client, &[("redirect_uri", old)])).await.page(400);
        place.window.close().await;
    }
}

#[tokio::test]
async fn old_secret_works_during_the_overlap() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.sign_in().await;
        let old = register(&place, "https://app.example.com/callback").await;
        let path = format!("/apps/{}", old.id);
        place.goto(&path).await;
        window.page("My app").await;
        window.click("#overlap option[value='1h']").await;
        window.press("Rotate secret").await;
        window.page("New secret").await;
        window.see("The previous secret keeps working until").await;
        let new = shown(window).await;
        assert_eq!(new.id, old.id);
        assert!(new.secret != old.secret && works(&place, &old).await && works(&place, &new).await);
        place.goto(&path).await;
        window.page("My app").await;
        assert_eq!((window.shown(".badge.good").await, window.shown(".badge.warn").await), (1, 1));
        window.click("#overlap option[value='0s']").await;
        window.press("Rotate secret").await;
        window.page("New secret").await;
        let newest = shown(window).await;
        assert!(!works(&place, &old).await && !works(&place, &new).await && works(&place, &newest).await);
        place.goto(&path).await;
        window.page("My app").await;
        window.click("details.danger-zone summary").await;
        window.press("Delete app").await;
        window.see("The app was deleted.").await;
        window.page("Your apps").await;
        assert!(!works(&place, &newest).await);
        place.window.close().await;
    }
}

/// Registers "My app" with both scopes, up to the page that shows its secret.
async fn register(place: &Place, redirect_uri: &str) -> OAuthClient {
    let window = &place.window;
    window.press("Your apps").await;
    window.page("Your apps").await;
    window.press("Register an app").await;
    window.page("Register an app").await;
    window.fill("#app-name", "My app").await;
    window.fill("#app-uris", redirect_uri).await;
    window.click("label:has([name=scope][value=read])").await;
    window.click("label:has([name=scope][value=write])").await;
    window.press("Register app").await;
    window.page("App registered").await;
    shown(window).await
}

async fn shown(window: &Window) -> OAuthClient {
    OAuthClient { id: window.text("#client-id").await, secret: Some(window.text("#client-secret").await) }
}

/// Whether the token endpoint accepts this app's secret.
async fn works(place: &Place, client: &OAuthClient) -> bool {
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    place.server.post_as(client, "/oauth/token", &form).await.text("error") != "invalid_client"
}

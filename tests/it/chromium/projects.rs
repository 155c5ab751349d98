//! Owns tests of projects with one UUID key: networks, rotation, usage charts, reasons of refusals.

use super::Place;
use crate::harness::chromium::{Screen, Window};

/// Creates a project on its page, which is shown at the end.
async fn make(window: &Window, name: &str, is_grid: bool) {
    window.press("Projects").await;
    window.page("Projects").await;
    window.see("No projects yet").await;
    window.fill("#project-name", name).await;
    if is_grid {
        window.click("label:has([name=key_form][value=uuid])").await;
        window.click("label:has([name=one_live_key])").await;
    }
    window.press("Create project").await;
    window.page(name).await;
    window.see("The project was created.").await;
}

#[tokio::test]
async fn single_key_project_gets_a_key_and_a_replacement() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.sign_in().await;
        make(window, "Grid 7", true).await;
        window.fill("#key-name", "Telemetry").await;
        window.click("label:has([name=scope][value=read])").await;
        window.press("Generate new key").await;
        window.page("Your new key").await;
        let old = window.text("#key").await;
        assert_eq!((old.len(), old.matches('-').count()), (36, 4), "{old}");
        place.server.get_as("/v1/users/me", &old).await.status(200);
        window.press("I have copied it; back to Grid 7").await;
        window.page("Grid 7").await;
        assert!(!window.source().await.contains(&old));
        assert_eq!(window.shown("#new-key").await, 0, "one active key at a time");
        assert_eq!(window.shown(".danger-zone button").await, 0, "nothing ends by one slip");
        window.click(".stack .danger-zone summary").await;
        window.page("Grid 7").await;
        window.press("Regenerate API Key").await;
        window.page("Your new key").await;
        let new = window.text("#key").await;
        assert!(new.len() == 36 && new != old);
        window.see("no longer works").await;
        place.server.get_as("/v1/users/me", &old).await.status(401);
        place.server.get_as("/v1/users/me", &new).await.status(200);
        window.reload().await;
        window.see("A key is shown only once.").await;
        window.page("Telemetry").await;
        assert!(!window.source().await.contains(&new));
        place.server.get_as("/v1/users/me", &new).await.status(200);
        window.press("Projects").await;
        window.page("Projects").await;
        window.click(".row-link").await;
        window.page("Grid 7").await;
        window.click("details.more > summary").await;
        assert_eq!(window.shown("article").await, 2);
        window.click(".setting .danger-zone summary").await;
        window.press("Disable project").await;
        window.see("This project is disabled.").await;
        window.page("Grid 7").await;
        place.server.introspect(&place.api, &new).await.inactive();
        window.press("Enable project").await;
        window.see("Its keys work again.").await;
        place.window.close().await;
    }
}

#[tokio::test]
async fn network_errors_are_shown_and_the_input_kept() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.sign_in().await;
        window.fill("#key-name", "Bounded").await;
        window.click("label:has([name=scope][value=read])").await;
        window.click("#new-key details summary").await;
        window.fill("#key-networks", "10.0.0.7/8").await;
        window.press("Generate new key").await;
        window.see("The key was not created.").await;
        window.page("API keys").await;
        assert!(window.text("#key-networks-error").await.contains("use 10.0.0.0/8 instead"));
        assert_eq!(window.value("#key-name").await, "Bounded");
        assert_eq!(window.value("#key-networks").await, "10.0.0.7/8", "what was typed is there to correct");
        window.fill("#key-networks", "10.0.0.0/8").await;
        window.press("Generate new key").await;
        window.page("Your new key").await;
        let key = window.text("#key").await;
        // This address is outside the allowed network.
        let refused = place.server.get_as("/v1/users/me", &key).await;
        refused.status(401);
        place.goto("/settings/keys").await;
        window.page("API keys").await;
        window.see("10.0.0.0/8").await;
        window.click(".title").await;
        window.page("Bounded").await;
        window.fill("#key-networks", "10.0.0.0/8 nonsense").await;
        window.press("Save networks").await;
        window.see("Nothing was changed.").await;
        window.page("Bounded").await;
        assert!(window.text("#key-networks-error").await.starts_with("Nonsense is not a network"));
        window.fill("#key-networks", "127.0.0.1").await;
        window.press("Save networks").await;
        window.see("The key works only from one network.").await;
        place.server.get_as("/v1/users/me", &key).await.status(200);
        place.window.close().await;
    }
}

#[tokio::test]
async fn refused_requests_are_explained() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.sign_in().await;
        window.fill("#key-name", "Nightly backup").await;
        window.click("label:has([name=scope][value=read])").await;
        window.press("Generate new key").await;
        window.page("Your new key").await;
        let key = window.text("#key").await;
        place.goto("/settings/keys").await;
        window.page("API keys").await;
        window.click("button[popovertarget^='re']").await;
        window.press("Revoke key").await;
        window.see("The key was revoked.").await;
        let refused = place.server.get_as("/v1/users/me", &key).await;
        refused.status(401);
        window.click(".who").await;
        window.page("API keys").await;
        window.press("Why was my request refused?").await;
        window.page("Why was my request refused?").await;
        window.fill("#request-id", "req_never").await;
        window.press("Search").await;
        window.see("Nothing found.").await;
        window.page("Why was my request refused?").await;
        window.fill("#request-id", refused.header("x-request-id")).await;
        window.press("Search").await;
        window.see("Revoked just now.").await;
        window.page("Why was my request refused?").await;
        window.press("Nightly backup").await;
        window.page("Nightly backup").await;
        place.goto("/settings/activity").await;
        window.page("Activity").await;
        window.see("Nightly backup was revoked").await;
        place.window.close().await;
    }
}

#[tokio::test]
async fn key_usage_is_shown_as_chart_and_table() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.sign_in().await;
        window.fill("#key-name", "Busy").await;
        window.click("label:has([name=scope][value=read])").await;
        window.press("Generate new key").await;
        window.page("Your new key").await;
        let key = window.text("#key").await;
        for _ in 0..3 {
            place.server.get_as("/v1/users/me", &key).await.status(200);
        }
        place.goto("/settings/keys").await;
        window.page("API keys").await;
        window.click(".title").await;
        window.page("Busy").await;
        // Counts are written in batches.
        for tries in 0.. {
            if window.text(".totals .allowed dd").await == "3" {
                break;
            }
            assert!(tries < 500, "{}", window.text(".chart").await);
            window.reload().await;
            window.page("Busy").await;
        }
        assert_eq!(window.shown(".chart .plot g").await, 48 + 30);
        let tall = "const [bar, plot] = ['.chart .allowed[height]', '.chart .plot'].map(css => \
                    document.querySelector(css).getBoundingClientRect()); return bar.height / plot.height";
        let share = window.script(tall, vec![]).await.expect("a number").as_f64().expect("a number");
        assert!((0.8..=1.0).contains(&share), "the one bar is the tallest: {share}");
        assert_eq!(window.shown(".chart table").await, 0);
        window.click(".chart details summary").await;
        window.page("Busy").await;
        assert!(window.text(".chart tbody").await.ends_with("3 0 0"), "{}", window.text(".chart tbody").await);
        window.see("This key was used for the first time").await;
        window.click("#overlap option[value='1h']").await;
        window.press("Rotate API Key").await;
        window.page("Your new key").await;
        window.see("keeps working until").await;
        place.server.get_as("/v1/users/me", &key).await.status(200);
        place.server.get_as("/v1/users/me", &window.text("#key").await).await.status(200);
        place.window.close().await;
    }
}

//! Owns tests of pages outside the usual flows, and of very long words. `Window::page` does the checks.

use serde_json::json;

use super::{EMAIL, Place};
use crate::harness::{OAuthClient, app::PASSWORD, chromium::Screen, flow::authorize_url};

#[tokio::test]
async fn error_and_notice_pages_are_complete() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        let iss = place.server.base.replace(':', "%3A").replace('/', "%2F");
        for (path, heading) in [
            ("/nowhere", "Not found"),
            ("/oauth/authorize?client_id=nobody", "Invalid request"),
            ("/apps/callback", "Example callback"),
            ("/api/docs", "API reference"),
            (&format!("/apps/callback?code=gd_code_{}&state=x&iss={iss}", "a".repeat(90)), "Your authorization code"),
            ("/apps/callback?error=access_denied&error_description=no", "The sign-in failed"),
        ] {
            place.goto(path).await;
            window.page(heading).await;
        }
        place.window.close().await;
    }
}

#[tokio::test]
async fn long_words_fit_on_every_page() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        let long = "W".repeat(100);
        let email = format!("{}@example.com", "m".repeat(60));
        let user = ["user", "create", "--email", &email, "--name", &long, "--password-stdin"];
        place.here.json_with(&user, PASSWORD);
        let uri = format!("https://{}.example.com/{}", "h".repeat(60), "p".repeat(300));
        let app = ["client", "create", "--name", &long, "--redirect-uri", &uri, "--scope", "read"];
        let app = place.here.json(&app);
        let client = OAuthClient { id: app["id"].as_str().expect("an id").to_owned(), secret: None };
        place.goto("/login").await;
        window.page("Sign in").await;
        window.fill("#email", &email).await;
        window.fill("#password", PASSWORD).await;
        window.press("Sign in").await;
        window.page("API keys").await;
        window.fill("#key-name", &long).await;
        window.click("label:has([name=scope][value=read])").await;
        window.press("Generate new key").await;
        window.page("Your new key").await;
        place.goto("/settings/keys").await;
        window.page("API keys").await;
        window.click("button[popovertarget^='re']").await;
        window.page("API keys").await;
        window.press("Cancel").await;
        window.gone(".sheet").await;
        window.click(".title").await;
        window.page(&long).await;
        place.goto("/settings/projects").await;
        window.page("Projects").await;
        window.fill("#project-name", &long).await;
        window.press("Create project").await;
        window.page(&long).await;
        window.fill("#key-name", &long).await;
        window.click("label:has([name=scope][value=read])").await;
        window.press("Generate new key").await;
        window.page("Your new key").await;
        for (path, heading) in [
            ("/settings/projects", "Projects"),
            ("/settings/activity", "Activity"),
            ("/settings/security", "Security"),
            (&format!("/settings/denied?request_id={}", "m".repeat(64)), "Why was my request refused?"),
            ("/settings/keys", "API keys"),
        ] {
            place.goto(path).await;
            window.page(heading).await;
        }
        window.click(".who").await;
        window.page("API keys").await;
        place.goto(&authorize_url(&client, &[("redirect_uri", &uri), ("scope", "read")])).await;
        window.page(&format!("{long} wants to access your account")).await;
        place.goto("/apps/new").await;
        window.page("Register an app").await;
        window.fill("#app-name", &long).await;
        window.fill("#app-uris", &uri).await;
        window.click("label:has([name=scope][value=read])").await;
        window.press("Register app").await;
        window.page("App registered").await;
        window.press("Continue to the app").await;
        window.page(&long).await;
        place.goto("/apps").await;
        window.page("Your apps").await;
        place.window.close().await;
    }
}

#[tokio::test]
async fn high_contrast_keeps_the_current_tab_and_chart_colors() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        let key = ["key", "create", "--user", EMAIL, "--scope", "read", "--name", "Nightly backup"];
        let key = place.here.json(&key)["id"].as_str().expect("an id").to_owned();
        place.sign_in().await;
        let color = async |css: &str| {
            let script = "return getComputedStyle(document.querySelector(arguments[0]), arguments[1]).backgroundColor";
            let (element, part) = css.split_once("::").map_or((css, None), |(css, part)| (css, Some(part)));
            let part = part.map(|part| format!("::{part}"));
            window.script(script, vec![json!(element), json!(part)]).await.expect("a color").to_string()
        };
        window.high_contrast().await;
        assert_ne!(color(".tabs a[aria-current]::after").await, color("body").await, "the mark below the tab");
        place.goto(&format!("/settings/keys/{key}")).await;
        window.see("Nightly backup").await;
        let mut colors = vec![color("body").await];
        for kind in ["allowed", "denied", "limited"] {
            colors.push(color(&format!(".totals .{kind} dt::before")).await);
        }
        colors.sort();
        colors.dedup();
        assert_eq!(colors.len(), 4, "each square of the legend has a color of its own: {colors:?}");
        place.window.close().await;
    }
}

#[tokio::test]
async fn page_checks_detect_broken_pages() {
    for screen in Screen::ALL {
        let place = Place::new(screen).await;
        let window = &place.window;
        place.goto("/login").await;
        window.page("Sign in").await;
        let spoil = "document.querySelector('label').remove(); \
                     const wide = document.createElement('h1'); wide.style.width = '3000px'; wide.textContent = 'x'; \
                     document.querySelector('main').append(wide); document.documentElement.lang = ''; \
                     return fetch('https://example.com').catch(() => null)";
        window.script(spoil, vec![]).await.expect("spoilt");
        let problems = window.problems().await.join(" ");
        for problem in ["no language", "2 h1", "no label", "wide: <"] {
            assert!(problems.contains(problem), "{problem}: {problems}");
        }
        let complaints = window.complaints().await;
        assert!(complaints.iter().any(|complaint| complaint.contains("Content Security Policy")), "{complaints:?}");
        place.window.close().await;
    }
}

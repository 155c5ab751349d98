//! Owns a Chromium window: opening it at a size, what a person does in it, and what must hold on every page.
//! Waits are for something, and bounded. `browser` is the one without rendering.

use std::{env, fs, sync::LazyLock};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{LoggingPrefsLogLevel, prelude::*};

use super::wait::{self, PATIENCE};

const FLAGS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
/// Reports accessibility and layout problems of a page.
const CHECK: &str = include_str!("check_page.js");

/// The accessibility checker, which tests/run installs.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let file = env::var("GRANTD_TEST_AXE").expect("set by tests/run");
    fs::read_to_string(file).expect("axe.min.js")
});
const AXE_RUN: &str = "\
    const done = arguments[arguments.length - 1]; \
    const options = { resultTypes: ['violations'], rules: { 'label-content-name-mismatch': { enabled: true } } }; \
    axe.run(document, options).then( \
        found => done(found.violations.map(v => `${v.id}: ${v.help}: ${v.nodes.map(n => n.html).join(' ')}`)), \
        error => done([String(error)]));";

/// The size of the window and its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Desktop,
    Phone,
}

/// A window with its own profile.
pub struct Window {
    pub screen: Screen,
    scripts: bool,
    driver: WebDriver,
    _profile: TempDir,
}

impl Screen {
    pub const ALL: [Self; 2] = [Self::Desktop, Self::Phone];

    fn size(self) -> (u32, u32) {
        match self {
            Self::Desktop => (1280, 900),
            Self::Phone => (390, 844),
        }
    }
}

impl Window {
    pub async fn open(screen: Screen) -> Self {
        Self::with(screen, true).await
    }

    /// A browser without page scripts; those of the test still run.
    pub async fn without_scripts(screen: Screen) -> Self {
        Self::with(screen, false).await
    }

    async fn with(screen: Screen, scripts: bool) -> Self {
        let profile = TempDir::new().expect("a directory");
        let capabilities = capabilities(screen, scripts, &profile).expect("capabilities");
        let server = env::var("GRANTD_TEST_WEBDRIVER").expect("set by tests/run");
        // A dropped window is closed from another thread, since connections of this one would not progress.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build();
        let http = http.expect("a client");
        let driver = WebDriver::builder(server, capabilities).client(http).await.expect("a session");
        Self { screen, scripts, driver, _profile: profile }
    }

    /// Closes the window. A dropped one, as in a failing test, is closed too.
    pub async fn close(self) {
        self.driver.quit().await.expect("an end");
    }

    pub async fn goto(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    pub async fn reload(&self) {
        self.driver.refresh().await.expect("reloaded");
    }

    pub async fn back(&self) {
        self.driver.back().await.expect("gone back");
    }

    pub async fn url(&self) -> String {
        self.driver.current_url().await.expect("an address").into()
    }

    /// Waits until the page with this heading is fully shown, and checks it.
    pub async fn page(&self, heading: &str) {
        let script = "return document.readyState === 'complete' ? document.querySelector('h1')?.innerText : null";
        self.until(&format!("the page {heading:?}"), async || {
            Ok(plain(&self.script(script, vec![]).await?).filter(|shown| shown == heading))
        })
        .await;
        self.check().await;
    }

    /// Waits until the window is at this address, whatever follows it.
    pub async fn arrive(&self, address: &str) {
        self.until(address, async || {
            Ok(self.driver.current_url().await.ok().filter(|at| at.as_str().starts_with(address)))
        })
        .await;
    }

    /// Waits until the page shows this text.
    pub async fn see(&self, words: &str) {
        self.until(&format!("{words:?}"), async || {
            Ok(plain(&self.script("return document.body?.innerText", vec![]).await?).filter(|all| all.contains(words)))
        })
        .await;
    }

    /// Waits until no element of this selector is visible.
    pub async fn gone(&self, css: &str) {
        self.until(&format!("no {css}"), async || Ok((self.shown(css).await == 0).then_some(()))).await;
    }

    /// The visible text of the page.
    pub async fn words(&self) -> String {
        self.text("body").await
    }

    /// The source of the page, including hidden parts.
    pub async fn source(&self) -> String {
        self.driver.source().await.expect("a source")
    }

    /// The visible text of the first element of this selector, waited for.
    pub async fn text(&self, css: &str) -> String {
        self.ask(css, "innerText").await
    }

    /// The value of a field.
    pub async fn value(&self, css: &str) -> String {
        self.ask(css, "value").await
    }

    async fn ask(&self, css: &str, property: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.[arguments[1]]";
        self.until(css, async || Ok(plain(&self.script(script, vec![json!(css), json!(property)]).await?))).await
    }

    /// The number of visible elements of this selector.
    pub async fn shown(&self, css: &str) -> usize {
        let script = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).length";
        let count = self.script(script, vec![json!(css)]).await.expect("an answer");
        count.as_u64().and_then(|count| usize::try_from(count).ok()).expect("a count")
    }

    /// The focused element: its id, or its text.
    pub async fn focused(&self) -> String {
        let script = "const at = document.activeElement; return at.id || at.innerText || at.getAttribute('aria-label')";
        plain(&self.script(script, vec![]).await.expect("an answer")).unwrap_or_default()
    }

    /// The value of a script.
    pub async fn script(&self, script: &str, arguments: Vec<Value>) -> WebDriverResult<Value> {
        Ok(self.driver.execute(script, arguments).await?.json().clone())
    }

    /// Types into a field, replacing its value.
    pub async fn fill(&self, css: &str, text: &str) {
        self.until(css, async || {
            let field = self.driver.find(By::Css(css)).await?;
            field.clear().await?;
            field.send_keys(text).await?;
            Ok(Some(()))
        })
        .await;
    }

    /// Clicks or taps the first element of this selector.
    pub async fn click(&self, css: &str) {
        self.until(css, async || self.hit(By::Css(css)).await.map(Some)).await;
    }

    /// Presses the button, or follows the link, with this text.
    pub async fn press(&self, label: &str) {
        let path = format!("//*[self::button or self::a][normalize-space()='{label}']");
        self.until(label, async || self.hit(By::XPath(&path)).await.map(Some)).await;
    }

    async fn hit(&self, by: By) -> WebDriverResult<()> {
        let element = self.driver.find(by).await?;
        if self.scripts {
            return element.click().await;
        }
        // chromedriver waits for a timer after each click, and timers never fire on a page without scripts.
        element.send_keys(Key::Enter).await
    }

    /// Ticks a box with the space bar.
    pub async fn tick(&self, css: &str) {
        self.until(css, async || self.driver.find(By::Css(css)).await?.send_keys(" ").await.map(Some)).await;
    }

    /// Presses keys, wherever the focus is.
    pub async fn keys(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.expect("keys");
    }

    pub async fn cookie(&self, name: &str) -> Cookie {
        self.driver.get_named_cookie(name).await.expect("a cookie")
    }

    /// Forces the reader's own few colors, as high contrast in Windows does.
    pub async fn high_contrast(&self) {
        let server = env::var("GRANTD_TEST_WEBDRIVER").expect("set by tests/run");
        let command = format!("{server}/session/{}/goog/cdp/execute", self.driver.session_id());
        let colors = json!({ "features": [{ "name": "forced-colors", "value": "active" }] });
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let command = http.post(command).json(&json!({ "cmd": "Emulation.setEmulatedMedia", "params": colors }));
        let answer = wait::in_time("other colors", command.send()).await;
        answer.and_then(reqwest::Response::error_for_status).expect("other colors");
    }

    /// Checks that hold on every page: it is accessible and fits the screen, and Chromium logged no errors, such as
    /// violations of the content security policy.
    async fn check(&self) {
        let wrong = [self.problems().await, self.inaccessible().await, self.complaints().await].concat();
        assert!(wrong.is_empty(), "{wrong:?} {}", self.scene().await);
    }

    /// The problems of the current page.
    pub async fn problems(&self) -> Vec<String> {
        let found = self.script(CHECK, vec![json!(self.screen.size().0)]).await.expect("an answer");
        serde_json::from_value(found).expect("words")
    }

    /// Problems that axe finds: every default rule, and that labels match the visible text (WCAG 2.5.3).
    async fn inaccessible(&self) -> Vec<String> {
        // axe waits for timers, which do not fire on pages without scripts.
        if !self.scripts {
            return Vec::new();
        }
        let found = self.driver.execute_async(format!("{}\n{AXE_RUN}", *AXE), vec![]).await.expect("an answer");
        serde_json::from_value(found.json().clone()).expect("words")
    }

    /// What Chromium wrote to its console since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        // An error page is expected: the test requested it.
        let asked_for = format!("{} - Failed to load resource: the server responded", self.url().await);
        let log = self.driver.browser_log().await.expect("a log").into_iter();
        let serious = log.filter(|entry| ["SEVERE", "WARNING"].contains(&entry.level.as_str()));
        serious.map(|entry| entry.message).filter(|message| !message.starts_with(&asked_for)).collect()
    }

    async fn until<T>(&self, what: &str, probe: impl AsyncFn() -> WebDriverResult<Option<T>>) -> T {
        // While a page loads, elements vanish and scripts have no document.
        let found = wait::try_until(async || probe().await.ok().flatten()).await;
        match found {
            Some(found) => found,
            None => panic!("{what} did not come: {:?} {}", probe().await.err(), self.scene().await),
        }
    }

    /// Output for debugging a test.
    async fn scene(&self) -> String {
        let words = self.script("return document.body?.innerText", vec![]).await.ok();
        format!("on the {:?} at {}: {}", self.screen, self.url().await, words.unwrap_or_default())
    }
}

fn capabilities(screen: Screen, scripts: bool, profile: &TempDir) -> WebDriverResult<thirtyfour::ChromeCapabilities> {
    let mut capabilities = DesiredCapabilities::chrome();
    if let Ok(binary) = env::var("GRANTD_TEST_CHROMIUM") {
        capabilities.set_binary(&binary)?;
    }
    for flag in FLAGS {
        capabilities.add_arg(flag)?;
    }
    let (width, height) = screen.size();
    capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
    capabilities.add_arg(&format!("--window-size={width},{height}"))?;
    if screen == Screen::Phone {
        // A desktop window cannot be this narrow; a phone can, and its pages are laid out differently too.
        let metrics = json!({ "width": width, "height": height, "pixelRatio": 2, "touch": true, "mobile": true });
        capabilities.add_experimental_option("mobileEmulation", json!({ "deviceMetrics": metrics }))?;
    }
    if !scripts {
        let prefs = json!({ "profile.managed_default_content_settings.javascript": 2 });
        capabilities.add_experimental_option("prefs", prefs)?;
    }
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All)?;
    Ok(capabilities)
}

/// Text with runs of white space as one space.
fn plain(text: &Value) -> Option<String> {
    text.as_str().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

//! Owns a window of Chromium: opening it at a size, what a person does in it, and what must hold on every page it shows.
//! Waits are for something, and bounded. `browser` is the one that draws nothing.

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
/// Says what is wrong with a page for somebody who cannot see it, or has a small screen.
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

/// What somebody looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Desktop,
    Phone,
}

/// A window with a profile of its own.
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

    /// In a browser that runs no scripts of pages; those of the test still run.
    pub async fn without_scripts(screen: Screen) -> Self {
        Self::with(screen, false).await
    }

    async fn with(screen: Screen, scripts: bool) -> Self {
        let profile = TempDir::new().expect("a directory");
        let capabilities = capabilities(screen, scripts, &profile).expect("capabilities");
        let server = env::var("GRANTD_TEST_WEBDRIVER").expect("set by tests/run");
        // A window that is dropped is ended from another thread, where connections of this one would stand still.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build();
        let http = http.expect("a client");
        let driver = WebDriver::builder(server, capabilities).client(http).await.expect("a session");
        Self { screen, scripts, driver, _profile: profile }
    }

    /// Ends the window; one that is only dropped, as by a failing test, is ended too.
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

    /// Waits until the page with this heading is shown whole, and checks it.
    pub async fn page(&self, heading: &str) {
        let script = "return document.readyState === 'complete' ? document.querySelector('h1')?.innerText : null";
        self.until(&format!("the page {heading:?}"), async || {
            Ok(plain(&self.script(script, vec![]).await?).filter(|shown| shown == heading))
        })
        .await;
        self.check().await;
    }

    /// Waits until the window is at this address, whoever answers there, and whatever is added to it.
    pub async fn arrive(&self, address: &str) {
        self.until(address, async || {
            Ok(self.driver.current_url().await.ok().filter(|at| at.as_str().starts_with(address)))
        })
        .await;
    }

    /// Waits until the page says this.
    pub async fn see(&self, words: &str) {
        self.until(&format!("{words:?}"), async || {
            Ok(plain(&self.script("return document.body?.innerText", vec![]).await?).filter(|all| all.contains(words)))
        })
        .await;
    }

    /// Waits until nothing that this selector finds is seen any more.
    pub async fn gone(&self, css: &str) {
        self.until(&format!("no {css}"), async || Ok((self.shown(css).await == 0).then_some(()))).await;
    }

    /// Everything the page says.
    pub async fn words(&self) -> String {
        self.text("body").await
    }

    /// The source of the page, with what cannot be seen.
    pub async fn source(&self) -> String {
        self.driver.source().await.expect("a source")
    }

    /// The visible text of the first element that this selector finds, waited for.
    pub async fn text(&self, css: &str) -> String {
        self.ask(css, "innerText").await
    }

    /// What is in a field.
    pub async fn value(&self, css: &str) -> String {
        self.ask(css, "value").await
    }

    async fn ask(&self, css: &str, property: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.[arguments[1]]";
        self.until(css, async || Ok(plain(&self.script(script, vec![json!(css), json!(property)]).await?))).await
    }

    /// How many elements a person sees that this selector finds.
    pub async fn shown(&self, css: &str) -> usize {
        let script = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).length";
        let count = self.script(script, vec![json!(css)]).await.expect("an answer");
        count.as_u64().and_then(|count| usize::try_from(count).ok()).expect("a count")
    }

    /// The element that has the focus: its id, or what it says.
    pub async fn focused(&self) -> String {
        let script = "const at = document.activeElement; return at.id || at.innerText || at.getAttribute('aria-label')";
        plain(&self.script(script, vec![]).await.expect("an answer")).unwrap_or_default()
    }

    /// The value of a script.
    pub async fn script(&self, script: &str, arguments: Vec<Value>) -> WebDriverResult<Value> {
        Ok(self.driver.execute(script, arguments).await?.json().clone())
    }

    /// Types into a field in place of what is there.
    pub async fn fill(&self, css: &str, text: &str) {
        self.until(css, async || {
            let field = self.driver.find(By::Css(css)).await?;
            field.clear().await?;
            field.send_keys(text).await?;
            Ok(Some(()))
        })
        .await;
    }

    /// Clicks the first element that this selector finds, or taps it.
    pub async fn click(&self, css: &str) {
        self.until(css, async || self.hit(By::Css(css)).await.map(Some)).await;
    }

    /// Presses the button, or follows the link, that says this.
    pub async fn press(&self, label: &str) {
        let path = format!("//*[self::button or self::a][normalize-space()='{label}']");
        self.until(label, async || self.hit(By::XPath(&path)).await.map(Some)).await;
    }

    async fn hit(&self, by: By) -> WebDriverResult<()> {
        let element = self.driver.find(by).await?;
        if self.scripts {
            return element.click().await;
        }
        // chromedriver waits for a timer after each click, and timers of a page without scripts never end.
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

    /// Shows pages in few colors, which are the reader's own, as Windows does in high contrast.
    pub async fn high_contrast(&self) {
        let server = env::var("GRANTD_TEST_WEBDRIVER").expect("set by tests/run");
        let command = format!("{server}/session/{}/goog/cdp/execute", self.driver.session_id());
        let colors = json!({ "features": [{ "name": "forced-colors", "value": "active" }] });
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let command = http.post(command).json(&json!({ "cmd": "Emulation.setEmulatedMedia", "params": colors }));
        let answer = wait::in_time("other colors", command.send()).await;
        answer.and_then(reqwest::Response::error_for_status).expect("other colors");
    }

    /// What must hold on every page: anybody can use it, it fits the screen, and Chromium had nothing to complain of, as it
    /// has where a page breaks its own content security policy.
    async fn check(&self) {
        let wrong = [self.problems().await, self.inaccessible().await, self.complaints().await].concat();
        assert!(wrong.is_empty(), "{wrong:?} {}", self.scene().await);
    }

    /// What is wrong with the page that is shown.
    pub async fn problems(&self) -> Vec<String> {
        let found = self.script(CHECK, vec![json!(self.screen.size().0)]).await.expect("an answer");
        serde_json::from_value(found).expect("words")
    }

    /// What axe finds: every default rule, and that what one sees of a control is what one may say to it (WCAG 2.5.3).
    async fn inaccessible(&self) -> Vec<String> {
        // axe waits for timers, which stand still where pages may run no scripts.
        if !self.scripts {
            return Vec::new();
        }
        let found = self.driver.execute_async(format!("{}\n{AXE_RUN}", *AXE), vec![]).await.expect("an answer");
        serde_json::from_value(found.json().clone()).expect("words")
    }

    /// What Chromium wrote to its console since it was last asked.
    pub async fn complaints(&self) -> Vec<String> {
        // That the page itself is an error is no surprise: the test asked for it.
        let asked_for = format!("{} - Failed to load resource: the server responded", self.url().await);
        let log = self.driver.browser_log().await.expect("a log").into_iter();
        let serious = log.filter(|entry| ["SEVERE", "WARNING"].contains(&entry.level.as_str()));
        serious.map(|entry| entry.message).filter(|message| !message.starts_with(&asked_for)).collect()
    }

    async fn until<T>(&self, what: &str, probe: impl AsyncFn() -> WebDriverResult<Option<T>>) -> T {
        // While a page is on its way, elements vanish and scripts have no document.
        let found = wait::try_until(async || probe().await.ok().flatten()).await;
        match found {
            Some(found) => found,
            None => panic!("{what} did not come: {:?} {}", probe().await.err(), self.scene().await),
        }
    }

    /// What somebody who debugs a test wants to see.
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
        // A window cannot be this narrow; a phone can, and its pages are laid out otherwise too.
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

/// Text as people read it: spaces and line ends are one.
fn plain(text: &Value) -> Option<String> {
    text.as_str().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

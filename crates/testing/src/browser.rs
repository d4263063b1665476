use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::{
    servers::{Browser, Server},
    skip::{server_url, skip},
};

/// A ChromeDriver of a test's own; its browser starts with the first WebDriver session, and ends with this.
#[derive(Debug)]
pub struct TestBrowser {
    /// Where to open WebDriver sessions.
    pub webdriver_url: String,
    chromium: PathBuf,
    _server: Server,
}

/// Starts the ChromeDriver that `SHOP_TEST_CHROMEDRIVER` names, for the Chromium that `SHOP_TEST_CHROMIUM` names.
///
/// # Panics
/// They are installed, but ChromeDriver does not start.
pub async fn browser() -> Option<TestBrowser> {
    let chromedriver = PathBuf::from(server_url("SHOP_TEST_CHROMEDRIVER")?);
    let chromium = PathBuf::from(server_url("SHOP_TEST_CHROMIUM")?);
    let browser = Browser { chromium, chromedriver };
    if !browser.chromium.exists() || !browser.chromedriver.exists() {
        skip("the browser that SHOP_TEST_CHROMIUM and SHOP_TEST_CHROMEDRIVER name is not there");
        return None;
    }
    let chromium = browser.chromium.clone();
    let started = tokio::task::spawn_blocking(move || Server::chromedriver(&browser)).await;
    match started.expect("starting a server does not panic") {
        Ok(server) => Some(TestBrowser { webdriver_url: server.url().to_owned(), chromium, _server: server }),
        Err(error) => panic!("{error:#}"),
    }
}

impl TestBrowser {
    /// The capabilities for a session: headless, in this language (`ru`, `en`), with a window of this size.
    pub fn capabilities(&self, language: &str, (width, height): (u32, u32)) -> Map<String, Value> {
        let options = json!({
            "binary": self.chromium,
            "args": [
                "--headless=new",
                // Makes it end with ChromeDriver, even if that is killed.
                "--remote-debugging-pipe",
                // Its sandbox needs rights that containers and root lack; it only ever sees our own pages.
                "--no-sandbox",
                // /dev/shm is small in containers.
                "--disable-dev-shm-usage",
                "--disable-gpu",
                // The browser vendor's services: not needed, and unreachable where tests run.
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                format!("--lang={language}"),
                format!("--accept-lang={language}"),
                format!("--window-size={width},{height}"),
            ],
        });
        Map::from_iter([("goog:chromeOptions".to_owned(), options)])
    }
}

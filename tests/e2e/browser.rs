//! A person at a browser.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use thirtyfour::{ChromiumLikeCapabilities as _, prelude::*};

use tokio::time::{Instant, sleep};

use crate::{
    portico::{EMAIL, PASSWORD},
    settings,
};

/// Chromium with an empty profile, driven like a person would use it: by what the page shows.
pub(crate) struct Browser {
    driver: WebDriver,
}

/// A session that a failed test leaves open ends with the `WebDriver` server. Closing it here would block
/// the only thread of the test, on which its client would have to answer.
impl Drop for Browser {
    fn drop(&mut self) {
        // An error says that it is closed.
        let _ = self.driver.clone().leak();
    }
}

/// Which browser: the three engines that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Chromium,
    Firefox,
    WebKit,
}

/// How long a page may take to show what is expected of it.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// What the person answers on a consent page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decision {
    /// Agrees.
    Allow,
    /// Does not.
    Deny,
}

/// Without these, Chromium calls home; root has no sandbox.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

impl Browser {
    /// Opens a browser that has never been anywhere.
    pub(crate) async fn open() -> Result<Self> {
        Self::open_in(Engine::Chromium).await
    }

    /// Opens one of this engine.
    pub(crate) async fn open_in(engine: Engine) -> Result<Self> {
        let driver = match engine {
            Engine::Chromium => {
                let mut capabilities = DesiredCapabilities::chrome();
                for argument in ARGUMENTS {
                    capabilities.add_arg(argument)?;
                }
                WebDriver::new(settings::webdriver(), capabilities).await
            }
            Engine::Firefox => {
                let mut capabilities = DesiredCapabilities::firefox();
                capabilities.set_headless()?;
                WebDriver::new(settings::firefox(), capabilities).await
            }
            Engine::WebKit => {
                let mut capabilities = Capabilities::default();
                let binary = format!("/usr/lib/{}-linux-gnu/webkit2gtk-4.1/MiniBrowser", std::env::consts::ARCH);
                let options = serde_json::json!({ "binary": binary, "args": ["--automation"] });
                capabilities.set("webkitgtk:browserOptions", options)?;
                WebDriver::new(settings::webkit(), capabilities).await
            }
        };
        let driver = driver.with_context(|| format!("{engine:?}"))?;
        driver.set_page_load_timeout(Duration::from_secs(30)).await?;
        Ok(Self { driver })
    }

    /// Goes to an address.
    pub(crate) async fn goto(&self, url: &str) -> Result<()> {
        self.driver.goto(url).await.with_context(|| url.to_owned())
    }

    /// Where the browser is.
    pub(crate) async fn address(&self) -> Result<String> {
        Ok(self.driver.current_url().await?.to_string())
    }

    /// What the page says.
    pub(crate) async fn text(&self) -> Result<String> {
        Ok(self.driver.find(By::Tag("body")).await?.text().await?)
    }

    /// Everything the page says, also what it shows only when asked.
    pub(crate) async fn source(&self) -> Result<String> {
        Ok(self.driver.source().await?)
    }

    /// Waits until the page is one of `origin` that says `text`.
    pub(crate) async fn shows(&self, origin: &str, text: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            // The page may be replaced while it is read.
            let page = self.text().await.unwrap_or_default();
            let address = self.address().await?;
            if address.starts_with(origin) && page.contains(text) {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("not \"{text}\" at {address}:\n{page}");
            }
            sleep(POLL).await;
        }
    }

    /// Whether there is anything that matches, now.
    pub(crate) async fn has(&self, css: &str) -> Result<bool> {
        Ok(!self.driver.find_all(By::Css(css)).await?.is_empty())
    }

    /// Clicks what matches.
    pub(crate) async fn click(&self, css: &str) -> Result<()> {
        self.act(css, async |element| element.click().await).await
    }

    /// Clicks the link or button whose text has `text` in it.
    pub(crate) async fn click_text(&self, text: &str) -> Result<()> {
        let quoted = format!("//a[contains(., \"{text}\")] | //button[contains(., \"{text}\")]");
        self.act_on(By::XPath(quoted), text, async |element| element.click().await).await
    }

    /// Replaces what a field holds.
    pub(crate) async fn fill(&self, field: &str, value: &str) -> Result<()> {
        let css = format!("[name={field}]");
        self.act(&css, async |element| {
            element.clear().await?;
            element.send_keys(value).await
        })
        .await
    }

    async fn act(&self, css: &str, action: impl AsyncFn(WebElement) -> WebDriverResult<()>) -> Result<()> {
        self.act_on(By::Css(css), css, action).await
    }

    /// Does something with the first element that matches, once there is one: some pages lead on to the next
    /// by themselves, and one that is just being replaced has elements that are stale.
    async fn act_on(&self, by: By, what: &str, action: impl AsyncFn(WebElement) -> WebDriverResult<()>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let done = match self.driver.find(by.clone()).await {
                Ok(element) => action(element).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > end => {
                    let page = self.text().await.unwrap_or_default();
                    return Err(error).with_context(|| format!("{what} in:\n{page}"));
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// Answers alice's questions until the browser leaves `origin`: signs in where there is a password to
    /// give, and decides where there is something to agree to. Gives the addresses it passed.
    pub(crate) async fn answer(&self, origin: &str, decision: Decision) -> Result<Vec<String>> {
        let button = match decision {
            Decision::Allow => "button[name=decision][value=allow]",
            Decision::Deny => "button[name=decision][value=deny]",
        };
        let (mut passed, end) = (Vec::new(), Instant::now() + PATIENCE);
        while Instant::now() < end {
            let address = self.address().await?;
            if !address.starts_with(origin) {
                return Ok(passed);
            }
            if self.has("[name=password]").await? {
                self.sign_in(EMAIL, PASSWORD).await?;
            } else if self.has(button).await? {
                self.click(button).await?;
            } else {
                sleep(POLL).await;
                continue;
            }
            self.leaves(&address).await?;
            passed.push(address);
        }
        bail!("still asked after {passed:?}:\n{}", self.text().await?)
    }

    /// Waits until the browser is elsewhere than at `address`.
    async fn leaves(&self, address: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.address().await? == address && Instant::now() < end {
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Signs in with a local account on the page that asks for it.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<()> {
        self.fill("email", email).await?;
        self.fill("password", password).await?;
        self.click("form:has([name=password]) button").await
    }

    /// Closes it.
    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.driver.clone().quit().await?)
    }
}

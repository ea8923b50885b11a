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
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            capabilities.add_arg(argument)?;
        }
        let driver = WebDriver::new(settings::webdriver(), capabilities).await.context("Chromium")?;
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

    /// The first element that matches, if any.
    pub(crate) async fn find(&self, css: &str) -> Result<Option<WebElement>> {
        Ok(self.driver.find_all(By::Css(css)).await?.into_iter().next())
    }

    /// The first element that matches, once there is one: some pages lead on to the next by themselves.
    async fn wait_for(&self, css: &str) -> Result<WebElement> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(element) = self.find(css).await? {
                return Ok(element);
            }
            if Instant::now() > end {
                bail!("nothing matches {css} at {}:\n{}", self.address().await?, self.text().await?);
            }
            sleep(POLL).await;
        }
    }

    /// Clicks what matches; the next command waits for the page it leads to.
    pub(crate) async fn click(&self, css: &str) -> Result<()> {
        Ok(self.wait_for(css).await?.click().await?)
    }

    /// Clicks the link or button whose text has `text` in it.
    pub(crate) async fn click_text(&self, text: &str) -> Result<()> {
        for element in self.driver.find_all(By::Css("a, button")).await? {
            if element.text().await?.contains(text) {
                return Ok(element.click().await?);
            }
        }
        bail!("nothing to click says \"{text}\" at {}:\n{}", self.address().await?, self.text().await?)
    }

    /// Replaces what a field holds.
    pub(crate) async fn fill(&self, field: &str, value: &str) -> Result<()> {
        let element = self.wait_for(&format!("[name={field}]")).await?;
        element.clear().await?;
        Ok(element.send_keys(value).await?)
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
            if self.find("[name=password]").await?.is_some() {
                self.sign_in(EMAIL, PASSWORD).await?;
            } else if let Some(button) = self.find(button).await? {
                button.click().await?;
            } else {
                sleep(POLL).await;
                continue;
            }
            passed.push(address);
        }
        bail!("still asked after {passed:?}:\n{}", self.text().await?)
    }

    /// Signs in with a local account on the page that asks for it.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<()> {
        self.fill("email", email).await?;
        self.fill("password", password).await?;
        self.click("form:has([name=password]) button").await
    }

    /// Everything the page says, also what it shows only when asked.
    pub(crate) async fn source(&self) -> Result<String> {
        Ok(self.driver.source().await?)
    }

    /// Closes it.
    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.driver.clone().quit().await?)
    }
}

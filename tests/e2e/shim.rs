//! A `BROWSER` for clients that open one: a script that hands the URL to the test.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// The script and the URLs it was called with.
pub(crate) struct Shim {
    dir: TempDir,
}

impl Shim {
    /// A script that has not been called yet.
    pub(crate) fn new() -> Result<Self> {
        let dir = TempDir::new()?;
        let place = dir.path().display();
        // Renamed into place, so that a URL is seen whole.
        let script =
            format!("#!/bin/sh\nprintf '%s' \"$1\" > {place}/writing.$$ && mv {place}/writing.$$ {place}/url.$$\n");
        let path = dir.path().join("browser");
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { dir })
    }

    /// What to set `BROWSER` to.
    pub(crate) fn program(&self) -> PathBuf {
        self.dir.path().join("browser")
    }

    /// The next URL, once.
    pub(crate) async fn url(&self, within: Duration) -> Result<String> {
        let end = Instant::now() + within;
        loop {
            if let Some(url) = self.take()? {
                return Ok(url);
            }
            if Instant::now() > end {
                bail!("no browser was opened");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The URL of a call that nobody has taken yet.
    pub(crate) fn take(&self) -> Result<Option<String>> {
        let is_url = |path: &Path| path.file_stem().is_some_and(|stem| stem == "url");
        let calls = fs::read_dir(self.dir.path())?.flatten().map(|entry| entry.path());
        let Some(call) = calls.into_iter().find(|path| is_url(path)) else { return Ok(None) };
        let url = fs::read_to_string(&call).context("the shim's file")?;
        fs::remove_file(call)?;
        Ok(Some(url))
    }
}

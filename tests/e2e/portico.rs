//! The binary under test, on an empty directory.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    process::{Process, free_port},
    settings,
};

/// The local account that most tests sign in with.
pub(crate) const EMAIL: &str = "alice@example.com";
/// Its password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A directory and a port for a Portico that is not running yet; others can be told its origin.
pub(crate) struct Place {
    home: TempDir,
    port: u16,
    /// Where it will be.
    pub(crate) origin: String,
}

/// A running Portico.
pub(crate) struct Portico {
    process: Process,
    place: Place,
}

impl Place {
    /// A free one.
    pub(crate) fn new() -> Result<Self> {
        let (home, port) = (TempDir::new()?, free_port()?);
        Ok(Self { home, port, origin: format!("http://127.0.0.1:{port}") })
    }

    /// Starts Portico without any user.
    pub(crate) async fn empty(self) -> Result<Portico> {
        Ok(Portico { process: self.up().await?, place: self })
    }

    /// Starts Portico with alice, who owns the tenant `acme`. `tenant` is what acme has, `platform` goes
    /// before it; secrets are files beside the declaration.
    pub(crate) async fn declared(self, platform: &str, tenant: &str, secrets: &[(&str, &str)]) -> Result<Portico> {
        for (file, secret) in [("alice.password", PASSWORD)].iter().chain(secrets) {
            fs::write(self.home.path().join(file), secret)?;
        }
        let alice = format!(
            "[[user]]\nname = \"alice\"\nemail = \"{EMAIL}\"\npassword_file = \"alice.password\"\noperator = true\n"
        );
        let acme = "[[tenant]]\nslug = \"acme\"\nname = \"Acme\"\nmembers = [{ user = \"alice\", role = \"owner\" }]\n";
        fs::write(self.declaration(), [&alice, platform, acme, tenant].concat())?;
        Ok(Portico { process: self.up().await?, place: self })
    }

    fn declaration(&self) -> PathBuf {
        self.home.path().join("apply.toml")
    }

    async fn up(&self) -> Result<Process> {
        let mut command = Command::new(settings::binary());
        command.arg("up").arg("--data").arg(self.data()).args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        if self.declaration().exists() {
            command.arg("--apply").arg(self.declaration());
        }
        // Short enough to see a client refresh, long enough for what happens between a token and its use.
        command.env("PORTICO_TOKENS__ACCESS", "3s").current_dir(self.home.path());
        let mut process = Process::start(&mut command, &self.home.path().join("portico.log"))?;
        process.await_port(self.port).await.context("portico up")?;
        Ok(process)
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }
}

impl Portico {
    /// Its origin.
    pub(crate) fn origin(&self) -> &str {
        &self.place.origin
    }

    /// `kill -9`, then the same command again.
    pub(crate) async fn crash_and_restart(mut self) -> Result<Self> {
        self.process.kill().await?;
        self.process = self.place.up().await?;
        Ok(self)
    }

    /// The URL of a server of acme.
    pub(crate) fn mcp(&self, server: &str) -> String {
        format!("{}/t/acme/{server}/mcp", self.origin())
    }

    /// The link that a fresh installation prints.
    pub(crate) fn setup_link(&self) -> Result<String> {
        let output = self.process.output();
        let start =
            output.find(&format!("{}/setup", self.origin())).with_context(|| format!("no link in:\n{output}"))?;
        let link = output[start..].split_whitespace().next().context("a link has an end")?;
        Ok(link.to_owned())
    }

    /// Its log.
    pub(crate) fn output(&self) -> String {
        self.process.output()
    }
}

//! Real clients, each run by the small program next to its pinned environment.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{settings, shim::Shim};

/// A client, one per major version.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    /// FastMCP 4.
    FastMcp,
    /// The official Python SDK 2.
    PythonSdk,
    /// The official TypeScript client 2.
    TypeScript2,
    /// The official TypeScript SDK 1.
    TypeScript1,
    /// mcp-remote, as a desktop client runs it.
    McpRemote,
    /// mcp-remote with `--protocol auto`: it looks for a modern server.
    McpRemoteAuto,
}

/// What a client's program prints after each call.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Called {
    /// The revision it agreed on with the server.
    pub(crate) protocol: String,
    /// The tools it was told of.
    pub(crate) tools: Vec<String>,
    /// The text of the answer.
    pub(crate) text: String,
}

/// A client at work.
pub(crate) struct Session {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    log: std::path::PathBuf,
    _home: TempDir,
}

/// How long a client may take for a step; imports alone take seconds on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

impl Client {
    /// Connects to `url` and calls a tool.
    pub(crate) fn connect(self, url: &str, (tool, arguments): (&str, &str), shim: &Shim) -> Result<Session> {
        let home = TempDir::new()?;
        let log = home.path().join("log");
        let mut command = self.command();
        let mut child = command
            .args([url, tool, arguments])
            .env("BROWSER", shim.program())
            .env("HOME", home.path())
            // So that a desktop on the developer's machine is not asked to open anything.
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env("NO_COLOR", "1")
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{self:?}"))?;
        let input = child.stdin.take().context("piped")?;
        let output = BufReader::new(child.stdout.take().context("piped")?).lines();
        Ok(Session { child, input, output, log, _home: home })
    }

    fn command(self) -> Command {
        let python = |environment: &str, driver: &str| {
            let mut command = Command::new(settings::environment(environment).join("bin/python"));
            command.arg(settings::tests(driver));
            command
        };
        let node = |environment: &str| {
            let mut command = Command::new(settings::node());
            command.arg(settings::environment(environment).join("driver.mjs"));
            command
        };
        match self {
            Self::FastMcp => python("fastmcp-client", "clients/fastmcp/driver.py"),
            Self::PythonSdk => python("python-sdk", "clients/python-sdk/driver.py"),
            Self::TypeScript2 => node("ts-client"),
            Self::TypeScript1 => node("ts-sdk"),
            Self::McpRemote => node("mcp-remote"),
            Self::McpRemoteAuto => {
                let mut command = node("mcp-remote");
                command.env("DRIVER_PROTOCOL", "auto");
                command
            }
        }
    }
}

impl Session {
    /// The outcome of the first call, or of the next one.
    pub(crate) async fn called(&mut self) -> Result<Called> {
        let line = timeout(PATIENCE, self.output.next_line()).await;
        match line {
            Ok(Ok(Some(line))) => serde_json::from_str(&line).with_context(|| line.clone()),
            outcome => {
                let status = self.child.try_wait()?;
                bail!("no result ({outcome:?}, {status:?}):\n{}", self.log())
            }
        }
    }

    /// Calls the tool again on the same connection.
    pub(crate) async fn again(&mut self) -> Result<Called> {
        self.start_again().await?;
        self.called().await
    }

    /// Lets it call the tool again without waiting for what comes of it.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"again\n").await?)
    }

    /// How the client ends when it gives up.
    pub(crate) async fn refused(mut self) -> Result<String> {
        let status = timeout(PATIENCE, self.child.wait()).await.context("the client waits on")??;
        if status.success() {
            bail!("the client ended well:\n{}", self.log());
        }
        Ok(self.log())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(Path::new(&self.log)).unwrap_or_default()
    }
}

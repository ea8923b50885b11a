//! Real servers to put Portico in front of.

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    process::{Process, free_port},
    settings,
};

/// A server that tests call a tool of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    /// FastMCP: both eras.
    FastMcp,
    /// The reference server: legacy.
    Everything,
    /// Portico's own: both eras.
    Demo,
}

/// A running server, or none for the built-in one.
pub(crate) struct Upstream {
    server: Server,
    port: u16,
    _process: Option<Process>,
    _home: TempDir,
}

impl Server {
    /// A call of its `echo` that is answered with something that has `said` in it.
    pub(crate) fn echo(self, said: &str) -> (&'static str, String) {
        let argument = match self {
            Self::FastMcp | Self::Demo => "text",
            Self::Everything => "message",
        };
        ("echo", format!(r#"{{"{argument}":"{said}"}}"#))
    }
}

impl Upstream {
    /// Starts one, unless it is built in.
    pub(crate) async fn start(server: Server) -> Result<Self> {
        let (home, port) = (TempDir::new()?, free_port()?);
        let mut command = match server {
            Server::Demo => return Ok(Self { server, port, _process: None, _home: home }),
            Server::FastMcp => {
                let mut command = Command::new(settings::environment("fastmcp-server").join("bin/python"));
                command.arg(settings::tests("servers/fastmcp/server.py")).arg(port.to_string());
                command
            }
            Server::Everything => {
                let modules = settings::environment("everything").join("node_modules");
                let mut command = Command::new(settings::node());
                command.arg(modules.join("@modelcontextprotocol/server-everything/dist/index.js"));
                command.arg("streamableHttp").env("PORT", port.to_string());
                command
            }
        };
        command.env("HOME", home.path());
        let mut process = Process::start(&mut command, &home.path().join("log"))?;
        process.await_port(port).await.with_context(|| format!("{server:?}"))?;
        Ok(Self { server, port, _process: Some(process), _home: home })
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Its table in an `apply` file, with this slug.
    pub(crate) fn declaration(&self, slug: &str) -> String {
        let source = match self.server {
            Server::Demo => r#"{ kind = "builtin", name = "demo" }"#.to_owned(),
            Server::FastMcp | Server::Everything => format!(r#"{{ kind = "http", url = "{}" }}"#, self.url()),
        };
        format!("[[tenant.server]]\nslug = \"{slug}\"\nname = \"{slug}\"\nupstream = {source}\n")
    }
}

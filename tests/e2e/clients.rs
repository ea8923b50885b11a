//! Every client against every server it can speak to: 401, metadata, registration, sign-in and consent in
//! a browser, token, list, call, result; then a refresh without a person.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

use crate::{
    browser::{Browser, Decision},
    client::{Client, PATIENCE},
    portico::{Place, Portico},
    shim::Shim,
    upstream::{Server, Upstream},
};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// The server's slug in acme.
const SLUG: &str = "tools";

async fn check(client: Client, server: Server, protocol: &str) -> Result<()> {
    let upstream = Upstream::start(server).await?;
    let portico = Place::new()?.declared("", &upstream.declaration(SLUG), &[]).await?;
    session(client, server, protocol, &portico).await.with_context(|| portico.output())
}

async fn session(client: Client, server: Server, protocol: &str, portico: &Portico) -> Result<()> {
    let (shim, browser) = (Shim::new()?, Browser::open().await?);
    let (tool, arguments) = server.echo("hello there");
    let mut session = client.connect(&portico.mcp(SLUG), (tool, &arguments), &shim)?;
    browser.goto(&shim.url(PATIENCE).await?).await?;
    browser.answer(portico.origin(), Decision::Allow).await?;
    let first = session.called().await?;
    ensure!(first.protocol == protocol, "spoke {} and not {protocol}", first.protocol);
    ensure!(first.tools.iter().any(|name| name == tool), "{:?}", first.tools);
    ensure!(first.text.contains("hello there"), "{}", first.text);

    // Past the life of the access token.
    sleep(Duration::from_secs(5)).await;
    let second = session.again().await?;
    ensure!(second == first, "{second:?}");
    ensure!(shim.take()?.is_none(), "a person was asked again");
    browser.close().await
}

/// One test per pair.
macro_rules! pairs {
    ($($name:ident: $client:ident, $server:ident, $protocol:expr;)*) => {$(
        #[tokio::test]
        async fn $name() -> Result<()> {
            check(Client::$client, Server::$server, $protocol).await
        }
    )*};
}

pairs! {
    fastmcp_to_fastmcp: FastMcp, FastMcp, MODERN;
    fastmcp_to_everything: FastMcp, Everything, LEGACY;
    fastmcp_to_demo: FastMcp, Demo, MODERN;
    python_sdk_to_fastmcp: PythonSdk, FastMcp, MODERN;
    python_sdk_to_everything: PythonSdk, Everything, LEGACY;
    python_sdk_to_demo: PythonSdk, Demo, MODERN;
    ts_client_to_fastmcp: TypeScript2, FastMcp, MODERN;
    ts_client_to_everything: TypeScript2, Everything, LEGACY;
    ts_client_to_demo: TypeScript2, Demo, MODERN;
    ts_sdk_to_fastmcp: TypeScript1, FastMcp, LEGACY;
    ts_sdk_to_everything: TypeScript1, Everything, LEGACY;
    ts_sdk_to_demo: TypeScript1, Demo, LEGACY;
    mcp_remote_to_fastmcp: McpRemote, FastMcp, LEGACY;
    mcp_remote_to_everything: McpRemote, Everything, LEGACY;
    mcp_remote_to_demo: McpRemote, Demo, LEGACY;
    // What it tells its own client stays the legacy revision.
    mcp_remote_auto_to_demo: McpRemoteAuto, Demo, LEGACY;
}

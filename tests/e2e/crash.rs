//! `kill -9` in the middle of a session: nobody has to sign in or agree again.

use anyhow::{Context as _, Result, ensure};

use crate::{
    browser::{Browser, Decision},
    client::{Client, PATIENCE},
    portico::Place,
    shim::Shim,
    upstream::{Server, Upstream},
};

/// The upstream lives on, so a legacy session goes on with the id it has.
async fn check(client: Client, server: Server) -> Result<()> {
    let upstream = Upstream::start(server).await?;
    let portico = Place::new()?.declared("", &upstream.declaration("tools"), &[]).await?;
    let (browser, shim) = (Browser::open().await?, Shim::new()?);
    let (tool, arguments) = server.echo("still here");
    let mut session = client.connect(&portico.mcp("tools"), (tool, &arguments), &shim)?;
    browser.goto(&shim.url(PATIENCE).await?).await?;
    browser.answer(portico.origin(), Decision::Allow).await?;
    let first = session.called().await?;

    let portico = portico.crash_and_restart().await?;
    let second = session.again().await.with_context(|| portico.output())?;
    ensure!(second == first, "{second:?}");
    ensure!(shim.take()?.is_none(), "a person was asked again");
    browser.goto(&format!("{}/grants", portico.origin())).await?;
    browser
        .shows(&format!("{}/grants", portico.origin()), "My grants")
        .await
        .context("the browser's session is lost")?;
    browser.close().await
}

#[tokio::test]
async fn a_legacy_session_survives() -> Result<()> {
    check(Client::TypeScript1, Server::Everything).await
}

#[tokio::test]
async fn a_modern_client_survives() -> Result<()> {
    check(Client::FastMcp, Server::FastMcp).await
}

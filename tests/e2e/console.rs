//! The pages, in a browser: setting up, registering a server, refusing a client, taking a grant back.

use anyhow::{Context as _, Result, ensure};

use crate::{
    browser::{Browser, Decision},
    client::{Client, PATIENCE},
    portico::{EMAIL, PASSWORD, Place, Portico},
    shim::Shim,
    upstream::{Server, Upstream},
};

#[tokio::test]
async fn a_first_start_is_set_up_with_the_link_it_prints() -> Result<()> {
    let portico = Place::new()?.empty().await?;
    let browser = Browser::open().await?;
    let link = portico.setup_link()?;
    browser.goto(portico.origin()).await?;
    browser.shows(portico.origin(), "Nobody has an account here yet").await?;
    // Opening the link does not use it up: mail scanners and previews do that.
    browser.goto(&link).await?;
    browser.goto(&link).await?;
    browser.fill("name", "Alice").await?;
    browser.fill("email", EMAIL).await?;
    browser.fill("password", PASSWORD).await?;
    browser.click("form:has([name=password]) button").await?;
    browser.shows(portico.origin(), "Alice").await?;

    // It works once, and only once.
    let other = Browser::open().await?;
    other.goto(&link).await?;
    ensure!(!other.has("[name=password]").await?, "{}", other.text().await?);
    other.goto(&format!("{}/login", portico.origin())).await?;
    other.sign_in(EMAIL, PASSWORD).await?;
    other.shows(portico.origin(), "Alice").await?;
    other.close().await?;
    browser.close().await
}

#[tokio::test]
async fn a_server_is_registered_reviewed_and_used() -> Result<()> {
    let upstream = Upstream::start(Server::FastMcp).await?;
    let portico = Place::new()?.declared("", "", &[]).await?;
    let browser = Browser::open().await?;
    browser.goto(&format!("{}/t/acme", portico.origin())).await?;
    browser.sign_in(EMAIL, PASSWORD).await?;
    browser.click("a[href='/t/acme/new']").await?;
    browser.fill("name", "Notes").await?;
    browser.fill("slug", "notes").await?;
    browser.click("[name=source][value=http]").await?;
    browser.fill("url", &upstream.url()).await?;
    browser.click("form[action$='/new'] button").await?;

    browser.shows(portico.origin(), "Review Notes").await?;
    let review = browser.source().await?;
    for shown in ["Say it again.", "Add two numbers.", "notes://first", "summarise"] {
        ensure!(review.contains(shown), "{shown} is not in:\n{review}");
    }
    browser.click("[name=decision][value=live]").await?;
    browser.shows(&format!("{}/t/acme/notes", portico.origin()), &portico.mcp("notes")).await?;

    // The same browser is still signed in: the client's person only has to agree.
    let shim = Shim::new()?;
    let (tool, arguments) = Server::FastMcp.echo("from the console");
    let mut session = Client::FastMcp.connect(&portico.mcp("notes"), (tool, &arguments), &shim)?;
    browser.goto(&shim.url(PATIENCE).await?).await?;
    ensure!(!browser.has("[name=password]").await?, "asked for the password again");
    browser.answer(portico.origin(), Decision::Allow).await?;
    ensure!(session.called().await?.text == "from the console");
    browser.close().await
}

#[tokio::test]
async fn a_person_who_refuses_sends_the_client_away() -> Result<()> {
    let upstream = Upstream::start(Server::Demo).await?;
    let portico = Place::new()?.declared("", &upstream.declaration("demo"), &[]).await?;
    let (browser, shim) = (Browser::open().await?, Shim::new()?);
    let session = Client::PythonSdk.connect(&portico.mcp("demo"), ("echo", "{}"), &shim)?;
    browser.goto(&shim.url(PATIENCE).await?).await?;
    browser.answer(portico.origin(), Decision::Deny).await?;
    let log = session.refused().await?;
    ensure!(log.contains("access_denied"), "{log}");
    browser.close().await
}

#[tokio::test]
async fn a_revoked_grant_ends_the_clients_access() -> Result<()> {
    let upstream = Upstream::start(Server::Demo).await?;
    let portico = Place::new()?.declared("", &upstream.declaration("demo"), &[]).await?;
    revoke(&portico).await.with_context(|| portico.output())
}

async fn revoke(portico: &Portico) -> Result<()> {
    let (browser, shim) = (Browser::open().await?, Shim::new()?);
    let (tool, arguments) = Server::Demo.echo("before");
    let mut session = Client::TypeScript2.connect(&portico.mcp("demo"), (tool, &arguments), &shim)?;
    browser.goto(&shim.url(PATIENCE).await?).await?;
    browser.answer(portico.origin(), Decision::Allow).await?;
    ensure!(session.called().await?.text.contains("before"));

    browser.goto(&format!("{}/grants", portico.origin())).await?;
    browser.shows(portico.origin(), "TypeScript client driver").await?;
    browser.click_text("Revoke").await?;
    browser.shows(portico.origin(), "Revoke this grant?").await?;
    browser.click("form button.danger").await?;
    browser.shows(portico.origin(), "You allowed nothing yet").await?;
    // The client finds its tokens dead and asks the person again, who is not there.
    session.start_again().await?;
    shim.url(PATIENCE).await?;
    browser.close().await
}

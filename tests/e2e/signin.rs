//! Signing in with identity providers, in a browser.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use model::{Clock, Entropy, OsEntropy, SystemClock};
use tempfile::TempDir;
use tests::idp::{Account, GithubIdp, GoogleIdp, Registration};
use tokio::process::Command;

use crate::{
    browser::{Browser, Decision},
    client::{Client, PATIENCE},
    portico::{Place, Portico},
    process::{Process, free_port},
    settings,
    shim::Shim,
    upstream::{Server, Upstream},
};

const CLIENT_ID: &str = "portico-at-the-provider";
pub(crate) const SECRET: &str = "a secret that the provider gave out";

pub(crate) const BOBS: &str =
    "[[tenant]]\nslug = \"bobs\"\nname = \"Bob's place\"\nmembers = [{ user = \"bob\", role = \"owner\" }]\n";

pub(crate) fn registration(place: &Place, connection: &str) -> Registration {
    Registration {
        client_id: CLIENT_ID.to_owned(),
        client_secret: SECRET.to_owned(),
        redirect_uri: format!("{}/oauth/callback/{connection}", place.origin),
    }
}

fn parts() -> (Arc<dyn Clock>, Arc<dyn Entropy>) {
    (Arc::new(SystemClock), Arc::new(OsEntropy))
}

/// A connection, and a person in acme who signs in through it.
pub(crate) fn declaration(id: &str, name: &str, addresses: &str, person: &str, subject: &str) -> String {
    format!(
        "[[user]]\nname = \"{person}\"\ndisplay_name = \"{person}\"\n\
         identities = [{{ connection = \"{id}\", subject = \"{subject}\" }}]\n\
         [[connection]]\nid = \"{id}\"\nkind = \"{id}\"\nname = \"{name}\"\nclient_id = \"{CLIENT_ID}\"\n\
         client_secret_file = \"idp.secret\"\n{addresses}\n"
    )
}

pub(crate) async fn github(place: &Place, accounts: Vec<Account>) -> Result<(GithubIdp, String)> {
    let (clock, entropy) = parts();
    let idp = GithubIdp::start(registration(place, "github"), accounts, clock, entropy).await?;
    let GithubIdp { authorize_url, token_url, api_url, .. } = &idp;
    let addresses =
        format!("authorize_url = \"{authorize_url}\"\ntoken_url = \"{token_url}\"\napi_url = \"{api_url}\"");
    Ok((idp, addresses))
}

async fn google(place: &Place, accounts: Vec<Account>) -> Result<(GoogleIdp, String)> {
    let (clock, entropy) = parts();
    let idp = GoogleIdp::start(registration(place, "google"), accounts, clock, entropy).await?;
    let addresses = format!("issuer = \"{}\"", idp.issuer);
    Ok((idp, addresses))
}

impl Browser {
    /// Chooses a provider on the sign-in page.
    async fn choose(&self, portico: &Portico, provider: &str) -> Result<()> {
        self.goto(&format!("{}/login", portico.origin())).await?;
        self.click_text(&format!("with {provider}")).await
    }

    /// Chooses an account on a provider's page.
    pub(crate) async fn choose_account(&self, subject: &str) -> Result<()> {
        self.click(&format!("button[name=account][value='{subject}']")).await
    }

    /// Whose page it is, as the page says.
    async fn is_signed_in_as(&self, portico: &Portico, person: &str) -> Result<()> {
        self.shows(portico.origin(), person).await
    }
}

#[tokio::test]
async fn with_github() -> Result<()> {
    let place = Place::new()?;
    let (_idp, addresses) = github(&place, vec![Account::new(1001, "bob"), Account::new(1002, "mallory")]).await?;
    let declared = declaration("github", "GitHub", &addresses, "bob", "1001");
    let portico = place.declared(&declared, "", &[("idp.secret", SECRET)]).await?;
    let browser = Browser::open().await?;
    browser.choose(&portico, "GitHub").await?;
    browser.choose_account("1001").await?;
    browser.is_signed_in_as(&portico, "bob").await?;

    // GitHub shows nothing to a person who agreed before.
    browser.goto(portico.origin()).await?;
    browser.click_text("Sign out").await?;
    browser.shows(portico.origin(), "You are signed out").await?;
    browser.choose(&portico, "GitHub").await?;
    browser.is_signed_in_as(&portico, "bob").await?;
    browser.close().await?;

    // A person who cancels is told so, and is nobody.
    let browser = Browser::open().await?;
    browser.choose(&portico, "GitHub").await?;
    browser.choose_account("").await?;
    browser.shows(portico.origin(), "you declined").await?;
    browser.goto(&format!("{}/grants", portico.origin())).await?;
    browser.shows(&format!("{}/login", portico.origin()), "Sign in").await?;
    browser.close().await
}

#[tokio::test]
async fn with_google() -> Result<()> {
    let place = Place::new()?;
    let (_idp, addresses) = google(&place, vec![Account::new(2001, "carol")]).await?;
    let declared = declaration("google", "Google", &addresses, "carol", "2001");
    let portico = place.declared(&declared, "", &[("idp.secret", SECRET)]).await?;
    let browser = Browser::open().await?;
    browser.choose(&portico, "Google").await?;
    browser.choose_account("2001").await?;
    browser.is_signed_in_as(&portico, "carol").await.with_context(|| portico.output())?;
    browser.close().await
}

#[tokio::test]
async fn with_a_certified_provider() -> Result<()> {
    let (place, home, port) = (Place::new()?, TempDir::new()?, free_port()?);
    let mut command = Command::new(settings::node());
    let program = settings::environment("oidc-provider").join("provider.mjs");
    command.arg(program).arg(port.to_string()).args([CLIENT_ID, SECRET]);
    command.arg(registration(&place, "oidc").redirect_uri).env("HOME", home.path());
    let mut provider = Process::start(&mut command, &home.path().join("log"))?;
    provider.await_port(port).await?;

    let addresses = format!("issuer = \"http://localhost:{port}\"");
    let declared = declaration("oidc", "Example ID", &addresses, "dora", "dora");
    let portico = place.declared(&declared, "", &[("idp.secret", SECRET)]).await?;
    let browser = Browser::open().await?;
    browser.choose(&portico, "Example ID").await?;
    browser.fill("login", "dora").await?;
    browser.fill("password", "any").await?;
    browser.click("button[type=submit]").await?;
    // Its consent page.
    browser.click("button[type=submit]").await?;
    browser.is_signed_in_as(&portico, "dora").await.with_context(|| portico.output())?;
    browser.close().await
}

#[tokio::test]
async fn two_people_at_once_stay_two_people() -> Result<()> {
    let place = Place::new()?;
    let (_github, at_github) = github(&place, vec![Account::new(1001, "bob")]).await?;
    let (_google, at_google) = google(&place, vec![Account::new(2001, "carol")]).await?;
    let carols = BOBS.replace("bob", "carol").replace("Bob", "Carol");
    let declared = [
        &declaration("github", "GitHub", &at_github, "bob", "1001"),
        &declaration("google", "Google", &at_google, "carol", "2001"),
        BOBS,
        &carols,
    ]
    .concat();
    let portico = place.declared(&declared, "", &[("idp.secret", SECRET)]).await?;
    let (first, second) = (Browser::open().await?, Browser::open().await?);
    first.choose(&portico, "GitHub").await?;
    second.choose(&portico, "Google").await?;
    first.choose_account("1001").await?;
    second.choose_account("2001").await?;
    for (browser, own, others) in [(&first, "Bob's place", "Carol's place"), (&second, "Carol's place", "Bob's place")]
    {
        browser.shows(portico.origin(), own).await?;
        let text = browser.text().await?;
        ensure!(!text.contains(others), "{text}");
    }
    first.close().await?;
    second.close().await
}

/// Without a session, consent comes before the provider's pages.
#[tokio::test]
async fn a_client_whose_person_signs_in_at_a_provider() -> Result<()> {
    let (place, upstream) = (Place::new()?, Upstream::start(Server::Demo).await?);
    let (_idp, addresses) = github(&place, vec![Account::new(1001, "bob")]).await?;
    let declared = declaration("github", "GitHub", &addresses, "bob", "1001");
    let tenant = format!("{BOBS}{}", upstream.declaration("demo"));
    let portico = place.declared(&declared, &tenant, &[("idp.secret", SECRET)]).await?;
    let (browser, shim) = (Browser::open().await?, Shim::new()?);
    let (tool, arguments) = Server::Demo.echo("by way of GitHub");
    let url = format!("{}/t/bobs/demo/mcp", portico.origin());
    let mut session = Client::TypeScript2.connect(&url, (tool, &arguments), &shim)?;
    browser.goto(&shim.url(PATIENCE).await?).await?;
    browser.click_text("GitHub").await?;
    browser.choose_account("1001").await?;
    browser.answer(portico.origin(), Decision::Allow).await?;
    ensure!(session.called().await?.text.contains("by way of GitHub"));
    browser.close().await
}

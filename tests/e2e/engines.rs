//! The whole chain of pages, forms and redirects of an authorization request, in the three engines that there are.
//!
//! Browsers hold what follows a form against the policy of its page, each in its own way, and drop what does not
//! fit without a word: only arriving shows that it fits.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::{
    Router,
    extract::RawQuery,
    response::{Html, Redirect},
    routing::get,
};
use http::Method;
use serde_json::json;
use tests::{Live, Site, idp::Account};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    browser::{Browser, Engine},
    portico::{Place, Portico},
    signin::{BOBS, SECRET, declaration, github},
};

/// RFC 7636, appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SERVER: &str =
    "[[tenant.server]]\nslug = \"demo\"\nname = \"Demo\"\nupstream = { kind = \"builtin\", name = \"demo\" }\n";

/// An application on this computer. Its callback sends the browser on, as many do: that hop belongs to the chain
/// behind the form as well.
struct Application {
    site: String,
    id: String,
    _listener: JoinHandle<()>,
}

impl Application {
    async fn start(portico: &Portico) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let site = format!("http://localhost:{}", listener.local_addr()?.port());
        let router = Router::new()
            .route(
                "/callback",
                get(async |RawQuery(query): RawQuery| Redirect::to(&format!("/done?{}", query.unwrap_or_default()))),
            )
            .route("/done", get(async || Html("<!doctype html><title>Done</title><p>The application has its answer.")));
        let listener = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a bound listener accepts");
        });
        let metadata = json!({ "client_name": "Application", "redirect_uris": [format!("{site}/callback")] });
        let host = portico.origin().strip_prefix("http://").context("http")?;
        let port = host.rsplit_once(':').context("a port")?.1.parse()?;
        let live: &dyn Site = &Live::at(port, Duration::from_secs(20));
        let headers = [("host", host), ("content-type", "application/json")];
        let answer = live.send(Method::POST, "/oauth/register", &headers, &metadata.to_string()).await.expect(201);
        let id = answer.json()["client_id"].as_str().context("an id")?.to_owned();
        Ok(Self { site, id, _listener: listener })
    }

    /// Where it sends the browser.
    fn request(&self, portico: &Portico) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", &self.id),
                ("redirect_uri", &format!("{}/callback", self.site)),
                ("state", "a state & more"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("resource", &format!("{}/t/bobs/demo/mcp", portico.origin())),
            ])
            .finish();
        format!("{}/oauth/authorize?{query}", portico.origin())
    }

    /// That the browser arrived with this.
    async fn has_answer(&self, browser: &Browser, part: &str) -> Result<()> {
        browser.shows(&format!("{}/done", self.site), "has its answer").await?;
        let address = browser.address().await?;
        ensure!(address.contains(part) && address.contains("state=a%20state%20%26%20more"), "{address}");
        Ok(())
    }
}

/// Consent, the provider, the confirmation and the application; then once more with a session, and a refusal.
async fn chain(engine: Engine) -> Result<()> {
    let place = Place::new()?;
    let (_idp, addresses) = github(&place, vec![Account::new(1001, "bob")]).await?;
    let declared = declaration("github", "GitHub", &addresses, "bob", "1001");
    let portico = place.declared(&declared, &format!("{BOBS}{SERVER}"), &[("idp.secret", SECRET)]).await?;
    let (application, browser) = (Application::start(&portico).await?, Browser::open_in(engine).await?);
    let allow = "button[name=decision][value=allow]";

    browser.goto(&application.request(&portico)).await?;
    browser.shows(portico.origin(), "the account that you choose next").await?;
    browser.click_text("sign in with GitHub").await?;
    // The page between leads on by itself.
    browser.choose_account("1001").await?;
    browser.shows(portico.origin(), "Confirm").await?;
    browser.click(allow).await?;
    application.has_answer(&browser, "code=").await?;

    // `localhost` is another host than ours, so the session is still there.
    browser.goto(&application.request(&portico)).await?;
    browser.shows(portico.origin(), "bob").await?;
    browser.click(allow).await?;
    application.has_answer(&browser, "code=").await?;

    browser.goto(&application.request(&portico)).await?;
    browser.shows(portico.origin(), "bob").await?;
    browser.click("button[name=decision][value=deny]").await?;
    application.has_answer(&browser, "error=access_denied").await?;
    browser.close().await
}

/// Threat 67: in Chromium every form leads where it should.
#[tokio::test]
async fn t67_the_chain_holds_in_chromium() -> Result<()> {
    chain(Engine::Chromium).await
}

/// Threat 67: in Firefox every form leads where it should.
#[tokio::test]
async fn t67_the_chain_holds_in_firefox() -> Result<()> {
    chain(Engine::Firefox).await
}

/// Threat 67: in WebKit every form leads where it should.
#[tokio::test]
async fn t67_the_chain_holds_in_webkit() -> Result<()> {
    chain(Engine::WebKit).await
}

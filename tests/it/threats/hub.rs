//! An installation whose people may sign in with GitHub.

use std::sync::Arc;

use tests::{
    Answer, Browser, ORIGIN, TestApp, World,
    idp::{Account, GithubIdp, Registration},
};

/// The installation, and the provider that it sends people to.
pub(super) struct Hub {
    pub(super) app: TestApp,
    _idp: GithubIdp,
}

/// Gail, a member of acme, as GitHub knows her.
pub(super) const GAIL: &str = "1001";
/// Somebody whom nobody has heard of.
pub(super) const MALLORY: &str = "1002";

impl Hub {
    pub(super) async fn new() -> Self {
        Self::of("").await
    }

    pub(super) async fn of(config: &str) -> Self {
        let app = TestApp::of(World::TWO_TENANTS, config).await;
        let registration = Registration {
            client_id: "portico-at-github".to_owned(),
            client_secret: "password of mel".to_owned(),
            redirect_uri: format!("{ORIGIN}/oauth/callback/github"),
        };
        let accounts = vec![Account::new(1001, "gail"), Account::new(1002, "mallory")];
        let idp = GithubIdp::start(registration, accounts, Arc::clone(&app.clock) as _, Arc::clone(&app.entropy)).await;
        let idp = idp.expect("a provider");
        let GithubIdp { authorize_url, token_url, api_url, .. } = &idp;
        let connection = format!(
            "[[user]]\nname = \"gail\"\nidentities = [{{ connection = \"github\", subject = \"{GAIL}\" }}]\n\
             [[connection]]\nid = \"github\"\nkind = \"github\"\nname = \"GitHub\"\nclient_id = \"portico-at-github\"\n\
             client_secret_file = \"mel.password\"\nauthorize_url = \"{authorize_url}\"\ntoken_url = \"{token_url}\"\n\
             api_url = \"{api_url}\"\n"
        );
        let world = World::TWO_TENANTS
            .0
            .replace("{ user = \"owen\"", "{ user = \"gail\", role = \"member\" },\n    { user = \"owen\"");
        app.apply(&format!("{connection}{world}"), false).await;
        Self { app, _idp: idp }
    }
}

/// Allows on the page that comes before the provider, and goes on as far as the provider's address.
pub(super) async fn leave(browser: &mut Browser<'_>, page: &Answer) -> String {
    let (csrf, txn) = (page.field("csrf"), page.field("txn"));
    let fields = [("csrf", &*csrf), ("txn", &*txn), ("account", ""), ("decision", "allow"), ("connection", "github")];
    let onward = browser.post("/oauth/consent", &fields).await.expect(303);
    assert_eq!(onward.location(), format!("/oauth/continue/{txn}"));
    let page = browser.get(onward.location()).await.expect(200);
    provider(&page)
}

/// The provider's address on the last page before it.
pub(super) fn provider(page: &Answer) -> String {
    let marker = "href=\"http://localhost";
    let at = page.body.find(marker).unwrap_or_else(|| panic!("{}", page.body)) + "href=\"".len();
    let url = page.body[at..].split('"').next().expect("attributes end");
    url.replace("&#38;", "&").replace("&amp;", "&")
}

//! Requests that are right in every way, ready to be sent.

use http::Method;
use serde_json::json;
use tests::{Answer, Browser, ORIGIN, VERIFIER, modern};

use super::{Bench, DEMO};

/// Who sends what. `first`: in an installation where nobody has an account yet.
pub(super) const ROWS: &[&str] = &[
    "nobody GET /",
    "owen GET /",
    "owen GET /login",
    "nobody GET /login",
    "nobody POST /login",
    "nobody GET /login/absent",
    "owen GET /logout",
    "nobody POST /logout",
    "owen POST /logout",
    "first GET /setup",
    "first POST /setup",
    "nobody GET /setup?token=x",
    "owen GET /grants",
    "owen GET /grants/{grant}/revoke",
    "owen POST /grants/{grant}/revoke",
    "otto GET /t/new",
    "otto POST /t/new",
    "owen GET /t/new",
    "nobody GET /t/acme",
    "owen GET /t/acme",
    "owen GET /t/absent",
    "owen GET /t/acme/new",
    "owen POST /t/acme/new",
    "owen GET /t/acme/demo",
    "owen POST /t/acme/demo",
    "owen GET /t/acme/absent",
    "owen GET /t/acme/{draft}/review",
    "owen POST /t/acme/{draft}/review",
    "nobody GET /oauth/authorize",
    "owen GET /oauth/authorize",
    "owen GET /oauth/authorize of an absent client",
    "owen GET /oauth/consent",
    "owen GET /oauth/consent of an absent transaction",
    "owen POST /oauth/consent allow",
    "owen POST /oauth/consent deny",
    "owen GET /oauth/continue/{txn}",
    "nobody GET /oauth/callback/absent?state=x",
    "program POST /oauth/token for a code",
    "program POST /oauth/token for an absent code",
    "program POST /oauth/token for a refresh token",
    "program POST /oauth/token for an absent refresh token",
    "program POST /oauth/token of an absent client",
    "program POST /oauth/token of nonsense",
    "program POST /oauth/register",
    "program GET /oauth/jwks.json",
    "program GET /.well-known/oauth-authorization-server",
    "program GET /.well-known/openid-configuration",
    "program GET /.well-known/oauth-protected-resource/t/acme/demo/mcp",
    "nobody GET /static/portico.svg",
    "nobody GET /nowhere",
    "owen GET /nowhere",
    "nobody POST /nowhere",
    "program GET /healthz",
    "program GET /readyz",
    "program GET /readyz?for=calls",
    "program POST /t/acme/demo/mcp without a token",
    "program POST /t/acme/demo/mcp with a token",
    "program POST /t/acme/demo/mcp with a token of nobody",
    "program POST /t/acme/absent/mcp with a token",
];

/// A request that can be sent again and again.
pub(super) struct Ready<'a> {
    browser: Option<Browser<'a>>,
    bench: &'a Bench<'a>,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl<'a> Ready<'a> {
    /// Prepares a row, while everything is there.
    pub(super) async fn of(bench: &'a Bench<'a>, row: &'static str) -> Self {
        let (who, what) = row.split_once(' ').expect("who does what");
        let person = if who == "first" { "nobody" } else { who };
        let browser = bench.people.get(person).cloned();
        let (method, path) = what.split_once(' ').expect("a method and a path");
        let method = if method == "POST" { Method::POST } else { Method::GET };
        let (headers, body) = (Vec::new(), String::new());
        let mut ready = Self { browser, bench, method, path: path.to_owned(), headers, body };
        if path.starts_with("/oauth/token") || path.starts_with("/oauth/register") {
            ready.program(path).await;
        } else if path.starts_with("/oauth") && !path.ends_with("json") {
            ready.authorization(path).await;
        } else if path.contains("/mcp with") && !path.starts_with("/.well-known") {
            ready.call(path).await;
        } else {
            ready.page(who, path).await;
        }
        ready
    }

    pub(super) async fn send(&mut self) -> Answer {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let (method, path, body) = (self.method.clone(), &*self.path, &*self.body);
        match &mut self.browser {
            // A copy: what this answer sets is not there when the request is sent again.
            Some(browser) => browser.clone().send(method, path, &headers, body).await,
            None => self.bench.app.send(method, path, &headers, body).await,
        }
    }

    fn form(&mut self, fields: &[(&str, &str)]) {
        self.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        self.headers.push(("origin", ORIGIN.to_owned()));
    }

    fn browser(&mut self) -> &mut Browser<'a> {
        self.browser.as_mut().expect("a person")
    }

    async fn page(&mut self, who: &str, path: &str) {
        match (&self.method, path) {
            (&Method::POST, "/login") => {
                let page = self.browser().get("/login").await;
                let csrf = page.field("csrf");
                self.form(&[("csrf", &csrf), ("email", "sam@example.com"), ("password", "password of sam")]);
            }
            (_, "/logout") => {
                if who == "owen" {
                    // A session of its own: this row ends it.
                    self.browser = Some(self.bench.app.signed_in("owen").await);
                }
                let page = self.browser().get("/logout").await;
                let csrf = if who == "owen" { page.field("csrf") } else { String::new() };
                if self.method == Method::POST {
                    self.form(&[("csrf", &csrf)]);
                }
            }
            (_, "/setup") => self.setup().await,
            (_, "/grants/{grant}/revoke") => {
                let client = &self.bench.client;
                client.tokens(self.browser(), DEMO).await;
                let grants = self.browser().get("/grants").await.expect(200).body;
                let (_, rest) = grants.split_once("href=\"/grants/").expect("a grant");
                self.path = format!("/grants/{}", rest.split('"').next().expect("attributes end"));
                let path = self.path.clone();
                let csrf = self.browser().get(&path).await.field("csrf");
                self.form_if_posted(&[("csrf", &csrf)]);
            }
            (&Method::POST, "/t/new") => {
                let csrf = self.browser().get("/t/new").await.field("csrf");
                let slug = self.fresh_slug();
                self.form(&[("csrf", &csrf), ("name", "New"), ("slug", &slug)]);
            }
            (&Method::POST, "/t/acme/new") => self.registration().await,
            (&Method::POST, "/t/acme/demo") => {
                let page = self.browser().get(path).await;
                let (csrf, action) = (page.field("csrf"), page.field("action"));
                self.form(&[("csrf", &csrf), ("action", &action)]);
            }
            (_, "/t/acme/{draft}/review") => {
                let method = std::mem::replace(&mut self.method, Method::POST);
                self.path = "/t/acme/new".into();
                self.registration().await;
                let made = self.send().await.expect(303);
                (self.method, self.path) = (method, made.location().to_owned());
                self.headers.clear();
                self.body.clear();
                let path = self.path.clone();
                let page = self.browser().get(&path).await.expect(200);
                let (csrf, revision) = (page.field("csrf"), page.field("revision"));
                self.form_if_posted(&[("csrf", &csrf), ("revision", &revision), ("decision", "live")]);
            }
            _ => {}
        }
    }

    fn form_if_posted(&mut self, fields: &[(&str, &str)]) {
        if self.method == Method::POST {
            self.form(fields);
        }
    }

    async fn setup(&mut self) {
        let link = self.bench.app.built.setup.issue().await.expect("the store");
        let Some(link) = link else { return };
        self.path = link.url.expose().strip_prefix(ORIGIN).expect("a link of ours").into();
        let path = self.path.clone();
        let page = self.browser().get(&path).await.expect(200);
        if self.method == Method::POST {
            // Not one that completes set-up: that can be done once.
            let (csrf, token) = (page.field("csrf"), page.field("token"));
            self.path = "/setup".into();
            let fields = [("name", "Ann"), ("email", "ann@example.com"), ("password", "short"), ("tenant", "home")];
            let fields: Vec<_> = [("csrf", &*csrf), ("token", &*token)].into_iter().chain(fields).collect();
            self.form(&fields);
        }
    }

    async fn registration(&mut self) {
        let csrf = self.browser().get("/t/acme/new").await.field("csrf");
        let slug = self.fresh_slug();
        self.form(&[("csrf", &csrf), ("name", "New"), ("slug", &slug), ("source", "demo")]);
    }

    fn fresh_slug(&self) -> String {
        let mut bytes = [0; 6];
        self.bench.app.entropy.fill(&mut bytes);
        bytes.iter().fold("s".to_owned(), |slug, byte| format!("{slug}{byte:02x}"))
    }

    async fn authorization(&mut self, path: &str) {
        let authorize = self.bench.client.authorize_path(DEMO);
        match path {
            "/oauth/authorize" => self.path = authorize,
            "/oauth/authorize of an absent client" => {
                self.path = authorize.replace("client_id=c_", "client_id=d_");
            }
            "/oauth/consent of an absent transaction" => self.path = "/oauth/consent?txn=x".into(),
            path if path.starts_with("/oauth/callback") => {}
            path => {
                let page = self.browser().follow(&authorize).await.expect(200);
                let (csrf, txn, account) = (page.field("csrf"), page.field("txn"), page.field("account"));
                self.path = match path {
                    "/oauth/consent" => format!("/oauth/consent?txn={txn}"),
                    "/oauth/continue/{txn}" => format!("/oauth/continue/{txn}"),
                    _ => "/oauth/consent".to_owned(),
                };
                let decision = path.rsplit(' ').next().expect("a word");
                self.form_if_posted(&[("csrf", &csrf), ("txn", &txn), ("account", &account), ("decision", decision)]);
            }
        }
    }

    async fn program(&mut self, what: &str) {
        if what == "/oauth/register" {
            let metadata = json!({ "redirect_uris": ["https://client.example/cb"], "client_name": "Other" });
            self.body = metadata.to_string();
            self.headers.push(("content-type", "application/json".to_owned()));
            return;
        }
        self.path = "/oauth/token".into();
        let (client, mut owen) = (&self.bench.client, self.bench.people["owen"].clone());
        let id = if what.ends_with("client") { "c_absent" } else { &*client.id };
        match what.rsplit("for ").next().expect("a part") {
            "a code" | "an absent code" => {
                let code = client.code(&mut owen, DEMO).await;
                let code = if what.contains("absent") { "absent" } else { &*code };
                let (grant, verifier) = (("grant_type", "authorization_code"), ("code_verifier", VERIFIER));
                self.form(&[grant, verifier, ("code", code), ("client_id", id)]);
            }
            "a refresh token" => {
                let tokens = client.tokens(&mut owen, DEMO).await;
                let (grant, token) = (("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh));
                self.form(&[grant, token, ("client_id", id)]);
            }
            _ if what.ends_with("nonsense") => self.form(&[("nonsense", "x")]),
            _ => self.form(&[("grant_type", "refresh_token"), ("refresh_token", "absent"), ("client_id", id)]),
        }
    }

    async fn call(&mut self, what: &str) {
        let (path, token) = what.split_once(' ').expect("a path and a token");
        self.path = path.into();
        let (headers, body) = modern("tools/list", json!({}));
        (self.headers, self.body) = (headers, body);
        let token = match token {
            "with a token" => {
                let (client, mut owen) = (&self.bench.client, self.bench.people["owen"].clone());
                client.tokens(&mut owen, DEMO).await.access
            }
            "with a token of nobody" => "nobodys".to_owned(),
            _ => return,
        };
        self.headers.push(("authorization", format!("Bearer {token}")));
    }
}

//! What the tests of this crate stand on: the real routes over SQLite in a directory of their own, a clock
//! that moves when told to, and browsers with their cookies.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    response::Response as Answer,
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_kit::{
    Origins, Problem,
    outbound::{FixedResolver, Guard as OutboundGuard, Outbound, TrustAnchors},
};
use model::{Clock, Entropy, ManualClock, ResourcePath, SeededEntropy, Slug, Timestamp};
use protocol::oauth::percent_encode;
use registry::{
    Directory, Registry,
    apply::{File, Plan},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use storage::{Bus, Follower, LocalBus, MasterKey, MasterKeys, Memory, Sealed, Sealer, repo::SignInMethod};
use storage_sqlite::{OpenOptions, Sqlite, SqliteKeys};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::{Auth, AuthConfig, AuthParts, flow, session::BrowserSession};

pub(crate) const ORIGIN: &str = "https://portico.example";
pub(crate) const ECHO: &str = "https://portico.example/t/acme/echo/mcp";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const REDIRECT: &str = "https://client.example/cb";
/// The verifier whose challenge [`authorize_query`] sends.
pub(crate) const VERIFIER: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG-._~";

pub(crate) const STATE: &str = r#"
[[user]]
name = "alice"
email = "alice@example.com"
password_file = "password"
[[user]]
name = "carol"
email = "carol@example.com"
password_file = "password"
[[user]]
name = "bob"
email = "bob@example.com"
password_file = "password"
[[tenant]]
slug = "acme"
name = "Acme"
members = [{ user = "alice", role = "owner" }, { user = "carol", role = "viewer" }]
[[tenant.server]]
slug = "echo"
name = "The Echo"
upstream = { kind = "builtin", name = "demo" }
[[tenant.server]]
slug = "echo2"
name = "Another"
upstream = { kind = "builtin", name = "demo" }
[[tenant]]
slug = "bravo"
name = "Bravo"
members = [{ user = "bob", role = "owner" }]
[[tenant.server]]
slug = "echo"
name = "Bravo's Echo"
upstream = { kind = "builtin", name = "demo" }
"#;

/// A connection of the platform, for triales that want one.
pub(crate) const CONNECTION: &str = r#"
[[connection]]
id = "hub"
kind = "github"
client_id = "hub-client"
client_secret_file = "password"
"#;

pub(crate) struct Trial {
    pub(crate) auth: Auth,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) feed: Arc<Follower>,
    pub(crate) store: Sqlite,
    app: Router,
    _directory: TempDir,
}

impl Trial {
    /// Local accounts only.
    pub(crate) async fn new() -> Self {
        Self::with(STATE, ORIGIN, AuthConfig::default()).await
    }

    /// With a connection of the platform.
    pub(crate) async fn connected() -> Self {
        Self::with(&format!("{CONNECTION}{STATE}"), ORIGIN, AuthConfig::default()).await
    }

    /// At another address.
    pub(crate) async fn at(origin: &str) -> Self {
        Self::with(STATE, origin, AuthConfig::default()).await
    }

    pub(crate) async fn with(state: &str, origin: &str, config: AuthConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let keys = SqliteKeys::open(&directory.path().join("keys.db"), OpenOptions::default()).await.unwrap();
        let master = Arc::new(MasterKeys::from(MasterKey::new([3; 32])));
        let sealer = Sealer::open_ring(master, Arc::new(keys), shared(), Arc::clone(&entropy)).await;
        let sealer = Arc::new(sealer.unwrap());
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let path = directory.path().join("data.db");
        let store = Sqlite::open(&path, OpenOptions::default(), Arc::clone(&sealer), shared(), Arc::clone(&bus)).await;
        let store = store.unwrap();
        let repos = store.repos();
        let registry = Registry::new(repos.clone(), shared(), Arc::clone(&entropy));
        std::fs::write(directory.path().join("password"), PASSWORD).unwrap();
        let file = File::parse(state, directory.path()).unwrap();
        Plan::new(&registry, &file, false).await.unwrap().execute(&registry).await.unwrap();
        let members = Directory::new(repos.clone());
        let auth = Auth::new(AuthParts {
            repos: repos.clone(),
            kv: Arc::new(Sealed::new(Memory::new(shared()), Arc::clone(&sealer))),
            sealer,
            registry,
            directory: Arc::clone(&members),
            clock: shared(),
            entropy,
            origins: Origins::single(origin).unwrap(),
            outbound: Outbound::new(OutboundGuard::default(), TrustAnchors::none(), Arc::new(FixedResolver::new())),
            config,
        });
        let auth = auth.await.unwrap();
        let feed = Follower::start(repos.changes, bus, shared(), vec![members, auth.follower()]).await.unwrap();
        auth.bind_feed(Arc::clone(&feed));
        // What a connection's callback does once it knows who somebody is.
        let arrival = Router::new().route("/test/arrive/{handle}/{txn}", get(arrive));
        let app = crate::routes(auth.clone()).merge(crate::pages(&auth, arrival).with_state(auth.clone()));
        Self { auth, clock, feed, app, store, _directory: directory }
    }

    /// From here on every call of the store fails.
    pub(crate) async fn break_store(&self) {
        self.store.close().await;
    }

    pub(crate) fn later(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Seen {
        Seen::of(self.app.clone().oneshot(request).await.unwrap()).await
    }

    /// A program's `GET`.
    pub(crate) async fn get(&self, path: &str) -> Seen {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A program's form.
    pub(crate) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(encode(fields).into()).unwrap()).await
    }

    pub(crate) async fn register(&self, metadata: Value) -> Seen {
        let request = Request::post("/oauth/register").header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(metadata.to_string().into()).unwrap()).await
    }

    /// A public client with refresh tokens; its id.
    pub(crate) async fn client(&self, redirect: &str) -> String {
        let metadata = serde_json::json!({
            "client_name": "Test Client",
            "redirect_uris": [redirect],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let seen = self.register(metadata).await;
        assert_eq!(seen.status, 201, "{}", seen.text);
        seen.json()["client_id"].as_str().unwrap().to_owned()
    }

    /// A code for alice on `ECHO`, consented to in a fresh browser.
    pub(crate) async fn code(&self, client: &str) -> String {
        let mut browser = Visitor::new(self);
        browser.sign_in("alice").await;
        let page = browser.get(&authorize_path(client, &[])).await;
        let seen = browser.decide(&page, "allow").await;
        seen.location_params()["code"].clone()
    }

    /// Redeems a code as it should be done.
    pub(crate) async fn redeem(&self, client: &str, code: &str) -> Seen {
        self.form("/oauth/token", &redemption(client, code)).await
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str) -> Seen {
        let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.form("/oauth/token", &form).await
    }

    /// Tokens for alice on `ECHO`.
    pub(crate) async fn tokens(&self, client: &str) -> Value {
        let code = self.code(client).await;
        let seen = self.redeem(client, &code).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        seen.json()
    }

    /// The status with which the guard answers a token at a path; 200 if it lets it through.
    pub(crate) fn status(&self, token: &str, path: &str) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
        let path: ResourcePath = path.parse().unwrap();
        self.auth.guard().check(&headers, &path, None).map_or_else(|answer| answer.status().as_u16(), |_| 200)
    }
}

async fn arrive(
    State(auth): State<Auth>,
    Path((handle, txn)): Path<(String, String)>,
    headers: HeaderMap,
    mut browser: BrowserSession,
) -> Result<Answer, Problem> {
    let handle: Slug<2> = handle.parse().unwrap();
    let user = auth.repos.users.by_handle(&handle).await?.unwrap();
    let connection = auth.repos.connections.by_callback("hub").await?.unwrap();
    let method = SignInMethod::Connection(connection.id);
    browser.begin(user.clone(), method).await?;
    let answer = flow::identified(&auth, &txn, &headers, &user, method).await?;
    Ok(browser.remember(answer))
}

pub(crate) fn redemption<'a>(client: &'a str, code: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", REDIRECT),
    ]
}

/// A good authorization request, with some parameters replaced, added, or (empty) left out.
pub(crate) fn authorize_path(client: &str, changes: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("state", "the state"),
        ("resource", ECHO),
        ("scope", "mcp:read mcp:tools"),
    ];
    for (name, value) in changes {
        fields.retain(|(own, _)| own != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    format!("/oauth/authorize?{}", encode(&fields))
}

fn encode(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The OAuth error code.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn location(&self) -> Option<&str> {
        self.headers.get(header::LOCATION).map(|value| value.to_str().unwrap())
    }

    /// The parameters of the URL that the browser is sent to.
    pub(crate) fn location_params(&self) -> BTreeMap<String, String> {
        let location = self.location().unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.text));
        let query = location.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The value of a hidden field.
    pub(crate) fn field(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let at = self.text.find(&marker).unwrap_or_else(|| panic!("no field {name} in {}", self.text));
        self.text[at + marker.len()..].split('"').next().unwrap().to_owned()
    }
}

/// A browser: cookies, and forms from our own pages.
pub(crate) struct Visitor<'b> {
    trial: &'b Trial,
    pub(crate) cookies: BTreeMap<String, String>,
    /// What the browser says where a form comes from.
    pub(crate) origin: Option<String>,
}

impl<'b> Visitor<'b> {
    pub(crate) fn new(trial: &'b Trial) -> Self {
        Self { trial, cookies: BTreeMap::new(), origin: Some(trial.auth.origins.auth.clone()) }
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Seen {
        let mut request = Request::builder().method(&method).uri(path).header(header::ACCEPT, "text/html");
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(origin) = &self.origin {
                request = request.header(header::ORIGIN, origin);
            }
        }
        let seen = self.trial.send(request.body(body.into()).unwrap()).await;
        for value in seen.headers.get_all(header::SET_COOKIE) {
            let text = value.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        seen
    }

    pub(crate) async fn get(&mut self, path: &str) -> Seen {
        self.send(Method::GET, path, String::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        self.send(Method::POST, path, encode(fields)).await
    }

    /// Signs in with the password; ends where `/login` was to lead.
    pub(crate) async fn sign_in_at(&mut self, login: &str, handle: &str) -> Seen {
        let page = self.get(login).await;
        let (csrf, back) = (page.field("csrf"), page.field("return"));
        let email = format!("{handle}@example.com");
        let fields = [("csrf", csrf.as_str()), ("return", &back), ("email", &email), ("password", PASSWORD)];
        let seen = self.post("/login", &fields).await;
        assert_eq!(seen.status, 303, "{}", seen.text);
        seen
    }

    pub(crate) async fn sign_in(&mut self, handle: &str) {
        self.sign_in_at("/login", handle).await;
    }

    /// Answers a consent or confirm page.
    pub(crate) async fn decide(&mut self, page: &Seen, decision: &str) -> Seen {
        self.decide_with(page, decision, &[]).await
    }

    pub(crate) async fn decide_with(&mut self, page: &Seen, decision: &str, more: &[(&str, &str)]) -> Seen {
        let (csrf, txn, account) = (page.field("csrf"), page.field("txn"), page.field("account"));
        let mut fields = vec![("csrf", csrf.as_str()), ("txn", &txn), ("account", &account), ("decision", decision)];
        for (name, value) in more {
            fields.retain(|(own, _)| own != name);
            fields.push((name, value));
        }
        self.post("/oauth/consent", &fields).await
    }
}

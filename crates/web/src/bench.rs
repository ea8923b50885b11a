//! What the tests of this crate's routes stand on: the real routes, auth's among them, over SQLite in a
//! directory of its own, with the demo server and one remote address that nobody answers at.

use std::{collections::BTreeMap, sync::Arc};

use auth::{Auth, AuthConfig, AuthParts};
use axum::{
    Router,
    body::{Body, to_bytes},
};
use http::{HeaderMap, Request, header};
use http_kit::{
    Origins,
    outbound::{FixedResolver, Guard, Outbound, TrustAnchors},
};
use model::{Clock, Entropy, ManualClock, ResourcePath, SeededEntropy, Timestamp};
use registry::{
    Directory, Registry,
    apply::{File, Plan},
};
use storage::{Bus, Follower, LocalBus, MasterKey, MasterKeys, Memory, Sealed, Sealer, repo::Repos};
use storage_sqlite::{OpenOptions, Sqlite, SqliteKeys};
use tempfile::TempDir;
use tower::ServiceExt as _;
use upstream::{
    Upstreams,
    builtin::Demo,
    http::{HttpLimits, HttpUpstream},
};

use crate::Web;

pub(crate) const ORIGIN: &str = "https://portico.example";
const PASSWORD: &str = "correct horse battery";

/// Alice owns acme, Dan develops it, Carol looks at it; Bob owns another one. Oscar runs the place.
const STATE: &str = r#"
user = [
    { name = "alice", email = "alice@example.com", password_file = "password" },
    { name = "dan", email = "dan@example.com", password_file = "password" },
    { name = "carol", email = "carol@example.com", password_file = "password" },
    { name = "bob", email = "bob@example.com", password_file = "password" },
    { name = "oscar", email = "oscar@example.com", password_file = "password", operator = true },
]
[[tenant]]
slug = "acme"
name = "Acme"
members = [{ user = "alice", role = "owner" }, { user = "dan", role = "developer" }, { user = "carol", role = "viewer" }]
[[tenant.server]]
slug = "echo"
name = "The Echo"
upstream = { kind = "http", url = "https://echo.example/mcp?key=s3cret" }
[[tenant]]
slug = "bravo"
name = "Bravo"
members = [{ user = "bob", role = "owner" }]
"#;

pub(crate) struct Bench {
    pub(crate) repos: Repos,
    pub(crate) clock: Arc<ManualClock>,
    directory: Arc<Directory>,
    app: Router,
    _folder: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let keys = SqliteKeys::open(&folder.path().join("keys.db"), OpenOptions::default()).await.unwrap();
        let master = Arc::new(MasterKeys::from(MasterKey::new([3; 32])));
        let sealer = Sealer::open_ring(master, Arc::new(keys), shared(), Arc::clone(&entropy)).await;
        let sealer = Arc::new(sealer.unwrap());
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let path = folder.path().join("data.db");
        let store = Sqlite::open(&path, OpenOptions::default(), Arc::clone(&sealer), shared(), Arc::clone(&bus)).await;
        let repos = store.unwrap().repos();
        let registry = Registry::new(repos.clone(), shared(), Arc::clone(&entropy));
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        let file = File::parse(STATE, folder.path()).unwrap();
        Plan::new(&registry, &file, false).await.unwrap().execute(&registry).await.unwrap();
        let directory = Directory::new(repos.clone());
        // Loopback and private addresses are refused, and no name has any other.
        let outbound = Outbound::new(Guard::default(), TrustAnchors::none(), Arc::new(FixedResolver::new()));
        let origins = Origins::single(ORIGIN).unwrap();
        let auth = Auth::new(AuthParts {
            repos: repos.clone(),
            kv: Arc::new(Sealed::new(Memory::new(shared()), Arc::clone(&sealer))),
            sealer,
            registry: registry.clone(),
            directory: Arc::clone(&directory),
            clock: shared(),
            entropy,
            origins: origins.clone(),
            outbound: outbound.clone(),
            config: AuthConfig::default(),
        });
        let auth = auth.await.unwrap();
        let followers = vec![Arc::clone(&directory) as _, auth.follower()];
        let feed = Follower::start(Arc::clone(&repos.changes), bus, shared(), followers).await.unwrap();
        auth.bind_feed(feed);
        let http = HttpUpstream::new(outbound.connector().clone(), HttpLimits::default());
        let web = Web {
            registry: registry.clone(),
            auth: auth.clone(),
            upstream: Arc::new(Upstreams::new(Arc::new(http), vec![Box::new(Demo)])),
            origins: Arc::new(origins),
            clock: shared(),
        };
        let app = auth::routes(auth).merge(crate::routes(web));
        Self { repos, clock, directory, app, _folder: folder }
    }

    /// A browser in which nobody is signed in.
    pub(crate) fn anonymous(&self) -> Browser {
        Browser { app: self.app.clone(), cookies: BTreeMap::new(), origin: Some(ORIGIN) }
    }

    /// A browser in which somebody is.
    pub(crate) async fn person(&self, handle: &str) -> Browser {
        let mut browser = self.anonymous();
        let page = browser.get("/login").await;
        let (csrf, email) = (page.field("csrf"), format!("{handle}@example.com"));
        let form = [("csrf", csrf.as_str()), ("return", "/"), ("email", &email), ("password", PASSWORD)];
        browser.post("/login", &form).await.assert(303);
        browser
    }

    /// Whether the server at a path answers MCP requests.
    pub(crate) fn resolves(&self, path: &str) -> bool {
        self.directory.resolve(&path.parse::<ResourcePath>().unwrap()).is_some()
    }
}

/// A browser: keeps cookies, and says with forms where they come from.
pub(crate) struct Browser {
    app: Router,
    cookies: BTreeMap<String, String>,
    /// What it sends as `Origin`.
    pub(crate) origin: Option<&'static str>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Seen {
        self.send(Request::get(path), String::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = self.origin {
            request = request.header(header::ORIGIN, origin);
        }
        self.send(request, form).await
    }

    /// Opens a page and sends one of its forms with the page's token.
    pub(crate) async fn fill(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Seen {
        let csrf = self.get(page).await.assert(200).field("csrf");
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        self.post(action, &all).await
    }

    async fn send(&mut self, mut request: http::request::Builder, body: String) -> Seen {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request = request.header(header::ACCEPT, "text/html").body(Body::from(body)).unwrap();
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
        }
        let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        Seen { status: parts.status.as_u16(), headers: parts.headers, text }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    #[track_caller]
    pub(crate) fn assert(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {:?}", self.text, self.headers);
        self
    }

    /// The page shows this.
    #[track_caller]
    pub(crate) fn shows(self, text: &str) -> Self {
        assert!(self.text.contains(text), "{text:?} is not in {}", self.text);
        self
    }

    /// The page does not show this.
    #[track_caller]
    pub(crate) fn hides(self, text: &str) -> Self {
        assert!(!self.text.contains(text), "{text:?} is in {}", self.text);
        self
    }

    /// Where it leads.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        self.headers[header::LOCATION].to_str().unwrap()
    }

    /// The value of a hidden field.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let at = self.text.find(&marker).unwrap_or_else(|| panic!("no field {name} in {}", self.text));
        self.text[at + marker.len()..].split('"').next().unwrap().to_owned()
    }
}

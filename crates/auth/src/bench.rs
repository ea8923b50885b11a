//! What the tests of this crate stand on: the real routes over a fresh database, and browsers.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
    routing::get,
};
use http_kit::{
    ClientAddress, Origins,
    outbound::{Guard, Outbound, SystemResolver, TrustAnchors},
};
use model::{Clock, ConnectionId, Entropy, ManualClock, Secret, SeededEntropy, TenantId, Timestamp};
use registry::{Directory, NewSetup, Registry};
use storage::{
    Follower, LocalBus, MasterKey, MasterKeys, Memory, Sealer,
    repo::{
        Actor, AuditEvent, Connection, ConnectionKind, ConnectionOwner, Endpoints, Repos, Tenant, TenantState, User,
    },
};
use storage_sqlite::{OpenOptions, Sqlite, SqliteKeys};
use tempfile::TempDir;
use tower::ServiceExt as _;
use url::Url;

use crate::{Auth, AuthConfig, AuthParts, Browser, SignedIn};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// An installation.
pub(crate) struct Bench {
    pub(crate) auth: Auth,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) kv: Arc<Memory>,
    pub(crate) repos: Repos,
    pub(crate) registry: Registry,
    origin: String,
    _files: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::at("https://portico.example").await
    }

    pub(crate) async fn at(origin: &str) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_790_000_000)));
        let (now, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (clock.clone(), Arc::new(SeededEntropy::new(7)));
        let (files, bus) = (tempfile::tempdir().unwrap(), Arc::new(LocalBus::default()));
        let keys = SqliteKeys::open(&files.path().join("keys.db"), OpenOptions::default()).await.unwrap();
        let master = Arc::new(MasterKeys::from(MasterKey::new([3; 32])));
        let sealer = Sealer::open_ring(master, Arc::new(keys), now.clone(), entropy.clone()).await.unwrap();
        let (path, sealer) = (files.path().join("portico.db"), Arc::new(sealer));
        let store =
            Sqlite::open(&path, OpenOptions::default(), sealer.clone(), now.clone(), bus.clone()).await.unwrap();
        let (repos, kv) = (store.repos(), Arc::new(Memory::new(now.clone())));
        let registry = Registry::new(repos.clone(), now.clone(), entropy.clone());
        let directory = Directory::new(repos.clone());
        let guard = Guard { loopback: true, ..Guard::default() };
        let parts = AuthParts {
            repos: repos.clone(),
            kv: kv.clone(),
            sealer,
            registry: registry.clone(),
            directory: directory.clone(),
            clock: now.clone(),
            entropy,
            origins: Origins::single(origin).unwrap(),
            outbound: Outbound::new(guard, TrustAnchors::none(), Arc::new(SystemResolver)),
            config: AuthConfig::default(),
        };
        let auth = Auth::new(parts).await.unwrap();
        let followers = vec![directory as Arc<dyn storage::Follow>, auth.follower()];
        let feed = Follower::start(repos.changes.clone(), bus, now, followers).await.unwrap();
        auth.bind_feed(feed);
        Self { auth, clock, kv, repos, registry, origin: origin.to_owned(), _files: files }
    }

    /// Makes alice, the first person, who has a password.
    pub(crate) async fn alice(&self) -> User {
        let (name, password) = ("Alice".parse().unwrap(), Secret::new(PASSWORD.to_owned()));
        let setup = NewSetup { name, email: "alice@example.com".to_owned(), password, tenant: None };
        self.registry.complete_setup(setup).await.unwrap().unwrap()
    }

    /// Adds a connection. Its callback segment is `slug`, for a tenant's behind `tenant.`.
    pub(crate) async fn connection(
        &self,
        slug: &str,
        kind: ConnectionKind,
        owner: ConnectionOwner,
        endpoints: Endpoints,
    ) -> Connection {
        let callback = match owner {
            ConnectionOwner::Platform => slug.to_owned(),
            ConnectionOwner::Tenant(_) => format!("tenant.{slug}"),
        };
        let connection = Connection {
            id: ConnectionId::new(&*self.auth.clock, &*self.auth.entropy),
            owner,
            slug: slug.parse().unwrap(),
            callback,
            kind,
            name: format!("Provider {slug}").parse().unwrap(),
            client_id: format!("client of {slug}"),
            client_secret: Some(Secret::new(format!("secret of {slug}"))),
            endpoints,
            created_at: self.clock.now(),
            enabled: true,
            declared: true,
        };
        self.repos.connections.create(&connection, &self.event()).await.unwrap();
        connection
    }

    /// Adds an empty tenant.
    pub(crate) async fn tenant(&self, id: TenantId, slug: &str) -> TenantId {
        let (name, state, created_at) = (slug.parse().unwrap(), TenantState::Active, self.clock.now());
        let tenant = Tenant { id, slug: slug.parse().unwrap(), name, state, created_at };
        self.repos.tenants.create(&tenant, &[], &self.event()).await.unwrap();
        id
    }

    /// Who a page of this installation would see in a browser.
    pub(crate) async fn signed_in(&self, jar: &Jar) -> Option<SignedIn> {
        type Seen = Arc<Mutex<Option<SignedIn>>>;
        async fn see(Extension(seen): Extension<Seen>, browser: Option<Browser>) {
            *seen.lock().unwrap() = browser.map(|browser| browser.signed_in);
        }
        let seen = Seen::default();
        let page = Router::new().route("/page", get(see)).layer(Extension(seen.clone()));
        let app = crate::pages(&self.auth, page).with_state(self.auth.clone());
        Jar { app, ..jar.clone() }.get("/page").await.assert(200);
        seen.lock().unwrap().take()
    }

    pub(crate) fn event(&self) -> AuditEvent {
        self.auth.audit(Actor::System, "test.prepared", "test")
    }

    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Jar {
        let app = crate::routes(self.auth.clone());
        let address = "192.0.2.1".parse().unwrap();
        Jar { cookies: BTreeMap::new(), app, origin: Some(self.origin.clone()), address }
    }
}

/// A browser: keeps cookies, sends an Origin with forms, follows nothing by itself.
#[derive(Clone)]
pub(crate) struct Jar {
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) origin: Option<String>,
    pub(crate) address: IpAddr,
    pub(crate) app: Router,
}

impl Jar {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = &self.origin {
            request = request.header(header::ORIGIN, origin);
        }
        self.send(request.body(Body::from(form)).unwrap()).await
    }

    async fn send(&mut self, mut request: Request<Body>) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.headers_mut().insert(header::ACCEPT, "text/html".parse().unwrap());
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        request.extensions_mut().insert(ClientAddress(self.address));
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        assert!(
            !matches!(parts.status.as_u16(), 301 | 302 | 307 | 308),
            "redirects are 303, so that no form goes along"
        );
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    fn keep(&mut self, cookie: &str) {
        let (name, rest) = cookie.split_once('=').unwrap();
        let value = rest.split(';').next().unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
            "{cookie}"
        );
        let gone = rest.contains("Max-Age=0");
        if gone {
            self.cookies.remove(name)
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned())
        };
    }

    /// The session's cookie.
    pub(crate) fn session(&self) -> Option<&str> {
        self.cookies.iter().find(|(name, _)| name.ends_with("portico")).map(|(_, value)| value.as_str())
    }

    /// Opens the sign-in page and sends its form.
    pub(crate) async fn sign_in(&mut self, email: &str, password: &str, back: &str) -> Answer {
        let page = self.get(&crate::login_path(back)).await;
        let (csrf, back) = (page.field("csrf"), page.field("return"));
        self.post("/login", &[("csrf", &csrf), ("return", &back), ("email", email), ("password", password)]).await
    }

    /// Who is signed in, as the sign-out page says.
    pub(crate) async fn person(&mut self) -> Option<String> {
        let page = self.get("/logout").await;
        let name = page.body.split("<bdi>").nth(1)?.split("</bdi>").next()?;
        Some(name.to_owned())
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn assert(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    /// Where a redirect leads.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.headers[header::LOCATION].to_str().unwrap()
    }

    /// The query of where a redirect leads.
    #[track_caller]
    pub(crate) fn query(&self) -> BTreeMap<String, String> {
        Url::parse(self.location()).unwrap().query_pairs().into_owned().collect()
    }

    /// The value of a form field.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        let input = self.body.split("<input").find(|input| input.contains(&format!("name=\"{name}\"")));
        let input = input.unwrap_or_else(|| panic!("no field {name} in {}", self.body));
        let value = input.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
        value.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#39;", "'")
    }
}

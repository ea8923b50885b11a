use std::{collections::BTreeMap, sync::Arc, time::Duration};

use auth::{Auth, AuthConfig, AuthParts};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use http_kit::{
    Origins,
    outbound::{FixedResolver, Guard, Outbound, TrustAnchors},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use model::{
    Clock, Entropy, GrantId, Id, ManualClock, OsEntropy, ResourcePath, Role, ServerId, TenantId, Timestamp, TokenId,
    UpstreamSource, UserId,
};
use registry::{Directory, Registry};
use serde_json::{Value, json};
use storage::{
    Follow, Follower, LocalBus, MasterKey, MasterKeys, Memory, SealedTokens, Sealer,
    repo::{
        Actor, AuditEvent, Member, Repos, Server, ServerRevision, ServerState, Tenant, TenantState, User, UserState,
    },
    usage::Counters,
};
use storage_sqlite::{OpenOptions, Sqlite, SqliteKeys};
use upstream::{
    Upstreams,
    builtin::Demo,
    http::{HttpLimits, HttpUpstream},
};

use crate::{Body, Gateway, GatewayParts, Limits};

pub(super) const ORIGIN: &str = "https://mcp.example.com";

/// Tenant `acme`: alice (member), vic (viewer); servers `demo` (builtin), `remote` and `twin` (the given
/// upstream), `draft`. Tenant `beta`: bob (member); server `remote`, the same upstream.
pub(super) struct World {
    pub(super) gateway: Gateway,
    pub(super) clock: Arc<ManualClock>,
    pub(super) feed: Arc<Follower>,
    pub(super) repos: Repos,
    pub(super) usage: Arc<Counters>,
    pub(super) acme: TenantId,
    pub(super) beta: TenantId,
    pub(super) users: BTreeMap<&'static str, UserId>,
    servers: BTreeMap<(TenantId, &'static str), ServerId>,
    key: (String, EncodingKey),
    _files: tempfile::TempDir,
}

/// What a token says; by default alice's, of client `c_one`, for everything.
#[derive(Clone, Copy)]
pub(super) struct Token {
    pub(super) user: &'static str,
    pub(super) client: &'static str,
    pub(super) scope: &'static str,
}

impl Token {
    pub(super) const ALICE: Self = Self { user: "alice", client: "c_one", scope: "mcp:read mcp:tools" };
}

/// An answer, read to its end.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Got {
    pub(super) async fn of(response: http::Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("the body is whole").to_bytes();
        Self { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    /// Status and JSON-RPC error code.
    #[track_caller]
    pub(super) fn refusal(&self) -> (u16, i64) {
        (self.status.as_u16(), self.json()["error"]["code"].as_i64().expect("an error with a code"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Writes records; everything at the same moment, by `apply`.
struct Founder {
    repos: Repos,
    clock: Arc<ManualClock>,
    entropy: Arc<dyn Entropy>,
}

impl Founder {
    fn id<K>(&self) -> Id<K> {
        Id::new(&*self.clock, &*self.entropy)
    }

    fn audit(&self) -> AuditEvent {
        AuditEvent::new(&*self.clock, &*self.entropy, Actor::Apply, "test", "test")
    }

    async fn user(&self, name: &str) -> UserId {
        let user = User {
            id: self.id(),
            handle: Some(name.parse().unwrap()),
            name: name.parse().unwrap(),
            email: None,
            operator: false,
            state: UserState::Active,
            created_at: self.clock.now(),
            session_epoch: 0,
        };
        self.repos.users.create(&user, None, &[], &self.audit()).await.unwrap();
        user.id
    }

    async fn tenant(&self, slug: &str, members: &[(UserId, Role)]) -> TenantId {
        let tenant = Tenant {
            id: self.id(),
            slug: slug.parse().unwrap(),
            name: slug.parse().unwrap(),
            state: TenantState::Active,
            created_at: self.clock.now(),
        };
        let members: Vec<_> =
            members.iter().map(|(user, role)| Member { tenant: tenant.id, user: *user, role: *role }).collect();
        self.repos.tenants.create(&tenant, &members, &self.audit()).await.unwrap();
        tenant.id
    }

    async fn server(&self, tenant: TenantId, slug: &str, source: UpstreamSource, state: ServerState) -> ServerId {
        let (id, revision, created_at) = (self.id(), self.id(), self.clock.now());
        let live = (state == ServerState::Live).then_some(revision);
        let (slug, name) = (slug.parse().unwrap(), slug.parse().unwrap());
        let server = Server { id, tenant, slug, name, state, live, created_at };
        let revision =
            ServerRevision { id: revision, tenant, server: id, source, offer: None, created_by: None, created_at };
        self.repos.servers.create(&server, &revision, &self.audit()).await.unwrap();
        id
    }
}

impl World {
    /// With this server behind `remote`.
    pub(super) async fn with(url: &str) -> Self {
        Self::with_limits(url, Limits::default()).await
    }

    pub(super) async fn with_limits(url: &str, limits: Limits) -> Self {
        let files = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
        let (entropy, bus) = (Arc::new(OsEntropy), Arc::new(LocalBus::default()));
        let keys = SqliteKeys::open(&files.path().join("keys"), OpenOptions::default()).await.unwrap();
        let master = Arc::new(MasterKeys::from(MasterKey::new([7; 32])));
        let sealer = Sealer::open_ring(master, Arc::new(keys), clock.clone(), entropy.clone()).await.unwrap();
        let sealer = Arc::new(sealer);
        let data = files.path().join("data");
        let store =
            Sqlite::open(&data, OpenOptions::default(), sealer.clone(), clock.clone(), bus.clone()).await.unwrap();
        let founder = Founder { repos: store.repos(), clock: clock.clone(), entropy: entropy.clone() };
        let directory = Directory::new(store.repos());
        let origins = Origins::single(ORIGIN).unwrap();
        let resolver = Arc::new(FixedResolver::new());
        let guard = Guard { loopback: true, ..Guard::default() };
        let outbound = Outbound::new(guard, TrustAnchors::none(), resolver);
        let auth = Auth::new(AuthParts {
            repos: store.repos(),
            kv: Arc::new(Memory::new(clock.clone())),
            sealer: sealer.clone(),
            registry: Registry::new(store.repos(), clock.clone(), entropy.clone()),
            directory: directory.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            origins: origins.clone(),
            outbound: outbound.clone(),
            config: AuthConfig::default(),
        })
        .await
        .unwrap();
        let http = HttpUpstream::new(outbound.connector().clone(), HttpLimits::default());
        let followers: Vec<Arc<dyn Follow>> = vec![directory.clone(), auth.follower()];
        let feed = Follower::start(store.repos().changes, bus, clock.clone(), followers).await.unwrap();
        let usage = Arc::new(Counters::new());
        let gateway = Gateway::new(GatewayParts {
            directory,
            guard: auth.guard(),
            upstreams: Arc::new(Upstreams::new(Arc::new(http), vec![Box::new(Demo)])),
            tokens: SealedTokens::new(&sealer, clock.clone(), entropy),
            clock: clock.clone(),
            origins,
            allowed_origins: vec!["https://client.example".to_owned()],
            fresh: feed.clone(),
            usage: usage.clone(),
            limits,
        });
        Self::found(founder, gateway, (feed, usage), url, files).await
    }

    async fn found(
        founder: Founder,
        gateway: Gateway,
        (feed, usage): (Arc<Follower>, Arc<Counters>),
        url: &str,
        files: tempfile::TempDir,
    ) -> Self {
        let mut users = BTreeMap::new();
        for name in ["alice", "carol", "vic", "bob"] {
            users.insert(name, founder.user(name).await);
        }
        let members = [(users["alice"], Role::Member), (users["carol"], Role::Member), (users["vic"], Role::Viewer)];
        let acme = founder.tenant("acme", &members).await;
        let beta = founder.tenant("beta", &[(users["bob"], Role::Member)]).await;
        let remote = UpstreamSource::Http { url: url.parse().unwrap() };
        let demo = UpstreamSource::Builtin { name: "demo".into() };
        let mut servers = BTreeMap::new();
        for (tenant, slug, source, state) in [
            (acme, "demo", &demo, ServerState::Live),
            (acme, "remote", &remote, ServerState::Live),
            (acme, "twin", &remote, ServerState::Live),
            (acme, "draft", &remote, ServerState::Draft),
            (beta, "remote", &remote, ServerState::Live),
        ] {
            servers.insert((tenant, slug), founder.server(tenant, slug, source.clone(), state).await);
        }
        feed.sync().await.unwrap();
        let key = founder.repos.signing.all().await.unwrap().remove(0);
        let der = STANDARD.decode(key.private.as_ref().unwrap().expose()).unwrap();
        let key = (key.kid, EncodingKey::from_ec_der(&der));
        let Founder { repos, clock, .. } = founder;
        Self { gateway, clock, feed, repos, usage, acme, beta, users, servers, key, _files: files }
    }

    /// A token for the server at `path`.
    pub(super) fn token(&self, path: &str, token: Token) -> String {
        let route: ResourcePath = path.parse().unwrap();
        let tenant = if route.tenant.as_str() == "acme" { self.acme } else { self.beta };
        let server = self.servers.iter().find(|((of, slug), _)| *of == tenant && *slug == route.server.as_str());
        let now = self.clock.now().seconds();
        let claims = json!({
            "iss": ORIGIN,
            "sub": self.users[token.user],
            "aud": format!("{ORIGIN}{path}"),
            "client_id": token.client,
            "jti": TokenId::new(&*self.clock, &OsEntropy),
            "iat": now,
            "exp": now + 3600,
            "scope": token.scope,
            "tenant": tenant,
            "srv": server.map_or_else(|| Id::new(&*self.clock, &OsEntropy), |(_, id)| *id),
            "gid": GrantId::new(&*self.clock, &OsEntropy),
            "gv": 1,
        });
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.key.0.clone());
        jsonwebtoken::encode(&header, &claims, &self.key.1).unwrap()
    }

    /// Sends a request with these headers and no others.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: impl Into<Bytes>,
    ) -> http::Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let path = self.gateway.route(request.uri().path()).expect("the path of an endpoint");
        self.gateway.call(path, request).await
    }

    /// Posts a message as a proper client does.
    pub(super) async fn post(
        &self,
        path: &str,
        token: Token,
        headers: &[(&'static str, String)],
        body: &Value,
    ) -> http::Response<Body> {
        let mut all = vec![
            ("authorization", format!("Bearer {}", self.token(path, token))),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ];
        all.extend_from_slice(headers);
        self.send(Method::POST, path, &all, body.to_string()).await
    }

    /// Posts a message and reads the answer to its end.
    pub(super) async fn ask(&self, path: &str, token: Token, headers: &[(&'static str, String)], body: &Value) -> Got {
        Got::of(self.post(path, token, headers, body).await).await
    }

    /// Blocks a person.
    pub(super) async fn block(&self, name: &str) {
        let user = self.repos.users.user(self.users[name]).await.unwrap().unwrap();
        let event = AuditEvent::new(&*self.clock, &OsEntropy, Actor::Apply, "test", "test");
        self.repos.users.update(&User { state: UserState::Blocked, ..user }, &event).await.unwrap();
        self.feed.sync().await.unwrap();
    }

    pub(super) fn later(&self, by: Duration) {
        self.clock.advance(by);
    }
}

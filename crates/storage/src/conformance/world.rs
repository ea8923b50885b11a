//! The people, tenants and things that the suites are about.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use model::{
    AuditId, Clock, Entropy as _, Id, ManualClock, Resource, Role, ScopeSet, Secret, SeededEntropy, Timestamp, UserId,
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::repo::{
    Actor, ApplicationType, AuditEvent, AuthMethod, Client, ClientKeys, ClientMetadata, ClientOrigin, Code, Connection,
    ConnectionKind, ConnectionOwner, Endpoints, Grant, GrantState, KeyState, LocalAccount, Member, Refresh, Repos,
    ResourceCredential, Server, ServerRevision, ServerState, SignInMethod, SigningKey, Tenant, TenantState, TokenHash,
    User, UserState,
};

pub(super) const HOUR: Duration = Duration::from_hours(1);

/// A clock, randomness, and things made of them.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) entropy: SeededEntropy,
    /// Moves with each id, so that ids sort in the order in which they were made.
    ids: ManualClock,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
        let ids = ManualClock::at(clock.now());
        Self { clock, entropy: SeededEntropy::new(7), ids }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn id<K>(&self) -> Id<K> {
        self.ids.advance(Duration::from_millis(1));
        Id::new(&self.ids, &self.entropy)
    }

    pub(super) fn hash(&self) -> TokenHash {
        let mut hash = [0; 32];
        self.entropy.fill(&mut hash);
        hash
    }

    pub(super) fn audit(&self, action: &str) -> AuditEvent {
        AuditEvent::new(&*self.clock, &self.entropy, Actor::System, action, "test")
            .with(serde_json::json!({ "why": "conformance" }))
    }

    pub(super) fn user(&self, handle: &str) -> User {
        User {
            id: self.id(),
            handle: Some(handle.parse().unwrap()),
            name: "Somebody".parse().unwrap(),
            email: Some(format!("{handle}@example.com")),
            operator: false,
            state: UserState::Active,
            created_at: self.now(),
            session_epoch: 0,
        }
    }

    pub(super) fn account(user: &User, email: &str) -> LocalAccount {
        LocalAccount { user: user.id, email: email.to_owned(), password: Secret::new(format!("$argon2id${email}")) }
    }

    pub(super) fn tenant(&self, slug: &str) -> Tenant {
        Tenant {
            id: self.id(),
            slug: slug.parse().unwrap(),
            name: "A tenant".parse().unwrap(),
            state: TenantState::Active,
            created_at: self.now(),
        }
    }

    pub(super) fn server(&self, tenant: &Tenant, slug: &str) -> (Server, ServerRevision) {
        let (server, revision) = (self.id(), self.id());
        let source = serde_json::from_value(serde_json::json!({ "kind": "builtin", "name": "demo" })).unwrap();
        (
            Server {
                id: server,
                tenant: tenant.id,
                slug: slug.parse().unwrap(),
                name: "A server".parse().unwrap(),
                state: ServerState::Live,
                live: Some(revision),
                created_at: self.now(),
            },
            ServerRevision {
                id: revision,
                tenant: tenant.id,
                server,
                source,
                offer: Some(serde_json::json!({ "tools": ["echo"] })),
                created_by: None,
                created_at: self.now(),
            },
        )
    }

    pub(super) fn connection(&self, owner: ConnectionOwner, slug: &str, callback: &str) -> Connection {
        Connection {
            id: self.id(),
            owner,
            slug: slug.parse().unwrap(),
            callback: callback.to_owned(),
            kind: ConnectionKind::Oidc,
            name: "A provider".parse().unwrap(),
            client_id: "portico".to_owned(),
            client_secret: Some(Secret::new(format!("secret of {slug}"))),
            endpoints: Endpoints { issuer: Some("https://id.example.com".into()), ..Endpoints::default() },
            created_at: self.now(),
            enabled: true,
            declared: true,
        }
    }

    pub(super) fn client(&self, client_id: &str, expires_at: Option<Timestamp>) -> Client {
        Client {
            id: self.id(),
            client_id: client_id.to_owned(),
            origin: ClientOrigin::Dynamic,
            tenant: None,
            name: Some("A client".to_owned()),
            uri: None,
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned(), "app:/back".to_owned()],
            auth_method: AuthMethod::ClientSecretPost,
            secret_hash: Some(self.hash()),
            scopes: ScopeSet::supported(),
            may_refresh: true,
            application_type: ApplicationType::Native,
            keys: ClientKeys::Inline(serde_json::json!({ "keys": [] })),
            metadata: ClientMetadata { software_id: Some("software".to_owned()), ..ClientMetadata::default() },
            registration_hash: Some(self.hash()),
            blocked_at: None,
            created_at: self.now(),
            last_used_at: None,
            expires_at,
        }
    }

    pub(super) fn grant(&self, user: UserId, server: &Server) -> Grant {
        let path = "/t/acme/echo/mcp".parse().unwrap();
        Grant {
            id: self.id(),
            user,
            method: SignInMethod::Local,
            tenant: server.tenant,
            server: server.id,
            client_id: "c_1".to_owned(),
            client_name: Some("A client".to_owned()),
            resource: Resource::new("https://mcp.example.com", &path),
            scopes: ScopeSet::challenge(),
            state: GrantState::Pending,
            version: 1,
            created_at: self.now(),
            last_used_at: None,
            expires_at: self.now() + 90 * 24 * HOUR,
        }
    }

    pub(super) fn code(&self, grant: &Grant) -> Code {
        Code {
            hash: self.hash(),
            grant: grant.id,
            redirect_uri: "http://127.0.0.1:5000/callback".to_owned(),
            redirect_uri_sent: true,
            challenge: "challenge".to_owned(),
            expires_at: self.now() + Duration::from_mins(1),
            used_at: None,
            failures: 0,
        }
    }

    pub(super) fn refresh(&self, grant: &Grant, parent: Option<TokenHash>) -> Refresh {
        Refresh {
            hash: self.hash(),
            grant: grant.id,
            parent,
            generation: u32::from(parent.is_some()),
            scopes: grant.scopes.clone(),
            issued_at: self.now(),
            expires_at: self.now() + 30 * 24 * HOUR,
            token: Some(self.id()),
            used_at: None,
            rotated_at: None,
            superseded_at: None,
        }
    }

    /// A key that signs.
    pub(super) fn signing_key(&self, kid: &str) -> SigningKey {
        SigningKey {
            kid: kid.to_owned(),
            algorithm: "ES256".to_owned(),
            private: Some(Secret::new(format!("private {kid}"))),
            state: KeyState::Active,
            created_at: self.now(),
            changed_at: self.now(),
            ends_at: None,
        }
    }

    /// What `server` asks about tokens with.
    pub(super) fn credential(&self, server: &Server, name: &str) -> ResourceCredential {
        ResourceCredential {
            id: self.id(),
            tenant: server.tenant,
            server: server.id,
            name: name.to_owned(),
            secret_hash: self.hash(),
            created_at: self.now(),
        }
    }

    /// A tenant `acme` with alice as its owner and a live server `echo`.
    pub(super) async fn acme(&self, repos: &Repos) -> (User, Server) {
        let (alice, acme) = (self.user("alice"), self.tenant("acme"));
        let (server, revision) = self.server(&acme, "echo");
        repos.users.create(&alice, None, &[], &self.audit("user.created")).await.unwrap();
        let owner = Member { tenant: acme.id, user: alice.id, role: Role::Owner };
        repos.tenants.create(&acme, &[owner], &self.audit("tenant.created").in_tenant(acme.id)).await.unwrap();
        repos.servers.create(&server, &revision, &self.audit("server.created").in_tenant(acme.id)).await.unwrap();
        (alice, server)
    }

    /// An active grant of alice's on `server`, with a refresh token.
    pub(super) async fn active(&self, repos: &Repos, alice: &User, server: &Server) -> (Grant, Refresh) {
        let grant = self.grant(alice.id, server);
        let (code, refresh) = (self.code(&grant), self.refresh(&grant, None));
        repos.grants.authorize(&grant, &code, &self.audit("grant.requested")).await.unwrap();
        let (now, audit) = (self.now(), self.audit("grant.created"));
        repos.grants.redeem(&code.hash, Some(&refresh), now, &audit).await.unwrap();
        (grant, refresh)
    }
}

/// Whether an event is in the log, of its tenant or of the platform.
pub(super) async fn logged(repos: &Repos, tenant: Option<model::TenantId>, id: AuditId) -> bool {
    repos.audit.newest(tenant, None, 1000).await.unwrap().iter().any(|event| event.id == id)
}

/// Runs `count` tasks that start at the same moment.
pub(super) async fn race<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (gate, mut tasks) = (Arc::new(Barrier::new(count)), JoinSet::new());
    for at in 0..count {
        let (gate, task) = (gate.clone(), task(at));
        tasks.spawn(async move {
            gate.wait().await;
            task.await
        });
    }
    tasks.join_all().await
}

/// One of the calls of [`at_once`].
pub(super) type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Makes these calls at the same moment; answers in the order of the calls.
pub(super) async fn at_once<T: Send + 'static>(calls: Vec<Call<T>>) -> Vec<T> {
    let calls: Vec<_> = calls.into_iter().map(|call| Mutex::new(Some(call))).collect();
    let mut answers = race(calls.len(), |at| {
        let call = calls[at].lock().unwrap().take().expect("each is made once");
        async move { (at, call.await) }
    })
    .await;
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

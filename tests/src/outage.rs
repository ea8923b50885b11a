//! Stores that can be away: every trait of a backend, with a switch in front.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use model::{
    AuditId, ConnectionId, GrantId, InvitationId, ReplicaId, ResourceCredentialId, RevisionId, Role, RuleId, ServerId,
    ServerSlug, Slug, TenantId, TenantSlug, Timestamp, TokenId, UserId,
};
use server::{
    Store,
    store::{Backend, Probe},
};
use storage::{
    Change, Entry, Keep, KeyValue, Owner, Place, Result, Revision, Split, StorageError,
    repo::{
        AccessRule, Admission, Admissions, AuditEvent, AuditLog, Changes, Client, ClientPolicies, ClientUse, Clients,
        Code, Connection, ConnectionOwner, Connections, Grant, Grants, GrantsOf, Identity, Invitation, KeyChange,
        KeyState, LocalAccount, Member, MemberChange, Membership, Raised, Redeemed, Refresh, RefreshFamily,
        RegistrationCap, Replacement, Replica, Replicas, Repos, ResourceCredential, ResourceCredentials, Revoked,
        RevokedToken, Rotated, Server, ServerRevision, Servers, SigningKey, SigningKeys, Tenant, TenantView, Tenants,
        TokenHash, TokenPolicy, Usage, UsageBatch, UsageCount, User, Users,
    },
};

/// Whether a backend is there.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// From now on every call fails as unavailable, and does nothing.
    pub fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// The backend is back, with everything it had.
    pub fn heal(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(StorageError::unavailable("the backend was cut off")) } else { Ok(()) }
    }

    /// A part of a backend, behind this switch.
    pub fn over<T: ?Sized>(&self, inner: Arc<T>) -> Arc<Switched<T>> {
        Arc::new(Switched { inner, switch: self.clone() })
    }

    /// All records of a backend, behind this switch.
    fn repos(&self, of: &Repos) -> Repos {
        Repos {
            users: self.over(Arc::clone(&of.users)),
            tenants: self.over(Arc::clone(&of.tenants)),
            admissions: self.over(Arc::clone(&of.admissions)),
            servers: self.over(Arc::clone(&of.servers)),
            connections: self.over(Arc::clone(&of.connections)),
            clients: self.over(Arc::clone(&of.clients)),
            grants: self.over(Arc::clone(&of.grants)),
            signing: self.over(Arc::clone(&of.signing)),
            resource_credentials: self.over(Arc::clone(&of.resource_credentials)),
            audit: self.over(Arc::clone(&of.audit)),
            changes: self.over(Arc::clone(&of.changes)),
            replicas: self.over(Arc::clone(&of.replicas)),
            usage: self.over(Arc::clone(&of.usage)),
        }
    }
}

/// The two backends of an installation, each of which can be away.
#[derive(Clone, Debug, Default)]
pub struct Outage {
    /// Records and durable values.
    pub postgres: Switch,
    /// Values that may be lost.
    pub redis: Switch,
}

impl Outage {
    /// The store, with a switch in front of each of its backends, which are called as in production.
    pub fn over(&self, mut store: Store) -> Store {
        store.repos = self.postgres.repos(&store.repos);
        let (durable, volatile) = (self.postgres.over(Arc::clone(&store.kv)), self.redis.over(Arc::clone(&store.kv)));
        let cached = Arc::clone(&volatile) as Arc<dyn KeyValue>;
        store.kv = Arc::new(Split::new(durable, volatile));
        let records = Probe::Records(Arc::clone(&store.repos.changes));
        let backend = |name, probe| Backend { name, place: "a switch".to_owned(), probe };
        store.backends = vec![backend("postgres", records), backend("redis", Probe::Values(cached))];
        store
    }
}

/// A part of a backend behind a [`Switch`].
pub struct Switched<T: ?Sized> {
    inner: Arc<T>,
    switch: Switch,
}

impl<T: ?Sized> fmt::Debug for Switched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Switched")
    }
}

/// Writes an implementation that asks the switch, and then the part behind it.
macro_rules! switched {
    ($($of:ident { $(fn $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)* })*) => { $(
        #[async_trait]
        impl $of for Switched<dyn $of> {
            $(async fn $name(&self, $($argument: $kind),*) -> Result<$answer> {
                self.switch.check()?;
                self.inner.$name($($argument),*).await
            })*
        }
    )* };
}

switched! {
    KeyValue {
        fn get(at: Place<'_>) -> Option<Entry>;
        fn put(at: Place<'_>, value: &[u8], keep: Keep) -> Revision;
        fn insert(at: Place<'_>, value: &[u8], keep: Keep) -> Option<Revision>;
        fn take(at: Place<'_>) -> Option<Entry>;
        fn replace(at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Option<Revision>;
        fn delete(at: Place<'_>) -> bool;
    }
    Changes {
        fn head() -> u64;
        fn oldest() -> u64;
        fn since(sequence: u64, limit: u32) -> Vec<Change>;
        fn data_keys_changed(owners: &[Owner]) -> u64;
    }
    Replicas {
        fn beat(replica: &Replica) -> ();
        fn live(since: Timestamp) -> Vec<Replica>;
        fn leave(id: ReplicaId) -> ();
    }
    Users {
        fn user(id: UserId) -> Option<User>;
        fn by_handle(handle: &Slug<2>) -> Option<User>;
        fn any() -> bool;
        fn list(after: Option<UserId>, limit: u32) -> Vec<User>;
        fn local_account(email: &str) -> Option<LocalAccount>;
        fn local_account_of(user: UserId) -> Option<LocalAccount>;
        fn identity(connection: ConnectionId, subject: &str) -> Option<Identity>;
        fn identities(user: UserId) -> Vec<Identity>;
        fn create(user: &User, account: Option<&LocalAccount>, identities: &[Identity], audit: &AuditEvent) -> ();
        fn complete_setup(user: &User, account: &LocalAccount, audit: &AuditEvent) -> bool;
        fn setup_closed() -> bool;
        fn update(user: &User, audit: &AuditEvent) -> ();
        fn set_local_account(account: &LocalAccount, audit: &AuditEvent) -> ();
        fn add_identity(identity: &Identity, audit: &AuditEvent) -> ();
        fn refresh_identity(identity: &Identity) -> ();
        fn end_sessions(user: UserId, audit: &AuditEvent) -> bool;
        fn delete(user: UserId, audit: &AuditEvent) -> bool;
    }
    Admissions {
        fn rules(tenant: TenantId, after: Option<RuleId>, limit: u32) -> Vec<AccessRule>;
        fn rules_of(connection: ConnectionId, after: Option<RuleId>, limit: u32) -> Vec<AccessRule>;
        fn create_rule(rule: &AccessRule, audit: &AuditEvent) -> ();
        fn set_rule_role(tenant: TenantId, id: RuleId, role: Role, audit: &AuditEvent) -> bool;
        fn delete_rule(tenant: TenantId, id: RuleId, audit: &AuditEvent) -> bool;
        fn admissions(user: UserId, connection: ConnectionId) -> Vec<Admission>;
        fn rule_of(tenant: TenantId, user: UserId) -> Option<RuleId>;
        fn admit(admission: &Admission, audit: &AuditEvent) -> bool;
        fn dismiss(tenant: TenantId, user: UserId, audit: &AuditEvent) -> bool;
        fn invite(invitation: &Invitation, audit: &AuditEvent) -> ();
        fn invitation(hash: &TokenHash, now: Timestamp) -> Option<Invitation>;
        fn invitations(
            tenant: TenantId,
            now: Timestamp,
            after: Option<InvitationId>,
            limit: u32
        ) -> Vec<Invitation>;
        fn accept(hash: &TokenHash, user: UserId, now: Timestamp, audit: &AuditEvent) -> bool;
        fn withdraw(tenant: TenantId, id: InvitationId, audit: &AuditEvent) -> bool;
        fn purge_invitations(now: Timestamp, limit: u32) -> u64;
    }
    Tenants {
        fn tenant(id: TenantId) -> Option<Tenant>;
        fn by_slug(slug: &TenantSlug) -> Option<Tenant>;
        fn is_tombstone(slug: &TenantSlug) -> bool;
        fn list(after: Option<TenantId>, limit: u32) -> Vec<Tenant>;
        fn create(tenant: &Tenant, members: &[Member], audit: &AuditEvent) -> ();
        fn update(tenant: &Tenant, audit: &AuditEvent) -> ();
        fn delete(tenant: TenantId, audit: &AuditEvent) -> bool;
        fn members(tenant: TenantId, after: Option<UserId>, limit: u32) -> Vec<Member>;
        fn role(tenant: TenantId, user: UserId) -> Option<Role>;
        fn change_role(member: &Member, audit: &AuditEvent) -> MemberChange;
        fn expel(tenant: TenantId, user: UserId, audit: &AuditEvent) -> MemberChange;
        fn memberships(user: UserId, after: Option<&TenantSlug>, limit: u32) -> Vec<Membership>;
        fn put_member(member: &Member, audit: &AuditEvent) -> ();
        fn remove_member(tenant: TenantId, user: UserId, audit: &AuditEvent) -> bool;
        fn view(tenant: TenantId) -> Option<TenantView>;
    }
    Servers {
        fn server(tenant: TenantId, id: ServerId) -> Option<Server>;
        fn by_slug(tenant: TenantId, slug: &ServerSlug) -> Option<Server>;
        fn is_tombstone(tenant: TenantId, slug: &ServerSlug) -> bool;
        fn list(tenant: TenantId, after: Option<&ServerSlug>, limit: u32) -> Vec<Server>;
        fn revision(tenant: TenantId, id: RevisionId) -> Option<ServerRevision>;
        fn revisions(
            tenant: TenantId,
            server: ServerId,
            before: Option<RevisionId>,
            limit: u32
        ) -> Vec<ServerRevision>;
        fn made_by_hand(tenant: TenantId, server: ServerId) -> bool;
        fn create(server: &Server, revision: &ServerRevision, audit: &AuditEvent) -> ();
        fn add_revision(revision: &ServerRevision, audit: &AuditEvent) -> ();
        fn update(server: &Server, audit: &AuditEvent) -> ();
        fn delete(tenant: TenantId, id: ServerId, audit: &AuditEvent) -> bool;
    }
    Connections {
        fn connection(id: ConnectionId) -> Option<Connection>;
        fn by_callback(callback: &str) -> Option<Connection>;
        fn list(owner: ConnectionOwner) -> Vec<Connection>;
        fn create(connection: &Connection, audit: &AuditEvent) -> ();
        fn update(connection: &Connection, audit: &AuditEvent) -> ();
        fn delete(id: ConnectionId, audit: &AuditEvent) -> bool;
    }
    Clients {
        fn client(client_id: &str, now: Timestamp) -> Option<Client>;
        fn create(client: &Client, audit: &AuditEvent) -> ();
        fn register(client: &Client, cap: RegistrationCap, audit: &AuditEvent) -> bool;
        fn replace(client: &Client, expected: Option<&TokenHash>, audit: &AuditEvent) -> bool;
        fn delete(client_id: &str, audit: &AuditEvent) -> bool;
        fn set_blocked(client_id: &str, since: Option<Timestamp>, audit: &AuditEvent) -> bool;
        fn touch(client_id: &str, now: Timestamp, expires_at: Option<Timestamp>) -> ();
        fn count_dynamic(now: Timestamp) -> u64;
        fn of_tenant(tenant: TenantId, after: Option<&str>, limit: u32) -> Vec<Client>;
        fn used_in(tenant: TenantId, now: Timestamp, after: Option<&str>, limit: u32) -> Vec<ClientUse>;
        fn block_in(tenant: TenantId, client_id: &str, audit: &AuditEvent) -> bool;
        fn unblock_in(tenant: TenantId, client_id: &str, audit: &AuditEvent) -> bool;
        fn is_blocked_in(tenant: TenantId, client_id: &str) -> bool;
        fn policies(tenant: TenantId) -> ClientPolicies;
        fn set_policies(tenant: TenantId, policies: &ClientPolicies, audit: &AuditEvent) -> ();
        fn purge(now: Timestamp, limit: u32) -> u64;
    }
    Grants {
        fn authorize(grant: &Grant, code: &Code, audit: &AuditEvent) -> ();
        fn code(hash: &TokenHash) -> Option<(Code, Grant)>;
        fn redeem(code: &TokenHash, refresh: Option<&Refresh>, now: Timestamp, audit: &AuditEvent) -> Redeemed;
        fn count_failure(code: &TokenHash) -> ();
        fn refresh(hash: &TokenHash) -> Option<RefreshFamily>;
        fn rotate(child: &Refresh, now: Timestamp, rules: &Replacement, audit: &AuditEvent) -> Rotated;
        fn note_uses(tokens: &[TokenId], at: Timestamp) -> ();
        fn grant(id: GrantId) -> Option<Grant>;
        fn of_user(user: UserId, now: Timestamp, before: Option<GrantId>, limit: u32) -> Vec<Grant>;
        fn revoke(id: GrantId, now: Timestamp, audit: &AuditEvent) -> bool;
        fn end(of: &GrantsOf, now: Timestamp, audit: &AuditEvent) -> u64;
        fn raise(of: &GrantsOf, now: Timestamp, audit: &AuditEvent) -> u64;
        fn versions(ids: &[GrantId]) -> Vec<Raised>;
        fn raised_since(since: Timestamp, after: Option<&Raised>, limit: u32) -> Vec<Raised>;
        fn revoke_token(token: &RevokedToken, audit: &AuditEvent) -> bool;
        fn revoked_tokens(now: Timestamp, after: Option<TokenId>, limit: u32) -> Vec<RevokedToken>;
        fn revoked_since(since: Timestamp, after: Option<&Revoked>, limit: u32) -> Vec<Revoked>;
        fn purge(before: Timestamp, limit: u32) -> u64;
    }
    SigningKeys {
        fn all() -> Vec<SigningKey>;
        fn change(seen: &[(String, KeyState)], change: &KeyChange, now: Timestamp, audit: &AuditEvent) -> bool;
    }
    ResourceCredentials {
        fn create(credential: &ResourceCredential, audit: &AuditEvent) -> ();
        fn credential(id: ResourceCredentialId) -> Option<ResourceCredential>;
        fn of_server(tenant: TenantId, server: ServerId) -> Vec<ResourceCredential>;
        fn remove(tenant: TenantId, server: ServerId, id: ResourceCredentialId, audit: &AuditEvent) -> bool;
        fn policy(tenant: TenantId) -> TokenPolicy;
        fn set_policy(tenant: TenantId, policy: &TokenPolicy, audit: &AuditEvent) -> ();
    }
    Usage {
        fn add(batch: &UsageBatch, at: Timestamp) -> bool;
        fn since(tenant: TenantId, server: ServerId, since: Timestamp) -> Vec<UsageCount>;
        fn purge(now: Timestamp, limit: u32) -> u64;
    }
    AuditLog {
        fn append(event: &AuditEvent) -> ();
        fn newest(tenant: Option<TenantId>, before: Option<AuditId>, limit: u32) -> Vec<AuditEvent>;
    }
}

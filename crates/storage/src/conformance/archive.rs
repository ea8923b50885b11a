//! Backups: what comes back, and what is refused.

mod damage;
mod refusals;
mod round_trips;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures_util::StreamExt as _;
use model::{Clock, ConnectionId, Role, SeededEntropy, TenantId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(super) use self::{damage::*, refusals::*, round_trips::*};
use super::{MemoryKeys, world::World};
use crate::{
    Collection, Durability, Keep, KeyValue, MasterKey, MasterKeys, Owner, Place, Sealer, WrappedKeys,
    archive::{self, Archive, Backup, Grants, KeysFile, Restore, Restored, Row, TABLES, seal_place},
    repo::{
        AccessRule, Admission, ClientPolicies, ConnectionOwner, Identity, Invitation, KeyChange, Member, Repos,
        RevokedToken, RuleKind, TokenPolicy, UsageBatch, UsageCount, User, hour_of,
    },
};

/// A database of one kind, empty at first.
#[async_trait(?Send)]
pub trait Home: Send + Sync {
    /// To be read into an archive or filled from one, with its schema up to date.
    async fn archive(&self) -> Arc<dyn Archive>;

    /// As a store that seals with `sealer`.
    async fn open(&self, clock: Arc<dyn Clock>, sealer: Arc<Sealer>) -> (Repos, Arc<dyn KeyValue>);
}

const VISITS: Collection = Collection { name: "visits", durability: Durability::Durable, format: 2, reads: &[] };
const VAULT: Collection = Collection { name: "vault", durability: Durability::Durable, format: 1, reads: &[] };
const HINTS: Collection = Collection { name: "hints", durability: Durability::Volatile, format: 1, reads: &[] };

/// What text columns have to bear.
const NASTY: &str = "tab\t line\n return\r back\\slash \\N quote\" ' \u{1} ü \u{fffd} \u{10ffff} {}";

/// An installation with something of every kind in it.
pub(super) struct Installation {
    seed: u64,
    world: Arc<World>,
    home: Box<dyn Home>,
    master: Arc<MasterKeys>,
    keys: Arc<MemoryKeys>,
    sealer: Arc<Sealer>,
    repos: Repos,
    values: Arc<dyn KeyValue>,
}

/// Both files, as texts.
#[derive(Clone)]
struct Files {
    data: String,
    keys: String,
}

fn place(owner: Owner, collection: Collection, key: &str) -> Place<'_> {
    Place { owner, collection, key }
}

impl Installation {
    /// One with data keys of its own; the master key is the same for all.
    pub(super) async fn new(home: Box<dyn Home>, seed: u64) -> Self {
        let world = Arc::new(World::new());
        let master = Arc::new(MasterKeys::from(MasterKey::new([0x42; 32])));
        let keys = Arc::new(MemoryKeys::default());
        let entropy = Arc::new(SeededEntropy::new(seed));
        let sealer = Sealer::open_ring(master.clone(), keys.clone(), world.clock.clone(), entropy).await.unwrap();
        let sealer = Arc::new(sealer);
        let (repos, values) = home.open(world.clock.clone(), sealer.clone()).await;
        let installation = Self { seed, world, home, master, keys, sealer, repos, values };
        installation.stock().await;
        installation
    }

    async fn stock(&self) {
        let (world, repos) = (&*self.world, &self.repos);
        let audit = |action: &str| world.audit(action).with(json!({ "nasty": NASTY, "order": 1, "a": 1.50 }));
        let (alice, server) = world.acme(repos).await;
        let bob = world.user("bob");
        let connections =
            [ConnectionOwner::Platform, ConnectionOwner::Tenant(server.tenant)].map(|owner| match owner {
                ConnectionOwner::Platform => world.connection(owner, "google", "google"),
                ConnectionOwner::Tenant(_) => world.connection(owner, "github", "acme-github"),
            });
        for connection in &connections {
            repos.connections.create(connection, &audit("connection.created")).await.unwrap();
        }
        let identity = Identity {
            connection: connections[1].id,
            subject: NASTY.to_owned(),
            user: bob.id,
            email: None,
            email_verified: true,
        };
        let account = World::account(&bob, "bob@example.com");
        repos.users.create(&bob, Some(&account), &[identity], &audit("user.created")).await.unwrap();
        self.admit(&bob, connections[1].id, server.tenant).await;
        let mut client = world.client("c_1", None);
        client.name = Some(NASTY.to_owned());
        repos.clients.create(&client, &audit("client.created")).await.unwrap();
        repos.clients.block_in(server.tenant, "c_blocked", &audit("client.blocked")).await.unwrap();
        let (policies, event) = (ClientPolicies::default(), audit("clients.policies-changed"));
        repos.clients.set_policies(server.tenant, &policies, &event).await.unwrap();
        let (ended, _) = world.active(repos, &alice, &server).await;
        repos.grants.revoke(ended.id, world.now(), &audit("grant.revoked")).await.unwrap();
        world.active(repos, &alice, &server).await;
        let pending = world.grant(alice.id, &server);
        repos.grants.authorize(&pending, &world.code(&pending), &audit("grant.requested")).await.unwrap();
        let added = KeyChange { add: vec![world.signing_key("kid")], ..KeyChange::default() };
        assert!(repos.signing.change(&[], &added, world.now(), &audit("key.created")).await.unwrap());
        let credential = world.credential(&server, NASTY);
        repos.resource_credentials.create(&credential, &audit("credential.created")).await.unwrap();
        let policy = TokenPolicy { access: Some(super::world::HOUR), refresh_grace: None };
        repos.resource_credentials.set_policy(server.tenant, &policy, &audit("policy.set")).await.unwrap();
        let token = RevokedToken { id: world.id(), tenant: server.tenant, expires_at: world.now() };
        repos.grants.revoke_token(&token, &audit("token.revoked")).await.unwrap();
        let hour = hour_of(world.now());
        let count = UsageCount { tenant: server.tenant, server: server.id, hour, calls: 3, errors: 1 };
        repos.usage.add(&UsageBatch { id: world.id(), counts: vec![count] }, world.now()).await.unwrap();
        let soon = Keep::Until(world.now() + 10 * super::world::HOUR);
        for owner in [Owner::Platform, Owner::Tenant(server.tenant), Owner::User(bob.id)] {
            self.values.put(place(owner, VISITS, "one"), b"a visit", soon).await.unwrap();
            self.values.put(place(owner, VAULT, NASTY), NASTY.as_bytes(), Keep::Forever).await.unwrap();
            self.values.put(place(owner, HINTS, "one"), b"a hint", soon).await.unwrap();
        }
        let over = Keep::Until(world.now());
        self.values.put(place(Owner::Platform, VAULT, "over"), b"expired", over).await.unwrap();
    }

    /// Makes somebody a member by a rule, and invites somebody else.
    async fn admit(&self, user: &User, connection: ConnectionId, tenant: TenantId) {
        let (world, admissions) = (&*self.world, &self.repos.admissions);
        let rule = AccessRule {
            id: world.id(),
            tenant,
            connection,
            kind: RuleKind::Team,
            value: NASTY.to_owned(),
            role: Role::Member,
            created_at: world.now(),
            declared: false,
        };
        admissions.create_rule(&rule, &world.audit("rule.created")).await.unwrap();
        let admission = Admission { member: Member { tenant, user: user.id, role: Role::Member }, rule: rule.id };
        assert!(admissions.admit(&admission, &world.audit("member.admitted")).await.unwrap());
        let invitation = Invitation {
            id: world.id(),
            tenant,
            hash: world.hash(),
            role: Role::Viewer,
            email: Some(NASTY.to_owned()),
            created_by: user.id,
            created_at: world.now(),
            expires_at: world.now() + super::world::HOUR,
        };
        admissions.invite(&invitation, &world.audit("invitation.created")).await.unwrap();
    }

    async fn backup(&self) -> Files {
        let (files, damaged) = self.backup_with(&*self.keys).await.unwrap();
        assert_eq!(damaged, 0);
        files
    }

    /// A backup with these keys, and how many rows of it are damaged.
    async fn backup_with(&self, wrapped: &dyn WrappedKeys) -> archive::Result<(Files, u64)> {
        let (mut data, mut keys) = (Vec::new(), Vec::new());
        let backup = Backup {
            from: &*self.home.archive().await,
            keys: wrapped,
            sealer: &self.sealer,
            clock: &*self.world.clock,
            entropy: &SeededEntropy::new(self.seed + self.world.now().millis().unsigned_abs()),
            volatile: &[HINTS.name],
            version: "0.1.0",
            progress: &|_| {},
        };
        let written = backup.write(&mut data).await?;
        written.keys.write(&mut keys).await?;
        let files = Files { data: String::from_utf8(data).unwrap(), keys: String::from_utf8(keys).unwrap() };
        Ok((files, written.damaged))
    }

    /// The only tenant.
    async fn tenant(&self) -> Owner {
        let tenants = self.repos.tenants.by_slug(&"acme".parse().unwrap()).await.unwrap();
        Owner::Tenant(tenants.unwrap().id)
    }
}

/// An empty database, and keys beside it.
struct Target {
    archive: Arc<dyn Archive>,
    keys: Arc<MemoryKeys>,
}

impl Target {
    async fn new(home: &dyn Home) -> Self {
        Self { archive: home.archive().await, keys: Arc::default() }
    }

    async fn restore(&self, from: &Installation, files: &Files, grants: Option<Grants>) -> archive::Result<Restored> {
        self.restore_with(from, from.master.clone(), files.data.as_bytes(), files.keys.as_bytes(), grants).await
    }

    async fn restore_with(
        &self,
        from: &Installation,
        master: Arc<MasterKeys>,
        mut data: &[u8],
        mut keys: &[u8],
        grants: Option<Grants>,
    ) -> archive::Result<Restored> {
        let keys = KeysFile::read(&mut keys).await?;
        let restore = Restore {
            to: &*self.archive,
            keys: &*self.keys,
            master,
            clock: from.world.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(77)),
            grants,
            sessions: &[VISITS.name],
            progress: &|_| {},
        };
        restore.read(&mut data, keys).await
    }
}

/// All rows, sorted.
async fn dump(archive: &dyn Archive) -> BTreeMap<&'static str, Vec<Row>> {
    let mut snapshot = archive.snapshot().await.unwrap();
    let mut tables = BTreeMap::new();
    for table in TABLES {
        let mut rows: Vec<Row> = snapshot.rows(table).map(Result::unwrap).collect().await;
        rows.sort_by_key(|row| format!("{row:?}"));
        tables.insert(table.name, rows);
    }
    tables
}

impl Files {
    /// Changes the data file line by line, each with the table that it is of, and ends it anew with `sealer`: what
    /// only somebody with the keys can do.
    async fn forged(&self, sealer: &Sealer, mut change: impl FnMut(&str, Value) -> Option<Value>) -> Self {
        let lines: Vec<Value> = self.data.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (mut changed, mut table) = (Vec::new(), String::new());
        for line in &lines[..lines.len() - 1] {
            if !line.is_array() {
                table = line["table"].as_str().unwrap_or_default().to_owned();
            }
            changed.extend(change(&table, line.clone()));
        }
        let rows = changed.iter().filter(|line| line.is_array()).count();
        let body: String = changed.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
        let digest: [u8; 32] = Sha256::digest(&body).into();
        let place = seal_place(changed[0]["backup"].as_str().unwrap());
        let closed = sealer.seal(Owner::Platform, &place, &digest).await.unwrap();
        let (closed, sha256) = (BASE64.encode(closed), archive::hex(&digest));
        let end = json!({ "rows": rows, "sha256": sha256, "sealed": closed });
        Self { data: format!("{body}{end}\n"), keys: self.keys.clone() }
    }

    /// The keys file without the lines of an owner.
    fn without(&self, owner: Owner) -> Self {
        let whose = format!("\"owner\":\"{owner}\"");
        let keys = self.keys.lines().filter(|line| !line.contains(&whose)).flat_map(|line| [line, "\n"]).collect();
        Self { data: self.data.clone(), keys }
    }
}

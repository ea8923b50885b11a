use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use model::{ResourcePath, Role, ServerSlug, TenantId, TenantSlug, UserId};
use storage::{
    Change, ChangeKind, Follow,
    repo::{LiveServer, Repos, Tenant, TenantView, TokenPolicy, UserState},
};
use tokio::sync::Mutex;

/// How many tenants or people are read at a time.
const PAGE: u32 = 1000;

/// Who is where and what answers where, in memory: what every request needs to be routed and judged.
///
/// Invariant: lookups do no I/O, take no lock and allocate nothing. The feed keeps it current.
#[derive(Debug)]
pub struct Directory {
    repos: Repos,
    state: ArcSwap<State>,
    /// Held while a next state is made, so that two writers do not lose each other's work.
    writing: Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct State {
    by_id: HashMap<TenantId, Arc<Entry>>,
    by_slug: HashMap<TenantSlug, Arc<Entry>>,
    /// People who may not do anything: blocked, or deleted since this process started.
    shut_out: HashSet<UserId>,
}

/// One tenant. The two lists are sorted, which takes half the memory of maps.
#[derive(Debug)]
struct Entry {
    tenant: Tenant,
    slugs: Box<[TenantSlug]>,
    servers: Box<[(ServerSlug, Arc<LiveServer>)]>,
    members: Box<[(UserId, Role)]>,
    tokens: TokenPolicy,
}

impl Directory {
    /// An empty directory, to be filled by a `storage::Follower`.
    pub fn new(repos: Repos) -> Arc<Self> {
        Arc::new(Self { repos, state: ArcSwap::default(), writing: Mutex::default() })
    }

    /// The live server at a path; slugs may be aliases.
    pub fn resolve(&self, path: &ResourcePath) -> Option<Arc<LiveServer>> {
        let state = self.state.load();
        let entry = state.by_slug.get(&path.tenant)?;
        let at = entry.servers.binary_search_by(|(slug, _)| slug.cmp(&path.server)).ok()?;
        Some(Arc::clone(&entry.servers[at].1))
    }

    /// A person's role in a tenant that works.
    pub fn role(&self, tenant: TenantId, user: UserId) -> Option<Role> {
        let state = self.state.load();
        let members = &state.by_id.get(&tenant)?.members;
        let at = members.binary_search_by(|(id, _)| id.cmp(&user)).ok()?;
        Some(members[at].1)
    }

    /// Whether a person may do anything at all.
    pub fn user_active(&self, user: UserId) -> bool {
        !self.state.load().shut_out.contains(&user)
    }

    /// The working tenant of a slug or alias. Copies its names: for pages, not for the request path.
    pub fn tenant(&self, slug: &TenantSlug) -> Option<Tenant> {
        self.state.load().by_slug.get(slug).map(|entry| entry.tenant.clone())
    }

    /// What a working tenant sets about its tokens.
    pub fn token_policy(&self, tenant: TenantId) -> TokenPolicy {
        self.state.load().by_id.get(&tenant).map(|entry| entry.tokens).unwrap_or_default()
    }

    /// How many tenants work.
    pub fn tenant_count(&self) -> usize {
        self.state.load().by_id.len()
    }
}

impl Entry {
    fn new(view: TenantView) -> Arc<Self> {
        let mut servers: Vec<_> = Vec::with_capacity(view.servers.len());
        for server in view.servers {
            servers.extend(server.slugs.iter().map(|slug| (slug.clone(), Arc::clone(&server))));
        }
        servers.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut members = view.members;
        members.sort_unstable_by_key(|(user, _)| *user);
        Arc::new(Self {
            tenant: view.tenant,
            slugs: view.slugs.into(),
            servers: servers.into(),
            members: members.into(),
            tokens: view.tokens,
        })
    }
}

impl State {
    fn put(&mut self, id: TenantId, view: Option<TenantView>) {
        if let Some(old) = self.by_id.remove(&id) {
            for slug in &old.slugs {
                self.by_slug.remove(slug);
            }
        }
        if let Some(view) = view {
            let entry = Entry::new(view);
            for slug in &entry.slugs {
                self.by_slug.insert(slug.clone(), Arc::clone(&entry));
            }
            self.by_id.insert(id, entry);
        }
    }
}

#[async_trait]
impl Follow for Directory {
    async fn reload(&self) -> storage::Result<()> {
        let _writing = self.writing.lock().await;
        let mut state = State::default();
        let mut after = None;
        loop {
            let page = self.repos.tenants.list(after, PAGE).await?;
            for tenant in &page {
                state.put(tenant.id, self.repos.tenants.view(tenant.id).await?);
            }
            match page.last() {
                Some(last) => after = Some(last.id),
                None => break,
            }
        }
        let mut after = None;
        loop {
            let page = self.repos.users.list(after, PAGE).await?;
            state.shut_out.extend(page.iter().filter(|user| user.state == UserState::Blocked).map(|user| user.id));
            match page.last() {
                Some(last) => after = Some(last.id),
                None => break,
            }
        }
        self.state.store(Arc::new(state));
        Ok(())
    }

    async fn apply(&self, changes: &[Change]) -> storage::Result<()> {
        let tenants: HashSet<_> = subjects(changes, ChangeKind::Tenant).filter_map(TenantId::from_bytes).collect();
        let users: HashSet<_> = subjects(changes, ChangeKind::User).filter_map(UserId::from_bytes).collect();
        if tenants.is_empty() && users.is_empty() {
            return Ok(());
        }
        let _writing = self.writing.lock().await;
        let mut state = State::clone(&self.state.load());
        for id in tenants {
            state.put(id, self.repos.tenants.view(id).await?);
        }
        for id in users {
            let user = self.repos.users.user(id).await?;
            if user.is_some_and(|user| user.state == UserState::Active) {
                state.shut_out.remove(&id);
            } else {
                state.shut_out.insert(id);
            }
        }
        self.state.store(Arc::new(state));
        Ok(())
    }
}

/// The ids of the changed things of one kind.
fn subjects(changes: &[Change], kind: ChangeKind) -> impl Iterator<Item = &[u8]> {
    changes.iter().filter(move |change| change.kind == kind).map(|change| change.subject.as_slice())
}

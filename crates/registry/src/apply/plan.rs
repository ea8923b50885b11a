use std::collections::{HashMap, HashSet};

use model::{Secret, ServerId, Slug, TenantId, TenantSlug, UserId};
use storage::repo::{
    Connection, ConnectionOwner, Identity, LocalAccount, Member, Server, ServerRevision, ServerState, Tenant,
    TenantState, User, UserState,
};

use super::{DeclaredConnection, DeclaredServer, DeclaredTenant, DeclaredUser, File, Plan, Step};
use crate::{Error, Registry, Result, connections::same_provider};

mod prune;
mod rules;

/// A file cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// What it declares contradicts itself or what is there; all contradictions.
    #[error("this cannot be applied:{}", lines(.0))]
    Contradictions(Vec<String>),
    /// The store failed.
    #[error(transparent)]
    Registry(#[from] Error),
}

/// Why a slug that nothing has cannot be had.
fn spent(whose: &str) -> String {
    format!("this slug was that of a {whose} that was deleted, and is given to no other. Choose another one")
}

fn lines(faults: &[String]) -> String {
    faults.iter().flat_map(|fault| ["\n  ", fault]).collect()
}

impl Plan {
    /// Compares what is there with what `file` declares. With `prune`, what is not declared is deleted.
    pub async fn new(registry: &Registry, file: &File, prune: bool) -> std::result::Result<Self, PlanError> {
        let mut planner = Planner {
            registry,
            plan: Self::default(),
            faults: Vec::new(),
            people: HashMap::new(),
            connections: HashMap::new(),
            tenants: HashMap::new(),
            servers: HashSet::new(),
        };
        planner.declared(file).await?;
        let operators = planner.operators(file).await?;
        if prune {
            planner.prune(file, operators).await?;
        }
        if planner.faults.is_empty() { Ok(planner.plan) } else { Err(PlanError::Contradictions(planner.faults)) }
    }
}

struct Planner<'a> {
    registry: &'a Registry,
    plan: Plan,
    faults: Vec<String>,
    /// Everybody that the file may name, present or to be made.
    people: HashMap<Slug<2>, UserId>,
    /// Every connection that the file may name, by callback segment.
    connections: HashMap<String, Connection>,
    /// The tenants that the file declares, by the slug it uses: an alias may stand there.
    tenants: HashMap<TenantId, TenantSlug>,
    /// The present servers that the file declares.
    servers: HashSet<ServerId>,
}

impl Planner<'_> {
    /// Invariant: each step needs only what earlier steps made.
    async fn declared(&mut self, file: &File) -> Result<()> {
        for declared in &file.connections {
            self.connection(ConnectionOwner::Platform, None, declared).await?;
        }
        let mut tenants = Vec::new();
        for declared in &file.tenants {
            let (tenant, new) = self.tenant(declared).await?;
            self.tenants.insert(tenant.id, declared.slug.clone());
            for connection in &declared.connections {
                let owner = ConnectionOwner::Tenant(tenant.id);
                self.connection(owner, Some(&tenant.slug), connection).await?;
            }
            tenants.push((declared, tenant, new));
        }
        for declared in &file.users {
            self.user(declared).await?;
        }
        for (declared, tenant, new) in &tenants {
            self.members(declared, tenant, *new).await?;
            self.rules(declared, tenant, *new).await?;
            for server in &declared.servers {
                self.server(tenant, server, *new).await?;
            }
        }
        Ok(())
    }

    async fn connection(
        &mut self,
        owner: ConnectionOwner,
        tenant: Option<&TenantSlug>,
        declared: &DeclaredConnection,
    ) -> Result<()> {
        let present = self.registry.repos.connections.list(owner).await?;
        let present = present.into_iter().find(|connection| connection.slug == declared.slug);
        let declared = declared.clone();
        let wanted = Connection {
            id: present.as_ref().map_or_else(|| self.registry.id(), |present| present.id),
            owner,
            callback: match (&present, tenant) {
                (Some(present), _) => present.callback.clone(),
                (None, Some(tenant)) => format!("{tenant}.{}", declared.slug),
                (None, None) => declared.slug.to_string(),
            },
            slug: declared.slug,
            kind: declared.kind,
            name: declared.name,
            client_id: declared.client_id,
            client_secret: Some(declared.client_secret),
            endpoints: declared.endpoints,
            created_at: present.as_ref().map_or_else(|| self.registry.clock.now(), |present| present.created_at),
            // What somebody switched off stays off: a declaration is no answer to an emergency.
            enabled: present.as_ref().is_none_or(|present| present.enabled),
            declared: true,
        };
        self.connections.insert(wanted.callback.clone(), wanted.clone());
        match present {
            None => self.plan.steps.push(Step::CreateConnection(wanted)),
            // Who somebody is, is a subject at this connection: at another provider the same subject is
            // somebody else, who would walk into the account.
            Some(present) if !same_provider(&present, &wanted) => self.faults.push(format!(
                "connection {}: it cannot lead to another provider, since people are known by it; declare one with \
                 another id, or take this one away first (--prune)",
                present.callback
            )),
            Some(present) if !same_connection(&present, &wanted) => {
                self.plan.steps.push(Step::UpdateConnection(wanted));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The declared tenant, and whether it is to be made.
    async fn tenant(&mut self, declared: &DeclaredTenant) -> Result<(Tenant, bool)> {
        if let Some(mut present) = self.registry.repos.tenants.by_slug(&declared.slug).await? {
            if present.name != declared.name {
                present.name = declared.name.clone();
                self.plan.steps.push(Step::UpdateTenant(present.clone()));
            }
            return Ok((present, false));
        }
        if self.registry.repos.tenants.is_tombstone(&declared.slug).await? {
            self.faults.push(format!("tenant {}: {}", declared.slug, spent("tenant")));
        }
        let tenant = Tenant {
            id: self.registry.id(),
            slug: declared.slug.clone(),
            name: declared.name.clone(),
            state: TenantState::Active,
            created_at: self.registry.clock.now(),
        };
        self.plan.steps.push(Step::CreateTenant(tenant.clone()));
        Ok((tenant, true))
    }

    async fn user(&mut self, declared: &DeclaredUser) -> Result<()> {
        let present = self.registry.repos.users.by_handle(&declared.handle).await?;
        let id = present.as_ref().map_or_else(|| self.registry.id(), |present| present.id);
        self.people.insert(declared.handle.clone(), id);
        let identities = self.identities(declared, id).await?;
        if let Some(present) = present {
            self.update_user(declared, present).await?;
            let handle = &declared.handle;
            let link = |identity| Step::AddIdentity { handle: handle.clone(), identity };
            self.plan.steps.extend(identities.into_iter().map(link));
            return Ok(());
        }
        if declared.password.is_some() {
            self.check_address(declared, id).await?;
        }
        let person = self.registry.person(declared.name.clone(), declared.email.clone());
        let state = if declared.blocked == Some(true) { UserState::Blocked } else { UserState::Active };
        let user = User { id, handle: Some(declared.handle.clone()), operator: declared.operator, state, ..person };
        self.plan.steps.push(Step::CreateUser { user, password: declared.password.clone(), identities });
        Ok(())
    }

    async fn update_user(&mut self, declared: &DeclaredUser, present: User) -> Result<()> {
        let email = declared.email.clone().or_else(|| present.email.clone());
        // Not said, it stays: whom somebody blocked by hand no older file lets in again.
        let state = match declared.blocked {
            Some(true) => UserState::Blocked,
            Some(false) => UserState::Active,
            None => present.state,
        };
        let (name, operator) = (declared.name.clone(), declared.operator);
        let wanted = User { name, email, operator, state, ..present.clone() };
        if wanted != present {
            self.plan.steps.push(Step::UpdateUser(wanted));
        }
        let (Some(password), Some(email)) = (&declared.password, &declared.email) else {
            return Ok(());
        };
        self.check_address(declared, present.id).await?;
        let account = self.registry.repos.users.local_account_of(present.id).await?;
        let stored = account.as_ref().map(|account| &account.password);
        let handle = declared.handle.clone();
        if stored.is_none() || !self.registry.passwords.matches(password, stored).await? {
            let (email, password) = (email.clone(), password.clone());
            self.plan.steps.push(Step::SetPassword { user: present.id, handle, email, password });
        } else if let Some(account) = account.filter(|account| account.email != *email) {
            let account = LocalAccount { email: email.clone(), ..account };
            self.plan.steps.push(Step::SetAddress { handle, account });
        }
        Ok(())
    }

    /// Notes a fault when somebody else signs in with the declared address.
    async fn check_address(&mut self, declared: &DeclaredUser, id: UserId) -> Result<()> {
        let Some(email) = &declared.email else {
            return Ok(());
        };
        let other = self.registry.repos.users.local_account(email).await?;
        if let Some(other) = other.filter(|other| other.user != id) {
            self.faults.push(format!("user {}: {} signs in with this address already", declared.handle, other.user));
        }
        Ok(())
    }

    /// The declared identities that are to be linked.
    async fn identities(&mut self, declared: &DeclaredUser, user: UserId) -> Result<Vec<Identity>> {
        let mut missing = Vec::new();
        for (name, subject) in &declared.identities {
            let Some(Connection { id: connection, .. }) = self.find_connection(name).await? else {
                self.faults.push(format!("user {}: there is no connection \"{name}\"", declared.handle));
                continue;
            };
            match self.registry.repos.users.identity(connection, subject).await? {
                Some(present) if present.user == user => {}
                Some(other) => self.faults.push(format!(
                    "user {}: the subject {subject} of {name} belongs to {} already, and identities do not change hands",
                    declared.handle, other.user
                )),
                None => missing.push(Identity {
                    connection,
                    subject: subject.clone(),
                    user,
                    email: declared.email.clone(),
                    email_verified: false,
                }),
            }
        }
        Ok(missing)
    }

    async fn find_connection(&self, callback: &str) -> Result<Option<Connection>> {
        if let Some(connection) = self.connections.get(callback) {
            return Ok(Some(connection.clone()));
        }
        Ok(self.registry.repos.connections.by_callback(callback).await?)
    }

    async fn members(&mut self, declared: &DeclaredTenant, tenant: &Tenant, new: bool) -> Result<()> {
        let present = if new { Vec::new() } else { self.all_members(tenant.id).await? };
        for (handle, role) in &declared.members {
            let Some(user) = self.find_person(handle).await? else {
                self.faults.push(format!("tenant {}: there is no user \"{handle}\"", tenant.slug));
                continue;
            };
            let was = present.iter().find(|member| member.user == user).map(|member| member.role);
            // What a file declares rests on no rule.
            let by_rule = was.is_some() && self.registry.repos.admissions.rule_of(tenant.id, user).await?.is_some();
            if was != Some(*role) || by_rule {
                let (tenant_slug, handle) = (tenant.slug.clone(), handle.clone());
                let member = Member { tenant: tenant.id, user, role: *role };
                self.plan.steps.push(Step::PutMember { tenant: tenant_slug, handle, member, was });
            }
        }
        Ok(())
    }

    async fn find_person(&self, handle: &Slug<2>) -> Result<Option<UserId>> {
        if let Some(id) = self.people.get(handle) {
            return Ok(Some(*id));
        }
        Ok(self.registry.repos.users.by_handle(handle).await?.map(|user| user.id))
    }

    async fn new_server(&mut self, tenant: &Tenant, declared: &DeclaredServer, of_new: bool) -> Result<()> {
        let slug = &declared.slug;
        if !of_new && self.registry.repos.servers.is_tombstone(tenant.id, slug).await? {
            self.faults.push(format!("server {}/{slug}: {}", tenant.slug, spent("server")));
        }
        let id = self.registry.id();
        let revision = self.revision(tenant, id, declared);
        let server = Server {
            id,
            tenant: tenant.id,
            slug: slug.clone(),
            name: declared.name.clone(),
            state: ServerState::Live,
            live: Some(revision.id),
            created_at: revision.created_at,
        };
        self.plan.steps.push(Step::CreateServer { tenant: tenant.slug.clone(), server, revision });
        Ok(())
    }

    async fn server(&mut self, tenant: &Tenant, declared: &DeclaredServer, new: bool) -> Result<()> {
        let present = if new { None } else { self.registry.repos.servers.by_slug(tenant.id, &declared.slug).await? };
        let slug = tenant.slug.clone();
        let Some(present) = present else { return self.new_server(tenant, declared, new).await };
        self.servers.insert(present.id);
        let servers = &self.registry.repos.servers;
        let live = match present.live {
            Some(live) => servers.revision(tenant.id, live).await?,
            None => None,
        };
        // What somebody switched off stays off: a declaration is no answer to an emergency.
        let state = match present.state {
            ServerState::Disabled => {
                self.plan.notes.push(format!("server {slug}/{} is switched off and stays so", present.slug));
                ServerState::Disabled
            }
            ServerState::Draft | ServerState::Live => ServerState::Live,
        };
        let wanted = Server { name: declared.name.clone(), state, ..present.clone() };
        if live.as_ref().is_some_and(|live| live.source == declared.source) {
            if wanted != present {
                self.plan.steps.push(Step::UpdateServer { tenant: slug, server: wanted });
            }
        } else {
            let revision = self.revision(tenant, present.id, declared);
            let server = Server { live: Some(revision.id), ..wanted };
            self.plan.steps.push(Step::ReviseServer { tenant: slug, server, revision });
        }
        Ok(())
    }

    fn revision(&self, tenant: &Tenant, server: ServerId, declared: &DeclaredServer) -> ServerRevision {
        ServerRevision {
            id: self.registry.id(),
            tenant: tenant.id,
            server,
            source: declared.source.clone(),
            offer: None,
            created_by: None,
            created_at: self.registry.clock.now(),
        }
    }
}

fn same_connection(a: &Connection, b: &Connection) -> bool {
    a.kind == b.kind
        && a.name == b.name
        && a.client_id == b.client_id
        // One that does not open any more is another one: applying the file repairs it.
        && a.client_secret.as_ref().map(Secret::expose) == b.client_secret.as_ref().map(Secret::expose)
        && a.endpoints == b.endpoints
        && a.declared == b.declared
}

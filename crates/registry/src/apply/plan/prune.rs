//! What `--prune` deletes, and what it leaves alone.

use std::collections::{HashMap, HashSet};

use model::{ServerSlug, Slug, TenantId, UserId};
use storage::{
    pages,
    repo::{Connection, ConnectionOwner, Member, Server, Tenant, User},
};

use super::Planner;
use crate::{
    Result,
    apply::{DeclaredConnection, DeclaredTenant, File, Step},
};

impl Planner<'_> {
    /// The operators that the file does not name. It is a fault when the file would leave nobody who runs
    /// the installation, and worth a note when nobody did before: set-up closes with the first person.
    pub(super) async fn operators(&mut self, file: &File) -> Result<Vec<User>> {
        let present: Vec<_> = self.everybody().await?.into_iter().filter(|user| user.operator).collect();
        let declared: HashSet<_> = file.users.iter().map(|user| &user.handle).collect();
        let is_declared = |user: &User| user.handle.as_ref().is_some_and(|handle| declared.contains(handle));
        let others: Vec<_> = present.iter().filter(|user| !is_declared(user)).cloned().collect();
        if others.is_empty() && !file.users.iter().any(|user| user.operator) {
            if !present.is_empty() {
                self.faults.push("nobody would run the installation: give one user operator = true".to_owned());
            } else if !file.users.is_empty() {
                self.plan.notes.push("nobody runs the installation: give one user operator = true".to_owned());
            }
        }
        Ok(others)
    }

    /// Plans the deletion of what the file could have declared and does not.
    pub(super) async fn prune(&mut self, file: &File, operators: Vec<User>) -> Result<()> {
        let people = self.everybody().await?;
        let handles: HashMap<_, _> = people.iter().filter_map(|user| Some((user.id, user.handle.clone()?))).collect();
        for tenant in self.all_tenants().await? {
            let slug = self.tenants.get(&tenant.id);
            match slug.and_then(|slug| file.tenants.iter().find(|declared| declared.slug == *slug)) {
                Some(declared) => self.prune_inside(declared, &tenant, &handles).await?,
                None => self.prune_tenant(tenant, &handles).await?,
            }
        }
        let platform = self.registry.repos.connections.list(ConnectionOwner::Platform).await?;
        self.prune_connections(platform, &file.connections);
        let kept = if file.users.iter().any(|user| user.operator) {
            None
        } else {
            operators.iter().find(|user| user.handle.is_none()).or(operators.first())
        };
        for user in people {
            let declared = file.users.iter().any(|declared| Some(&declared.handle) == user.handle.as_ref());
            if declared || user.handle.is_none() {
                continue;
            }
            if kept.is_some_and(|kept| kept.id == user.id) {
                self.plan.notes.push(format!("user {} stays: the last operator", name(&user)));
            } else {
                self.plan.steps.push(Step::DeleteUser(user));
            }
        }
        Ok(())
    }

    async fn prune_inside(
        &mut self,
        declared: &DeclaredTenant,
        tenant: &Tenant,
        handles: &HashMap<UserId, Slug<2>>,
    ) -> Result<()> {
        for member in self.all_members(tenant.id).await? {
            let Some(handle) = handles.get(&member.user) else { continue };
            // Who came by a rule goes with it.
            if self.registry.repos.admissions.rule_of(tenant.id, member.user).await?.is_some() {
                continue;
            }
            if !declared.members.iter().any(|(declared, _)| declared == handle) {
                let (slug, handle) = (tenant.slug.clone(), handle.clone());
                self.plan.steps.push(Step::RemoveMember { tenant: slug, id: tenant.id, handle, user: member.user });
            }
        }
        for server in self.all_servers(tenant.id).await? {
            if self.servers.contains(&server.id) {
                continue;
            }
            // What somebody registered on the pages is not a declaration that was taken back.
            if !self.registry.repos.servers.made_by_hand(tenant.id, server.id).await? {
                self.plan.steps.push(Step::DeleteServer { tenant: tenant.slug.clone(), server });
            }
        }
        self.prune_rules(declared, tenant).await?;
        let connections = self.registry.repos.connections.list(ConnectionOwner::Tenant(tenant.id)).await?;
        self.prune_connections(connections, &declared.connections);
        Ok(())
    }

    async fn prune_tenant(&mut self, tenant: Tenant, handles: &HashMap<UserId, Slug<2>>) -> Result<()> {
        let members = self.all_members(tenant.id).await?;
        if members.iter().all(|member| handles.contains_key(&member.user)) {
            self.plan.steps.push(Step::DeleteTenant(tenant));
        } else {
            self.plan.notes.push(format!("tenant {} stays: somebody is in it whom no file names", tenant.slug));
        }
        Ok(())
    }

    fn prune_connections(&mut self, present: Vec<Connection>, declared: &[DeclaredConnection]) {
        // What somebody made on the pages is not a declaration that was taken back.
        let gone = present
            .into_iter()
            .filter(|one| one.declared && !declared.iter().any(|declared| declared.slug == one.slug));
        self.plan.steps.extend(gone.map(Step::DeleteConnection));
    }

    async fn everybody(&self) -> Result<Vec<User>> {
        let users = &self.registry.repos.users;
        Ok(pages(|after, limit| users.list(after, limit), |user| user.id).await?)
    }

    async fn all_tenants(&self) -> Result<Vec<Tenant>> {
        let tenants = &self.registry.repos.tenants;
        Ok(pages(|after, limit| tenants.list(after, limit), |tenant| tenant.id).await?)
    }

    pub(super) async fn all_members(&self, tenant: TenantId) -> Result<Vec<Member>> {
        let tenants = &self.registry.repos.tenants;
        Ok(pages(|after, limit| tenants.members(tenant, after, limit), |member| member.user).await?)
    }

    async fn all_servers(&self, tenant: TenantId) -> Result<Vec<Server>> {
        let servers = &self.registry.repos.servers;
        let page = |after: Option<ServerSlug>, limit| async move { servers.list(tenant, after.as_ref(), limit).await };
        Ok(pages(page, |server| server.slug.clone()).await?)
    }
}

fn name(user: &User) -> &str {
    user.handle.as_ref().map_or(user.name.as_str(), Slug::as_str)
}

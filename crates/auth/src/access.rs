//! Which servers a person may use.

use std::sync::Arc;

use model::{Resource, ResourcePath, Role, UserId};
use storage::repo::{Grant, LiveServer, ServerState, SignInMethod, Tenant};

use crate::Auth;

/// A server that a person may use.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    pub(crate) server: Arc<LiveServer>,
    /// What pages call the tenant.
    pub(crate) tenant_name: String,
}

/// The server at a path, if the person may use it. `None` for strangers and for absent servers alike.
pub(crate) async fn usable(
    auth: &Auth,
    user: UserId,
    method: SignInMethod,
    path: &ResourcePath,
) -> Result<Option<Target>, registry::Error> {
    let (Some(tenant), Some(server)) = (auth.directory.tenant(&path.tenant), auth.directory.resolve(path)) else {
        return Ok(None);
    };
    let member = auth.directory.role(tenant.id, user).is_some_and(Role::may_call) && auth.directory.user_active(user);
    if !member || !auth.registry.opens(method, tenant.id).await? {
        return Ok(None);
    }
    let resource = Resource::new(&auth.origins.mcp, path);
    Ok(Some(Target { resource, server, tenant_name: tenant.name.to_string() }))
}

/// Whether what a grant rests on still holds: the person, their membership, their way of signing in, the
/// server, the tenant's patience with the client.
pub(crate) async fn still_holds(auth: &Auth, grant: &Grant) -> Result<bool, registry::Error> {
    let Ok((_, path)) = Resource::parse(&auth.origins.mcp, grant.resource.as_str()) else {
        return Ok(false);
    };
    // A block also ends the grants that are there; this is for one that was made at the same moment.
    if auth.repos.clients.is_blocked_in(grant.tenant, &grant.client_id).await? {
        return Ok(false);
    }
    let target = usable(auth, grant.user, grant.method, &path).await?;
    Ok(target.is_some_and(|target| target.server.id == grant.server && target.server.tenant == grant.tenant))
}

/// How many servers a consent page offers. Who may use more gives the client the URL of the one they mean.
pub(crate) const CHOICES: usize = 100;
/// How much is read at a time.
const PAGE: u32 = 100;

/// One entry of the list that a person picks from when the client did not say which server it wants.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) resource: Resource,
    pub(crate) tenant_name: String,
    pub(crate) server_name: String,
}

/// The servers that a person may use; the first of them, if they are very many.
pub(crate) async fn choices(auth: &Auth, user: UserId, method: SignInMethod) -> Result<Vec<Choice>, registry::Error> {
    let mut all = Vec::new();
    let mut last = None;
    loop {
        let page = auth.registry.memberships(user, method, last.as_ref(), PAGE).await?;
        for membership in page.iter().filter(|membership| membership.role.may_call()) {
            add_choices(auth, &membership.tenant, &mut all).await?;
        }
        last = page.last().map(|membership| membership.tenant.slug.clone());
        if page.len() < PAGE as usize || all.len() >= CHOICES {
            return Ok(all);
        }
    }
}

async fn add_choices(auth: &Auth, tenant: &Tenant, to: &mut Vec<Choice>) -> Result<(), registry::Error> {
    let mut last = None;
    loop {
        let page = auth.repos.servers.list(tenant.id, last.as_ref(), PAGE).await?;
        for server in page.iter().filter(|server| server.state == ServerState::Live) {
            if to.len() == CHOICES {
                return Ok(());
            }
            let path = ResourcePath { tenant: tenant.slug.clone(), server: server.slug.clone() };
            to.push(Choice {
                resource: Resource::new(&auth.origins.mcp, &path),
                tenant_name: tenant.name.to_string(),
                server_name: server.name.to_string(),
            });
        }
        last = page.last().map(|server| server.slug.clone());
        if page.len() < PAGE as usize {
            return Ok(());
        }
    }
}

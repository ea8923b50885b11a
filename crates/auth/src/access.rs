//! Which servers a person may use.

use std::sync::Arc;

use model::{Resource, ResourcePath, Role, UserId};
use storage::repo::{Grant, LiveServer, ServerState, SignInMethod};

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
/// server.
pub(crate) async fn still_holds(auth: &Auth, grant: &Grant) -> Result<bool, registry::Error> {
    let Ok((_, path)) = Resource::parse(&auth.origins.mcp, grant.resource.as_str()) else {
        return Ok(false);
    };
    let target = usable(auth, grant.user, grant.method, &path).await?;
    Ok(target.is_some_and(|target| target.server.id == grant.server && target.server.tenant == grant.tenant))
}

/// One entry of the list that a person picks from when the client did not say which server it wants.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) resource: Resource,
    pub(crate) tenant_name: String,
    pub(crate) server_name: String,
}

/// All servers that a person may use.
pub(crate) async fn choices(auth: &Auth, user: UserId, method: SignInMethod) -> Result<Vec<Choice>, registry::Error> {
    let mut all = Vec::new();
    for membership in auth.registry.memberships(user, method).await? {
        if !membership.role.may_call() {
            continue;
        }
        let tenant = membership.tenant;
        for server in auth.repos.servers.list(tenant.id).await? {
            if server.state != ServerState::Live {
                continue;
            }
            let path = ResourcePath { tenant: tenant.slug.clone(), server: server.slug };
            all.push(Choice {
                resource: Resource::new(&auth.origins.mcp, &path),
                tenant_name: tenant.name.to_string(),
                server_name: server.name.to_string(),
            });
        }
    }
    Ok(all)
}

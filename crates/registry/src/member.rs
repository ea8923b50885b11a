use model::{Role, TenantId, TenantSlug, UserId};
use storage::repo::{Actor, ConnectionOwner, Membership, SignInMethod, Tenant, TenantState, User};

use crate::{NewTenant, Registry, Result};

/// Proof that a person is in a tenant, and as what. Only [`Registry::member`] makes one; it is meant for
/// one request and is not kept, since membership can end.
#[derive(Clone, Debug)]
pub struct Member {
    tenant: Tenant,
    user: UserId,
    role: Role,
}

impl Member {
    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Who.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// As what.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The authority over members, connections and settings, if the role gives it.
    pub fn admin(&self) -> Option<Admin<'_>> {
        (self.role >= Role::Admin).then_some(Admin(self))
    }

    /// The authority to register and change servers, if the role gives it.
    pub fn developer(&self) -> Option<Developer<'_>> {
        self.role.may_develop().then_some(Developer(self))
    }
}

/// Proof that a person manages a tenant's members, connections and settings.
#[derive(Clone, Copy, Debug)]
pub struct Admin<'a>(&'a Member);

impl<'a> Admin<'a> {
    /// The membership it rests on.
    pub fn member(self) -> &'a Member {
        self.0
    }
}

/// Proof that a person may register and change a tenant's servers.
#[derive(Clone, Copy, Debug)]
pub struct Developer<'a>(&'a Member);

impl<'a> Developer<'a> {
    /// The membership it rests on.
    pub fn member(self) -> &'a Member {
        self.0
    }
}

/// Proof that a person runs the installation.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a>(&'a User);

impl<'a> Operator<'a> {
    /// The authority of an operator, if the person is one.
    pub fn new(user: &'a User) -> Option<Self> {
        user.operator.then_some(Self(user))
    }

    /// Who.
    pub fn user(self) -> &'a User {
        self.0
    }
}

impl Registry {
    /// Makes a tenant, with the operator as its owner: somebody has to be able to add the others.
    pub async fn found_tenant(&self, operator: Operator<'_>, new: NewTenant) -> Result<Tenant> {
        let user = operator.user().id;
        self.create_tenant(Actor::User(user), new, &[(user, Role::Owner)]).await
    }

    /// The people of a member's tenant and their roles, in order of id, after `after`.
    pub async fn people(&self, member: &Member, after: Option<UserId>, limit: u32) -> Result<Vec<(User, Role)>> {
        let mut people = Vec::new();
        for other in self.repos.tenants.members(member.tenant.id, after, limit).await? {
            if let Some(user) = self.repos.users.user(other.user).await? {
                people.push((user, other.role));
            }
        }
        Ok(people)
    }

    /// A person's membership in the tenant of a slug or alias. `None` for strangers, for absent and
    /// suspended tenants, and when the session was made through another tenant's connection: an identity
    /// of a tenant's connection opens only that tenant.
    pub async fn member(&self, user: UserId, method: SignInMethod, slug: &TenantSlug) -> Result<Option<Member>> {
        let Some(tenant) = self.repos.tenants.by_slug(slug).await? else {
            return Ok(None);
        };
        if tenant.state != TenantState::Active || !self.opens(method, tenant.id).await? {
            return Ok(None);
        }
        let role = self.repos.tenants.role(tenant.id, user).await?;
        Ok(role.map(|role| Member { tenant, user, role }))
    }

    /// The same for a tenant's id.
    pub async fn member_of(&self, user: UserId, method: SignInMethod, tenant: TenantId) -> Result<Option<Member>> {
        match self.repos.tenants.tenant(tenant).await? {
            Some(tenant) => self.member(user, method, &tenant.slug).await,
            None => Ok(None),
        }
    }

    /// The tenants that a person is in and that their way of signing in opens, in order of slug, after `after`.
    pub async fn memberships(
        &self,
        user: UserId,
        method: SignInMethod,
        after: Option<&TenantSlug>,
        limit: u32,
    ) -> Result<Vec<Membership>> {
        if let Some(only) = self.bound_to(method).await? {
            return self.only_membership(user, only, after).await;
        }
        let (mut open, mut after) = (Vec::new(), after.cloned());
        // Suspended ones are left out, and others take their place.
        loop {
            let page = self.repos.tenants.memberships(user, after.as_ref(), limit).await?;
            let last = page.len() < limit as usize;
            after = page.last().map(|membership| membership.tenant.slug.clone());
            open.extend(page.into_iter().filter(|membership| membership.tenant.state == TenantState::Active));
            open.truncate(limit as usize);
            if last || open.len() >= limit as usize {
                return Ok(open);
            }
        }
    }

    /// The list of the one tenant that a way of signing in opens.
    async fn only_membership(
        &self,
        user: UserId,
        only: ConnectionOwner,
        after: Option<&TenantSlug>,
    ) -> Result<Vec<Membership>> {
        let ConnectionOwner::Tenant(tenant) = only else { return Ok(Vec::new()) };
        let Some(tenant) = self.repos.tenants.tenant(tenant).await? else { return Ok(Vec::new()) };
        let Some(role) = self.repos.tenants.role(tenant.id, user).await? else { return Ok(Vec::new()) };
        let shown = tenant.state == TenantState::Active && after.is_none_or(|after| tenant.slug > *after);
        Ok(shown.then_some(Membership { tenant, role }).into_iter().collect())
    }

    /// Whether a session made this way may open a tenant.
    pub async fn opens(&self, method: SignInMethod, tenant: TenantId) -> Result<bool> {
        Ok(self.bound_to(method).await?.is_none_or(|only| only == ConnectionOwner::Tenant(tenant)))
    }

    /// The one tenant that a way of signing in opens; `None` if it opens all. A connection that is gone or
    /// switched off opens nothing: its owner is given as the platform, which is no tenant.
    async fn bound_to(&self, method: SignInMethod) -> Result<Option<ConnectionOwner>> {
        let SignInMethod::Connection(id) = method else {
            return Ok(None);
        };
        Ok(match self.repos.connections.connection(id).await? {
            Some(connection) if !connection.enabled => Some(ConnectionOwner::Platform),
            Some(connection) if connection.owner == ConnectionOwner::Platform => None,
            Some(connection) => Some(connection.owner),
            None => Some(ConnectionOwner::Platform),
        })
    }
}

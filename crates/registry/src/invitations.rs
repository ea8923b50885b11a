//! Invitations by link.
//!
//! Invariants:
//! - Only a hash of the link's token is kept; the link is shown once, to whoever made it.
//! - It works once, and only as long as its maker could still make it.
//! - A bound address counts only as the provider or the installation vouches for it in the very session.

use std::time::Duration;

use model::{InvitationId, Role};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use storage::{
    StorageError,
    repo::{Actor, Invitation, SignInMethod, Tenant, TenantState, User},
};

use crate::{Admin, Error, Registry, Result, accounts::local_address};

/// How long an invitation can be accepted.
pub const INVITATION_LIFE: Duration = Duration::from_hours(7 * 24);
/// How many invitations of a tenant may be open.
pub(crate) const MOST_INVITATIONS: usize = 200;

/// An invitation that is open, and where it leads.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The tenant.
    pub tenant: Tenant,
    /// The invitation.
    pub invitation: Invitation,
}

/// What became of an acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The person is a member now.
    Accepted,
    /// The person is one already; the invitation stays for somebody else.
    AlreadyMember,
    /// It is for the holder of another address.
    OtherAddress,
    /// The person signed in through another tenant's connection, which opens only that tenant.
    OtherTenant,
    /// It is over, or was never there.
    Gone,
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Registry {
    /// Makes an invitation; returns the token of its link, which is not kept.
    pub async fn invite(&self, admin: Admin<'_>, role: Role, email: Option<&str>) -> Result<String> {
        let member = admin.member();
        if role == Role::Owner && member.role() != Role::Owner {
            return Err(Error::invalid("role", "only an owner invites owners"));
        }
        let email = email.map(local_address).transpose()?;
        let (now, tenant) = (self.clock.now(), member.tenant().id);
        let most = u32::try_from(MOST_INVITATIONS).expect("a small number");
        if self.repos.admissions.invitations(tenant, now, None, most).await?.len() >= MOST_INVITATIONS {
            return Err(Error::invalid("role", "too many invitations are open: take some back first"));
        }
        let token = model::random_token(&*self.entropy, "");
        let invitation = Invitation {
            id: self.id(),
            tenant,
            hash: hash(&token),
            role,
            email,
            created_by: member.user(),
            created_at: now,
            expires_at: now + INVITATION_LIFE,
        };
        let event = self.audit(Actor::User(member.user()), "invitation.created", invitation.id).in_tenant(tenant);
        let event = event.with(json!({ "role": role, "email": invitation.email }));
        self.repos.admissions.invite(&invitation, &event).await?;
        Ok(token)
    }

    /// The open invitations of an admin's tenant, in order of id, after `after`.
    pub async fn invitations(
        &self,
        admin: Admin<'_>,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<Vec<Invitation>> {
        let tenant = admin.member().tenant().id;
        Ok(self.repos.admissions.invitations(tenant, self.clock.now(), after, limit).await?)
    }

    /// Takes an invitation back. `false` if there is none.
    pub async fn withdraw(&self, admin: Admin<'_>, id: InvitationId) -> Result<bool> {
        let tenant = admin.member().tenant().id;
        let event = self.audit(Actor::User(admin.member().user()), "invitation.withdrawn", id).in_tenant(tenant);
        Ok(self.repos.admissions.withdraw(tenant, id, &event).await?)
    }

    /// The invitation of a link. `None` for one that is over, made up, of a tenant that does not work, or of
    /// somebody who could not make it any more.
    pub async fn invited(&self, token: &str) -> Result<Option<Invited>> {
        let Some(invitation) = self.repos.admissions.invitation(&hash(token), self.clock.now()).await? else {
            return Ok(None);
        };
        let tenant = self.repos.tenants.tenant(invitation.tenant).await?;
        let Some(tenant) = tenant.filter(|tenant| tenant.state == TenantState::Active) else { return Ok(None) };
        let maker = self.repos.tenants.role(tenant.id, invitation.created_by).await?;
        let could = maker.is_some_and(|maker| maker >= Role::Admin && maker >= invitation.role);
        let blocked = self.blocked(invitation.created_by).await?;
        Ok((could && !blocked).then_some(Invited { tenant, invitation }))
    }

    /// Makes a person a member by a link, which is then over.
    pub async fn accept(&self, token: &str, user: &User, method: SignInMethod) -> Result<Acceptance> {
        let Some(Invited { tenant, invitation }) = self.invited(token).await? else { return Ok(Acceptance::Gone) };
        if !self.opens(method, tenant.id).await? {
            return Ok(Acceptance::OtherTenant);
        }
        if self.repos.tenants.role(tenant.id, user.id).await?.is_some() {
            return Ok(Acceptance::AlreadyMember);
        }
        if let Some(bound) = &invitation.email
            && self.vouched_addresses(user, method).await?.iter().all(|address| address != bound)
        {
            return Ok(Acceptance::OtherAddress);
        }
        let event = self.audit(Actor::User(user.id), "invitation.accepted", invitation.id).in_tenant(tenant.id);
        let event = event.with(json!({ "role": invitation.role, "invited_by": invitation.created_by }));
        match self.repos.admissions.accept(&invitation.hash, user.id, self.clock.now(), &event).await {
            Ok(true) => Ok(Acceptance::Accepted),
            Ok(false) => Ok(Acceptance::Gone),
            Err(StorageError::Taken(_)) => Ok(Acceptance::AlreadyMember),
            Err(error) => Err(error.into()),
        }
    }

    /// The addresses, lower case, that whoever was asked in this session vouches for.
    async fn vouched_addresses(&self, user: &User, method: SignInMethod) -> Result<Vec<String>> {
        let SignInMethod::Connection(connection) = method else {
            let account = self.repos.users.local_account_of(user.id).await?;
            return Ok(account.into_iter().map(|account| account.email).collect());
        };
        let identities = self.repos.users.identities(user.id).await?;
        let here = identities.into_iter().filter(|one| one.connection == connection && one.email_verified);
        Ok(here.filter_map(|identity| identity.email).map(|email| email.to_lowercase()).collect())
    }
}

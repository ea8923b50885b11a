//! What admins do about members, operators about people, and people about their own sessions.

use model::{Role, RuleId, UserId};
use serde_json::json;
use storage::repo::{Actor, Member as Membership, MemberChange, User, UserState};

use crate::{Admin, Error, Operator, Registry, Result};

impl Registry {
    /// Gives a member another role. Owners are made and unmade by owners only.
    pub async fn change_role(&self, admin: Admin<'_>, user: UserId, role: Role) -> Result<()> {
        let was = self.touchable(admin, user).await?;
        let by = admin.member();
        if role == Role::Owner && by.role() != Role::Owner {
            return Err(Error::invalid("role", "only an owner makes owners"));
        }
        let tenant = by.tenant().id;
        let event = self.audit(Actor::User(by.user()), "member.role-changed", user).in_tenant(tenant);
        let event = event.with(json!({ "was": was, "role": role }));
        let change = self.repos.tenants.change_role(&Membership { tenant, user, role }, &event).await?;
        done(change)
    }

    /// Takes somebody out of a tenant, with their grants there. Everybody may leave by themselves.
    pub async fn remove_member(&self, by: &crate::Member, user: UserId) -> Result<()> {
        if by.user() != user {
            let admin = by.admin().ok_or_else(|| Error::invalid("member", "only admins and owners remove others"))?;
            self.touchable(admin, user).await?;
        }
        let tenant = by.tenant().id;
        let event = self.audit(Actor::User(by.user()), "member.removed", user).in_tenant(tenant);
        let change = self.repos.tenants.expel(tenant, user, &event).await?;
        done(change)
    }

    /// The role of a member whom this admin may change.
    async fn touchable(&self, admin: Admin<'_>, user: UserId) -> Result<Role> {
        let role = self.repos.tenants.role(admin.member().tenant().id, user).await?;
        let role = role.ok_or_else(|| Error::invalid("member", "this person is not a member any more"))?;
        if role == Role::Owner && admin.member().role() != Role::Owner {
            return Err(Error::invalid("member", "only an owner changes owners"));
        }
        Ok(role)
    }

    /// The rule that a membership rests on, for those who see the tenant's members.
    pub async fn rule_behind(&self, member: &crate::Member, user: UserId) -> Result<Option<RuleId>> {
        Ok(self.repos.admissions.rule_of(member.tenant().id, user).await?)
    }

    /// Everybody, for operators, in order of id, after `after`.
    pub async fn everybody(&self, _: Operator<'_>, after: Option<UserId>, limit: u32) -> Result<Vec<User>> {
        Ok(self.repos.users.list(after, limit).await?)
    }

    /// Blocks somebody: their sessions, grants and keys are worth nothing from now on. `None` if there is no such
    /// person.
    pub async fn block(&self, operator: Operator<'_>, user: UserId) -> Result<Option<User>> {
        if operator.user().id == user {
            return Err(Error::invalid("user", "nobody blocks themselves: ask another operator"));
        }
        self.set_state(operator, user, UserState::Blocked, "user.blocked").await
    }

    /// Lets somebody sign in again. What they had before does not come back.
    pub async fn unblock(&self, operator: Operator<'_>, user: UserId) -> Result<Option<User>> {
        self.set_state(operator, user, UserState::Active, "user.unblocked").await
    }

    async fn set_state(
        &self,
        operator: Operator<'_>,
        user: UserId,
        state: UserState,
        action: &str,
    ) -> Result<Option<User>> {
        let Some(present) = self.repos.users.user(user).await? else { return Ok(None) };
        let wanted = User { state, ..present.clone() };
        if wanted != present {
            let event = self.audit(Actor::User(operator.user().id), action, user);
            self.repos.users.update(&wanted, &event).await?;
        }
        Ok(Some(wanted))
    }

    pub(crate) async fn blocked(&self, user: UserId) -> Result<bool> {
        Ok(self.repos.users.user(user).await?.is_none_or(|user| user.state == UserState::Blocked))
    }

    /// Ends all sessions of a person, in whatever browsers.
    pub async fn end_sessions(&self, user: &User) -> Result<()> {
        let event = self.audit(Actor::User(user.id), "session.all-ended", user.id);
        self.repos.users.end_sessions(user.id, &event).await?;
        Ok(())
    }
}

fn done(change: MemberChange) -> Result<()> {
    match change {
        MemberChange::Done => Ok(()),
        MemberChange::Absent => Err(Error::invalid("member", "this person is not a member any more")),
        MemberChange::LastOwner => Err(Error::invalid("member", "the last owner stays: make somebody else one first")),
    }
}

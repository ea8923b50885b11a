//! Rules and invitations.

mod invitations;
mod rules;

use async_trait::async_trait;
use model::{ConnectionId, InvitationId, Role, RuleId, TenantId, Timestamp, UserId};
use storage::{
    Result,
    repo::{AccessRule, Admission, Admissions, AuditEvent, GrantsOf, Invitation, TokenHash},
};

use crate::Sqlite;

#[async_trait]
impl Admissions for Sqlite {
    async fn rules(&self, tenant: TenantId, after: Option<RuleId>, limit: u32) -> Result<Vec<AccessRule>> {
        self.rules_of_tenant(tenant, after, limit).await
    }

    async fn rules_of(&self, connection: ConnectionId, after: Option<RuleId>, limit: u32) -> Result<Vec<AccessRule>> {
        self.rules_of_connection(connection, after, limit).await
    }

    async fn create_rule(&self, rule: &AccessRule, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.insert_rule(rule).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn set_rule_role(&self, tenant: TenantId, id: RuleId, role: Role, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        if !write.update_rule(tenant, id, role).await? {
            return Ok(false);
        }
        write.change_tenant(tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn delete_rule(&self, tenant: TenantId, id: RuleId, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        write.end_admissions_of_rule(tenant, id, audit.at).await?;
        if !write.remove_rule(tenant, id).await? {
            return Ok(false);
        }
        write.change_tenant(tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn admissions(&self, user: UserId, connection: ConnectionId) -> Result<Vec<Admission>> {
        self.admissions_of(user, connection).await
    }

    async fn rule_of(&self, tenant: TenantId, user: UserId) -> Result<Option<RuleId>> {
        self.rule_behind(tenant, user).await
    }

    async fn admit(&self, admission: &Admission, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        if !write.put_admission(admission).await? {
            return Ok(false);
        }
        write.change_tenant(admission.member.tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn dismiss(&self, tenant: TenantId, user: UserId, audit: &AuditEvent) -> Result<bool> {
        self.end_grants_ahead(&GrantsOf::Member(tenant, user), audit.at).await?;
        let mut write = self.write().await?;
        if !write.delete_admitted(tenant, user).await? {
            return Ok(false);
        }
        write.end_grants(&GrantsOf::Member(tenant, user), audit.at).await?;
        write.change_tenant(tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn invite(&self, invitation: &Invitation, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.insert_invitation(invitation).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn invitation(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Invitation>> {
        self.invitation_with(hash, now).await
    }

    async fn invitations(
        &self,
        tenant: TenantId,
        now: Timestamp,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<Vec<Invitation>> {
        self.invitations_of(tenant, now, after, limit).await
    }

    async fn accept(&self, hash: &TokenHash, user: UserId, now: Timestamp, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        let Some(tenant) = write.use_invitation(hash, user, now).await? else { return Ok(false) };
        write.change_tenant(tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn withdraw(&self, tenant: TenantId, id: InvitationId, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        if !write.delete_invitation(tenant, id).await? {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn purge_invitations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let mut write = self.write().await?;
        let purged = write.delete_expired_invitations(now, limit).await?;
        write.commit().await?;
        Ok(purged)
    }
}

//! Invitations by link.

use model::{InvitationId, TenantId, Timestamp, UserId};
use storage::{
    Result, StorageError,
    repo::{Invitation, Member, TokenHash},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    row::{failed, hash as token_hash, id, or_taken, time, word},
};

struct InvitationRow {
    id: Uuid,
    tenant: Uuid,
    hash: Vec<u8>,
    role: String,
    email: Option<String>,
    created_by: Uuid,
    created_at: i64,
    expires_at: i64,
}

impl InvitationRow {
    fn parse(self) -> Result<Invitation> {
        Ok(Invitation {
            id: id(self.id),
            tenant: id(self.tenant),
            hash: token_hash("invitation.hash", &self.hash)?,
            role: word("invitation.role", &self.role)?,
            email: self.email,
            created_by: id(self.created_by),
            created_at: time(self.created_at),
            expires_at: time(self.expires_at),
        })
    }
}

impl Postgres {
    pub(super) async fn invitation_with(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Invitation>> {
        let row = sqlx::query_as!(
            InvitationRow,
            "SELECT id, tenant, hash, role, email, created_by, created_at, expires_at
             FROM invitation
             WHERE hash = $1 AND expires_at > $2",
            hash.as_slice(),
            now.millis(),
        );
        row.fetch_optional(self.read()).await.map_err(failed)?.map(InvitationRow::parse).transpose()
    }

    pub(super) async fn invitations_of(
        &self,
        tenant: TenantId,
        now: Timestamp,
        after: Option<InvitationId>,
        limit: u32,
    ) -> Result<Vec<Invitation>> {
        let rows = sqlx::query_as!(
            InvitationRow,
            "SELECT id, tenant, hash, role, email, created_by, created_at, expires_at
             FROM invitation
             WHERE tenant = $1 AND id > $2 AND expires_at > $3
             ORDER BY id
             LIMIT $4",
            tenant.uuid(),
            // No id is nil.
            after.map_or(Uuid::nil(), InvitationId::uuid),
            now.millis(),
            i64::from(limit),
        );
        rows.fetch_all(self.read()).await.map_err(failed)?.into_iter().map(InvitationRow::parse).collect()
    }
}

impl Write {
    pub(super) async fn insert_invitation(&mut self, invitation: &Invitation) -> Result<()> {
        sqlx::query!(
            "INSERT INTO invitation (id, tenant, hash, role, email, created_by, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            invitation.id.uuid(),
            invitation.tenant.uuid(),
            invitation.hash.as_slice(),
            invitation.role.as_str(),
            invitation.email.as_deref(),
            invitation.created_by.uuid(),
            invitation.created_at.millis(),
            invitation.expires_at.millis(),
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the invitation"))?;
        Ok(())
    }

    /// Exchanges an invitation for a membership. The tenant that it is for; `None` if it is gone.
    pub(super) async fn use_invitation(
        &mut self,
        hash: &TokenHash,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<TenantId>> {
        // The tenant is held before anything of it is changed: see `locks`.
        let tenant = sqlx::query_scalar!("SELECT tenant FROM invitation WHERE hash = $1", hash.as_slice())
            .fetch_optional(self.on())
            .await
            .map_err(failed)?;
        let Some(tenant) = tenant.map(id) else { return Ok(None) };
        self.hold_tenant(tenant).await?;
        let role = sqlx::query_scalar!(
            "DELETE FROM invitation WHERE hash = $1 AND expires_at > $2 RETURNING role",
            hash.as_slice(),
            now.millis(),
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        let Some(role) = role else { return Ok(None) };
        if self.is_member(tenant, user).await? {
            return Err(StorageError::Taken("the membership"));
        }
        self.set_member(&Member { tenant, user, role: word("invitation.role", &role)? }).await?;
        Ok(Some(tenant))
    }

    pub(super) async fn delete_invitation(&mut self, tenant: TenantId, id: InvitationId) -> Result<bool> {
        let deleted = sqlx::query!("DELETE FROM invitation WHERE tenant = $1 AND id = $2", tenant.uuid(), id.uuid())
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }

    pub(super) async fn delete_expired_invitations(&mut self, now: Timestamp, limit: u32) -> Result<u64> {
        let deleted = sqlx::query!(
            "DELETE FROM invitation
             WHERE id IN (SELECT id FROM invitation WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now.millis(),
            i64::from(limit),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(deleted.rows_affected())
    }
}

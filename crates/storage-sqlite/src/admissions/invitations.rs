//! Invitations by link.

use model::{InvitationId, TenantId, Timestamp, UserId};
use storage::{
    Result, StorageError,
    repo::{Invitation, Member, TokenHash},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{hash as token_hash, id, or_taken, time, word},
};

struct InvitationRow {
    id: Vec<u8>,
    tenant: Vec<u8>,
    hash: Vec<u8>,
    role: String,
    email: Option<String>,
    created_by: Vec<u8>,
    created_at: i64,
    expires_at: i64,
}

impl InvitationRow {
    fn parse(self) -> Result<Invitation> {
        Ok(Invitation {
            id: id("invitation.id", &self.id)?,
            tenant: id("invitation.tenant", &self.tenant)?,
            hash: token_hash("invitation.hash", &self.hash)?,
            role: word("invitation.role", &self.role)?,
            email: self.email,
            created_by: id("invitation.created_by", &self.created_by)?,
            created_at: time(self.created_at),
            expires_at: time(self.expires_at),
        })
    }
}

impl Sqlite {
    pub(super) async fn invitation_with(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Invitation>> {
        let (hash, now) = (hash.as_slice(), now.millis());
        let row = sqlx::query_as!(
            InvitationRow,
            "SELECT id, tenant, hash, role, email, created_by, created_at, expires_at
             FROM invitation
             WHERE hash = ? AND expires_at > ?",
            hash,
            now,
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
        let (tenant, now) = (tenant.bytes().as_slice(), now.millis());
        let after = after.map(|id| id.bytes().to_vec()).unwrap_or_default();
        let rows = sqlx::query_as!(
            InvitationRow,
            "SELECT id, tenant, hash, role, email, created_by, created_at, expires_at
             FROM invitation
             WHERE tenant = ? AND id > ? AND expires_at > ?
             ORDER BY id
             LIMIT ?",
            tenant,
            after,
            now,
            limit,
        );
        rows.fetch_all(self.read()).await.map_err(failed)?.into_iter().map(InvitationRow::parse).collect()
    }
}

impl Write {
    pub(super) async fn insert_invitation(&mut self, invitation: &Invitation) -> Result<()> {
        let (id, tenant) = (invitation.id.bytes().as_slice(), invitation.tenant.bytes().as_slice());
        let (hash, created_by) = (invitation.hash.as_slice(), invitation.created_by.bytes().as_slice());
        let (role, created_at, expires_at) =
            (invitation.role.as_str(), invitation.created_at.millis(), invitation.expires_at.millis());
        sqlx::query!(
            "INSERT INTO invitation (id, tenant, hash, role, email, created_by, created_at, expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            tenant,
            hash,
            role,
            invitation.email,
            created_by,
            created_at,
            expires_at,
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
        let (hash, now) = (hash.as_slice(), now.millis());
        let invited =
            sqlx::query!("DELETE FROM invitation WHERE hash = ? AND expires_at > ? RETURNING tenant, role", hash, now)
                .fetch_optional(self.on())
                .await
                .map_err(failed)?;
        let Some(invited) = invited else { return Ok(None) };
        let tenant: TenantId = id("invitation.tenant", &invited.tenant)?;
        if self.is_member(tenant, user).await? {
            return Err(StorageError::Taken("the membership"));
        }
        self.set_member(&Member { tenant, user, role: word("invitation.role", &invited.role)? }).await?;
        Ok(Some(tenant))
    }

    pub(super) async fn delete_invitation(&mut self, tenant: TenantId, id: InvitationId) -> Result<bool> {
        let (tenant, id) = (tenant.bytes().as_slice(), id.bytes().as_slice());
        let deleted = sqlx::query!("DELETE FROM invitation WHERE tenant = ? AND id = ?", tenant, id)
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(deleted.rows_affected() == 1)
    }

    pub(super) async fn delete_expired_invitations(&mut self, now: Timestamp, limit: u32) -> Result<u64> {
        let now = now.millis();
        let deleted = sqlx::query!(
            "DELETE FROM invitation WHERE id IN (SELECT id FROM invitation WHERE expires_at <= ? LIMIT ?)",
            now,
            limit,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(deleted.rows_affected())
    }
}

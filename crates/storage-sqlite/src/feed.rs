use async_trait::async_trait;
use model::{TenantId, UserId};
use storage::{Change, ChangeKind, Owner, Result, repo::Changes};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{count, id, word},
};

impl Write {
    /// Appends to the feed.
    pub(crate) async fn change(
        &mut self,
        kind: ChangeKind,
        tenant: Option<TenantId>,
        subject: &[u8; 16],
    ) -> Result<()> {
        let (kind, tenant, subject) = (kind.as_str(), tenant.map(|id| id.bytes().to_vec()), subject.as_slice());
        sqlx::query!("INSERT INTO change (kind, tenant, subject) VALUES (?, ?, ?)", kind, tenant, subject)
            .execute(self.on())
            .await
            .map_err(failed)?;
        self.note_change();
        Ok(())
    }

    pub(crate) async fn change_tenant(&mut self, tenant: TenantId) -> Result<()> {
        self.change(ChangeKind::Tenant, Some(tenant), tenant.bytes()).await
    }

    pub(crate) async fn change_user(&mut self, user: UserId) -> Result<()> {
        self.change(ChangeKind::User, None, user.bytes()).await
    }
}

#[async_trait]
impl Changes for Sqlite {
    async fn head(&self) -> Result<u64> {
        let head = sqlx::query_scalar!(r#"SELECT coalesce(max(sequence), 0) AS "head!: i64" FROM change"#)
            .fetch_one(self.read())
            .await
            .map_err(failed)?;
        count("change.sequence", head)
    }

    async fn oldest(&self) -> Result<u64> {
        let oldest = sqlx::query_scalar!(r#"SELECT coalesce(min(sequence), 0) AS "oldest!: i64" FROM change"#)
            .fetch_one(self.read())
            .await
            .map_err(failed)?;
        count("change.sequence", oldest)
    }

    async fn since(&self, sequence: u64, limit: u32) -> Result<Vec<Change>> {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        let rows = sqlx::query!(
            "SELECT sequence, kind, tenant, subject
             FROM change
             WHERE sequence > ?
             ORDER BY sequence
             LIMIT ?",
            sequence,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(Change {
                    sequence: count("change.sequence", row.sequence)?,
                    kind: word("change.kind", &row.kind)?,
                    tenant: row.tenant.map(|tenant| id("change.tenant", &tenant)).transpose()?,
                    subject: *id::<()>("change.subject", &row.subject)?.bytes(),
                })
            })
            .collect()
    }

    async fn data_keys_changed(&self, owners: &[Owner]) -> Result<u64> {
        let mut write = self.write().await?;
        for owner in owners {
            write.change_keys(*owner).await?;
        }
        write.commit().await?;
        self.head().await
    }
}

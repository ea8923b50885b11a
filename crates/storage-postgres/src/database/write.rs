use std::{fmt, sync::Arc};

use model::{Id, TenantId, UserId};
use storage::{Bus, ChangeKind, Result};
use uuid::Uuid;

use super::Lease;
use crate::{bus::CHANNEL, row::failed};

/// What the feed's lock is called among advisory locks: `portico` in ASCII.
const FEED: i64 = 0x0070_6f72_7469_636f;

/// How the other replicas hear that there is something new.
#[derive(Clone)]
pub(crate) enum Hints {
    /// From the database, as part of the commit.
    Notify,
    /// Over a bus, after the commit.
    Over(Arc<dyn Bus>),
}

/// A transaction that writes. Dropped without [`commit`](Self::commit), nothing of it stays.
pub(crate) struct Write {
    lease: Lease,
    hints: Hints,
    changes: Changes,
}

/// Rows for the feed, column by column.
#[derive(Default)]
struct Changes {
    kinds: Vec<String>,
    tenants: Vec<Option<Uuid>>,
    subjects: Vec<Uuid>,
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Write")
    }
}

impl Write {
    pub(super) fn new(lease: Lease, hints: Hints) -> Self {
        Self { lease, hints, changes: Changes::default() }
    }

    /// Where the transaction's statements run.
    pub(crate) fn on(&mut self) -> &mut Lease {
        &mut self.lease
    }

    /// Appends to the feed when this commits.
    pub(crate) fn change(&mut self, kind: ChangeKind, tenant: Option<TenantId>, subject: &[u8; 16]) {
        self.changes.kinds.push(kind.as_str().to_owned());
        self.changes.tenants.push(tenant.map(Id::uuid));
        self.changes.subjects.push(Uuid::from_bytes(*subject));
    }

    pub(crate) fn change_tenant(&mut self, tenant: TenantId) {
        self.change(ChangeKind::Tenant, Some(tenant), tenant.bytes());
    }

    pub(crate) fn change_user(&mut self, user: UserId) {
        self.change(ChangeKind::User, None, user.bytes());
    }

    /// Makes all of it permanent. After an error it may have happened or not.
    pub(crate) async fn commit(mut self) -> Result<()> {
        if self.changes.kinds.is_empty() {
            return self.lease.commit().await.map_err(failed);
        }
        self.append().await.map_err(failed)?;
        self.lease.commit().await.map_err(failed)?;
        if let Hints::Over(bus) = &self.hints {
            bus.hint();
        }
        Ok(())
    }

    /// Writes the feed's rows. Numbers must be in the order of commits: a reader that saw 7 does not look
    /// for a 6. So whoever takes numbers first waits for the lock, which goes with the commit, after it
    /// can be seen; and nothing comes in between but the commit, so that nobody waits long, and nobody
    /// who holds the lock waits for anything.
    async fn append(&mut self) -> sqlx::Result<()> {
        if matches!(self.hints, Hints::Notify) {
            // Kept by the server until the commit.
            sqlx::query!("SELECT pg_notify($1, '')", CHANNEL).execute(&mut self.lease).await?;
        }
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", FEED).execute(&mut self.lease).await?;
        let Changes { kinds, tenants, subjects } = &self.changes;
        sqlx::query!(
            "INSERT INTO change (kind, tenant, subject)
             SELECT kind, tenant, subject
             FROM unnest($1::text[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS new (kind, tenant, subject, at)
             ORDER BY at",
            kinds,
            tenants as &[Option<Uuid>],
            subjects,
        )
        .execute(&mut self.lease)
        .await?;
        Ok(())
    }
}

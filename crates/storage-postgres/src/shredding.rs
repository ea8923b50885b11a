//! Keys that are to be destroyed, written down in the transaction that deletes their owner, so that none
//! survives a failure between the two databases.

use model::Timestamp;
use storage::{ChangeKind, Owner, Result};

use crate::{Postgres, database::Write, failed, row::word};

impl Write {
    /// Notes that an owner's keys are to be destroyed.
    pub(crate) async fn will_shred(&mut self, owner: Owner) -> Result<()> {
        sqlx::query!("INSERT INTO shredding (owner) VALUES ($1) ON CONFLICT DO NOTHING", owner.to_string())
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Appends that the data keys of an owner are others now, or gone.
    pub(crate) fn change_keys(&mut self, owner: Owner) {
        let (tenant, subject) = owner.in_change();
        self.change(ChangeKind::DataKeys, tenant, &subject);
    }
}

impl Postgres {
    /// Destroys an owner's keys, then tells every replica, then forgets that it was to be done. Doing it
    /// again does no harm.
    pub(crate) async fn shred(&self, owner: Owner) -> Result<()> {
        self.0.sealer.shred(owner).await?;
        let mut write = self.write().await?;
        let noted = sqlx::query!("DELETE FROM shredding WHERE owner = $1", owner.to_string())
            .execute(write.on())
            .await
            .map_err(failed)?;
        if noted.rows_affected() > 0 {
            write.change_keys(owner);
        }
        write.commit().await
    }

    /// Finishes what was noted and not finished: the removal of a tenant, and then, as for a person, the
    /// destruction of the keys.
    pub(crate) async fn finish_shredding(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let owners = sqlx::query_scalar!("SELECT owner FROM shredding ORDER BY owner LIMIT $1", i64::from(limit))
            .fetch_all(self.read())
            .await
            .map_err(failed)?;
        // What cannot be done for one owner is done for the others.
        let mut done = Ok(owners.len() as u64);
        for owner in &owners {
            let shredded = match word("shredding.owner", owner) {
                Ok(Owner::Tenant(tenant)) => self.finish_removal(tenant, now).await,
                Ok(owner) => self.shred(owner).await,
                Err(error) => Err(error),
            };
            done = shredded.and(done);
        }
        done
    }
}

//! Old changes leave the feed.

use model::Timestamp;
use storage::{ALIVE, CHANGE_LIFE, Result};

use crate::{Postgres, failed};

/// How far apart marks are.
const MARK: i64 = 60_000;

impl Postgres {
    /// Removes changes that are older than [`CHANGE_LIFE`] and that every living replica has taken in, the
    /// oldest first; at most `limit`. The newest stays, so that the feed always has a head.
    ///
    /// Rows that another replica removes at this moment are waited for rather than skipped: the feed must
    /// get shorter at its beginning only, or a reader that fell behind would not notice.
    pub(crate) async fn trim_feed(&self, now: Timestamp, limit: u32) -> Result<u64> {
        // Rounded up: what a mark has seen is at least as old as it says.
        let mark = (now.millis() / MARK + 1) * MARK;
        sqlx::query!(
            "INSERT INTO change_mark (at, sequence) SELECT $1, coalesce(max(sequence), 0) FROM change
             ON CONFLICT (at) DO UPDATE SET sequence = excluded.sequence",
            mark,
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        let (old, alive) = ((now - CHANGE_LIFE).millis(), (now - ALIVE).millis());
        let trimmed = sqlx::query!(
            "DELETE FROM change
             WHERE sequence IN (SELECT sequence FROM change
                                WHERE sequence < (SELECT max(sequence) FROM change_mark WHERE at <= $1)
                                  AND NOT EXISTS (SELECT 1 FROM replica
                                                  WHERE seen_at >= $2 AND position < change.sequence)
                                ORDER BY sequence
                                LIMIT $3
                                FOR UPDATE OF change)",
            old,
            alive,
            i64::from(limit),
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        sqlx::query!("DELETE FROM change_mark WHERE at < (SELECT max(at) FROM change_mark WHERE at <= $1)", old)
            .execute(self.read())
            .await
            .map_err(failed)?;
        Ok(trimmed.rows_affected())
    }
}

//! The connections to one database, and what runs on them.

mod lease;
mod pool;
mod write;

use std::{fmt, sync::Arc};

use storage::Result;

use self::pool::Pool;
pub(crate) use self::{
    lease::Lease,
    write::{Hints, Write},
};
use crate::{options::PostgresOptions, row::failed};

/// A database. As an executor it runs each statement on whatever connection is free, to its end.
pub(crate) struct Database {
    pool: Arc<Pool>,
    hints: Hints,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    /// Opens no connection yet.
    pub(crate) fn connect(options: &PostgresOptions, hints: Hints) -> Result<Self> {
        Ok(Self { pool: Arc::new(Pool::new(options)?), hints })
    }

    pub(crate) async fn lease(&self) -> std::result::Result<Lease, sqlx::Error> {
        self.pool.lease().await
    }

    /// Begins a transaction that writes.
    ///
    /// `READ COMMITTED`: each statement sees what was committed before it, waits for the rows that
    /// another transaction is changing, and then decides by their new content. So a single statement with
    /// its conditions in `WHERE` or `ON CONFLICT` is a gate with one winner; a transaction that reads
    /// first and decides in Rust locks what it read (`FOR UPDATE`).
    pub(crate) async fn write(&self) -> Result<Write> {
        let mut lease = self.lease().await.map_err(failed)?;
        lease.begin("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(failed)?;
        Ok(Write::new(lease, self.hints.clone()))
    }

    /// Begins a transaction that only reads, and sees one moment.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot> {
        let mut lease = self.lease().await.map_err(failed)?;
        lease.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed)?;
        Ok(Snapshot(lease))
    }

    /// How many connections could be had at this moment.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.pool.available()
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A transaction that only reads; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Snapshot(Lease);

impl Snapshot {
    pub(crate) fn on(&mut self) -> &mut Lease {
        &mut self.0
    }
}

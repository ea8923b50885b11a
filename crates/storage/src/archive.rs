//! Backup and restore: all durable data in one format that every SQL backend writes and reads, so that an
//! installation can also be moved from one database to another.
//!
//! A backup is two files. The *data file* has a header, then each table with a line per row, then an end
//! with a sealed digest of all that stands before it. The *keys file* has the wrapped data keys, a line for each,
//! so that the lines of one owner can be removed from it: what was sealed for that owner can then be opened in no
//! copy. Both have the id of their backup, and only the two together are restored.
//!
//! Invariants:
//! - Data is as of one moment. Each key that seals something in it is in the keys file.
//! - A cut-off, changed or foreign file is refused and leaves nothing behind: a restore is one transaction,
//!   committed after the digest was opened with the installation's own keys.
//! - The names of tables and columns that reach SQL are those of [`TABLES`], never those of a file.

mod backup;
mod error;
mod keys;
mod lines;
mod restore;
mod row;
mod seals;
mod table;
mod tables;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use model::Timestamp;

pub(crate) use self::backup::hex;
#[cfg(any(test, feature = "conformance"))]
pub(crate) use self::backup::place as seal_place;
pub use self::{
    backup::{Backup, Written},
    error::{ArchiveError, File},
    keys::{KeysFile, remove_owner},
    lines::{Sink, Source},
    restore::{Grants, Restore, Restored},
    row::{Cell, Row},
    table::{Added, Column, Kind, Table},
    tables::{LEFT_OUT, OLDEST, TABLES},
};

/// What the calls of this module return.
pub type Result<T> = std::result::Result<T, ArchiveError>;

/// The newest migration of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// That it has.
    pub found: i64,
    /// That this version of Portico knows.
    pub known: i64,
}

/// A number that only grows, and that restored data goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// The newest [`Revision`](crate::Revision) of all values.
    Revision,
    /// The number of the newest [`Change`](crate::Change).
    Change,
}

/// A database whose data can be read into an archive and filled from one.
#[async_trait]
pub trait Archive: Send + Sync + std::fmt::Debug {
    /// The state of its schema.
    async fn schema(&self) -> Result<Schema>;

    /// All data as of this moment, whatever is written from now on.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>>;

    /// Begins to fill it at `now`, in one transaction. Fails with [`ArchiveError::Served`] if somebody serves it,
    /// and with [`ArchiveError::NotEmpty`] if there is anything in one of [`TABLES`]. Nobody else writes
    /// until the transaction has ended.
    async fn fill(&self, now: Timestamp) -> Result<Box<dyn Fill>>;
}

/// Data as of one moment.
#[async_trait]
pub trait Snapshot: Send {
    /// All rows of a table, as they come.
    fn rows<'a>(&'a mut self, table: &'static Table) -> BoxStream<'a, Result<Row>>;

    /// A counter; at least what it was at that moment.
    async fn counter(&mut self, counter: Counter) -> Result<i64>;
}

/// A transaction that fills an empty database. Dropped without [`commit`](Self::commit), nothing of it stays.
#[async_trait]
pub trait Fill: Send {
    /// Adds rows. Rows that they refer to may come later, up to the commit, only where the schema says so.
    async fn insert(&mut self, table: &'static Table, rows: &[Row]) -> Result<()>;

    /// Sets a counter, so that the next number is greater. The change of [`Counter::Change`]'s number
    /// is in the feed afterwards, so that whoever follows it moves there.
    async fn set(&mut self, counter: Counter, value: i64) -> Result<()>;

    /// Ends the transaction.
    async fn commit(self: Box<Self>) -> Result<()>;
}

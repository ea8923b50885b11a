use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use model::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{Entry, Owner, Result, StorageError};

/// How long used codes, ended grants and replaced refresh tokens stay after their end: as long as an
/// access token can live (24 hours) and an hour for clocks that differ, so that a replay is still
/// recognised and a revocation is known for as long as it matters.
pub const TOMBSTONE_LIFE: Duration = Duration::from_hours(25);

/// How many rows a removal ends or deletes in one transaction. What has more is removed in several, so that each
/// ends long before its deadline, and others who write wait for none of them for long.
pub const AT_ONCE: u32 = 1_000;

/// How often [`maintain`] cleans up.
const INTERVAL: Duration = Duration::from_mins(1);
/// How many records of a kind go in one call, so that no clean-up holds a writer for long.
const BATCH: u32 = 500;

/// Where a look through a store stands, as text that an operator can give back. Holds no secret, because
/// keys are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// From the text that one was printed as, or of a backend's own making.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Behind a value's place. Neither owners nor collections have a slash in them.
    pub fn behind(owner: impl fmt::Display, collection: &str, key: &str) -> Self {
        Self(format!("{owner}/{collection}/{key}"))
    }

    /// The owner, collection and key that [`behind`](Self::behind) was given.
    pub fn place(&self) -> Result<(&str, &str, &str)> {
        let place = self.0.split_once('/').and_then(|(owner, rest)| {
            let (collection, key) = rest.split_once('/')?;
            Some((owner, collection, key))
        });
        place.ok_or_else(foreign)
    }

    /// Behind a row of a table; before the table's first with an empty `row`.
    pub fn behind_row(table: &str, row: &[u8]) -> Self {
        let digits = row.iter().map(|byte| format!("{byte:02x}"));
        Self(format!("{table}/{}", digits.collect::<String>()))
    }

    /// The table and row that [`behind_row`](Self::behind_row) was given.
    pub fn row(&self) -> Result<(&str, Vec<u8>)> {
        let (table, digits) = self.0.split_once('/').ok_or_else(foreign)?;
        let bytes = digits.as_bytes().chunks(2).map(|pair| {
            let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        Ok((table, bytes.collect::<Option<_>>().ok_or_else(foreign)?))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn foreign() -> StorageError {
    StorageError::damaged("a cursor", "it is none of this store")
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value that a look through a store came by, as it is stored: sealed.
#[derive(Clone, Debug)]
pub struct Found {
    /// Whose it is.
    pub owner: Owner,
    /// The name of its collection.
    pub collection: String,
    /// Which one it is.
    pub key: String,
    /// The value, its revision, format and expiry.
    pub entry: Entry,
}

/// One page of a look through a store.
#[derive(Clone, Debug)]
pub struct Scan {
    /// What was found; a page may be empty although it is not the last.
    pub found: Vec<Found>,
    /// Where to go on; `None` behind the last page.
    pub next: Option<Cursor>,
}

impl Scan {
    /// A page in order of place: it goes on behind its last value if it is full.
    pub fn full_page(found: Vec<Found>, limit: u32) -> Self {
        let last = found.last().filter(|_| found.len() >= limit as usize);
        let next = last.map(|last| Cursor::behind(last.owner, &last.collection, &last.key));
        Self { found, next }
    }
}

/// What looks after a whole store, across owners. Not reachable from request code: only `server` and its
/// commands hold one, and no [`KeyValue`](crate::KeyValue) leads to one.
#[async_trait]
pub trait Maintenance: Send + Sync + fmt::Debug {
    /// Removes what had expired at `now`; at most `limit` records of each kind. Returns how many went.
    /// Correctness never depends on it: what has expired is as if it were not there, cleaned up or not.
    async fn purge(&self, now: Timestamp, limit: u32) -> Result<u64>;

    /// About how many values there are, expired ones included: for a progress bar.
    async fn count(&self) -> Result<u64>;

    /// All values, expired ones included, a page of about `limit` at a time, in an order of the backend's.
    /// A value that is there from the first page to the last is found at least once.
    async fn scan(&self, after: Option<&Cursor>, limit: u32) -> Result<Scan>;

    /// Exchanges the bytes of exactly this write: the same place and revision. Revision, format and expiry
    /// stay. `false`, and nothing was written, if another write came or the value went.
    async fn rewrite(&self, found: &Found, value: &[u8]) -> Result<bool>;
}

/// A secret column of a row, as it is stored: sealed.
#[derive(Clone, Debug)]
pub struct FoundColumn {
    /// Whose key sealed it.
    pub owner: Owner,
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's primary key, as it is bound into the seal.
    pub row: Vec<u8>,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

/// One page of a look through secret columns.
#[derive(Clone, Debug)]
pub struct ScannedColumns {
    /// What was found; a page may be empty although it is not the last.
    pub found: Vec<FoundColumn>,
    /// Where to go on; `None` behind the last page.
    pub next: Option<Cursor>,
}

/// The secret columns of SQL rows, across owners and tables; held by whoever holds [`Maintenance`].
#[async_trait]
pub trait SealedColumns: Send + Sync + fmt::Debug {
    /// About how many there are: for a progress bar.
    async fn count_columns(&self) -> Result<u64>;

    /// All secret columns, the canary's included, a page of about `limit` at a time.
    async fn scan_columns(&self, after: Option<&Cursor>, limit: u32) -> Result<ScannedColumns>;

    /// Exchanges the sealed bytes if they are still `found.sealed`. `false` if they are not.
    async fn rewrite_column(&self, found: &FoundColumn, sealed: &[u8]) -> Result<bool>;
}

/// Cleans up every minute until `stop`.
pub async fn maintain(parts: Vec<Arc<dyn Maintenance>>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        for part in &parts {
            if let Err(error) = drain(&**part, &*clock, &stop).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "clean-up failed and is tried again in a minute"
                );
            }
        }
    }
}

/// Cleans up until nothing is left.
async fn drain(part: &dyn Maintenance, clock: &dyn Clock, stop: &CancellationToken) -> Result<()> {
    while !stop.is_cancelled() && part.purge(clock.now(), BATCH).await? >= u64::from(BATCH) {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Writing a backup.

use std::{collections::BTreeSet, fmt, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures_util::StreamExt as _;
use model::{Clock, Entropy};
use serde::{Deserialize, Serialize};

use super::{
    Archive, ArchiveError, Cell, Counter, KeysFile, Result, Snapshot, TABLES, Table,
    error::File,
    keys,
    lines::{FORMAT, Header, Sink, Writer, word},
    row,
    seals::Seals,
};
use crate::{Owner, Sealer, WrappedKeys};

/// A backup that is to be made.
pub struct Backup<'a> {
    /// Where the data is.
    pub from: &'a dyn Archive,
    /// Where the wrapped keys are.
    pub keys: &'a dyn WrappedKeys,
    /// What seals in this installation.
    pub sealer: &'a Sealer,
    /// Now.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub entropy: &'a dyn Entropy,
    /// The collections whose values may be lost: they are left out.
    pub volatile: &'a [&'static str],
    /// Which version of Portico this is.
    pub version: &'a str,
    /// Hears how many rows are written.
    pub progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl fmt::Debug for Backup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup").field("from", &self.from).finish_non_exhaustive()
    }
}

/// A data file that was written.
#[derive(Debug)]
pub struct Written {
    /// What belongs into its keys file.
    pub keys: KeysFile,
    /// How many rows it has.
    pub rows: u64,
    /// How many of them have something sealed that nobody can open, because it is damaged or its key is gone.
    /// They are in the file as they are, and were named in the log.
    pub damaged: u64,
}

/// The line before the rows of a table.
#[derive(Serialize, Deserialize)]
pub(super) struct Heading {
    pub(super) table: String,
    pub(super) columns: Vec<String>,
}

/// The line after the rows.
#[derive(Serialize, Deserialize)]
pub(super) struct Counters {
    pub(super) revision: i64,
    pub(super) change: i64,
    /// Keys, by owner and id, that some rows need and that were nowhere already when this was written. Any other
    /// key that a restore misses was taken out of the keys file since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) gone: Vec<(String, u32)>,
}

/// The last line: nothing is missing before it.
#[derive(Serialize, Deserialize)]
pub(super) struct End {
    pub(super) rows: u64,
    /// SHA-256 of all bytes before this line.
    pub(super) sha256: String,
    /// The same, sealed with the platform's key: whoever can write files, but has no key, cannot make it.
    pub(super) sealed: String,
}

/// Where the digest of a backup stands, for its seal.
pub(crate) fn place(backup: &str) -> Vec<u8> {
    [b"archive ", backup.as_bytes()].concat()
}

impl Backup<'_> {
    /// Writes the data file. What belongs into the keys file comes back: it is complete only now.
    pub async fn write(&self, to: Sink<'_>) -> Result<Written> {
        // A key that seals something in the snapshot is there when the snapshot begins. Right before, it may not be;
        // right after, a re-encryption may have removed it: together they have all. At the end, owners that were
        // shredded in between go, and keys that were wrapped anew are taken as they are now.
        let mut known = keys::all(self.keys).await?;
        let mut snapshot = self.from.snapshot().await?;
        known.extend(keys::all(self.keys).await?);
        let header = self.header().await?;
        let mut writer = Writer::new(to, File::Data);
        writer.line(&header).await?;
        let mut rows = 0;
        let mut seals = Seals::new(&known, self.sealer);
        for table in TABLES {
            self.table(table, &mut *snapshot, &mut writer, &mut seals, &mut rows).await?;
        }
        let revision = snapshot.counter(Counter::Revision).await?;
        let change = snapshot.counter(Counter::Change).await?;
        drop(snapshot);
        let gone = self.gone(&seals).await?;
        let damaged = seals.damaged;
        writer.line(&Counters { revision, change, gone }).await?;
        let digest = writer.digest();
        let sealed = self.sealer.seal(Owner::Platform, &place(&header.backup), &digest).await?;
        writer.line(&End { rows, sha256: hex(&digest), sealed: BASE64.encode(sealed) }).await?;
        writer.flush().await?;
        (self.progress)(rows);

        let last = keys::all(self.keys).await?;
        let alive: BTreeSet<Owner> = last.keys().map(|(owner, _)| *owner).collect();
        known.extend(last);
        known.retain(|(owner, _), _| alive.contains(owner));
        Ok(Written { keys: KeysFile { header, keys: known }, rows, damaged })
    }

    /// The keys that rows need and that are nowhere. One that the store does have would be missing in the keys
    /// file only, and make a backup that cannot be restored as what it is.
    async fn gone(&self, seals: &Seals<'_>) -> Result<Vec<(String, u32)>> {
        let mut gone = Vec::with_capacity(seals.missing.len());
        for &(owner, id) in &seals.missing {
            if self.keys.load(owner).await?.iter().any(|key| key.id == id) {
                return Err(ArchiveError::MissingKey { owner, id });
            }
            gone.push((owner.to_string(), id));
        }
        Ok(gone)
    }

    async fn header(&self) -> Result<Header> {
        let schema = self.from.schema().await?;
        if schema.found != schema.known {
            return Err(ArchiveError::OtherSchema { found: schema.found, known: schema.known });
        }
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        Ok(Header {
            portico: word(File::Data).to_owned(),
            format: FORMAT,
            backup: hex(&id),
            schema: schema.found,
            taken_at: self.clock.now().millis(),
            version: self.version.to_owned(),
        })
    }

    async fn table(
        &self,
        table: &'static Table,
        snapshot: &mut dyn Snapshot,
        writer: &mut Writer<'_>,
        seals: &mut Seals<'_>,
        count: &mut u64,
    ) -> Result<()> {
        let columns = table.columns.iter().map(|column| column.name.to_owned()).collect();
        writer.line(&Heading { table: table.name.to_owned(), columns }).await?;
        let collection = (table.name == "key_value").then(|| table.position("collection")).flatten();
        let expiry = table.position("expires_at");
        let now = self.clock.now();
        let mut rows = snapshot.rows(table);
        while let Some(found) = rows.next().await {
            let found = found?;
            if let Some(at) = collection {
                // A value that may be lost, or has expired. Other rows stay as tombstones for a while.
                let volatile = matches!(&found[at], Cell::Text(name) if self.volatile.contains(&name.as_str()));
                let until = expiry.map(|at| &found[at]);
                if volatile || matches!(until, Some(Cell::Integer(until)) if *until <= now.millis()) {
                    continue;
                }
            }
            seals.check(table, &found).await?;
            writer.with(|line| row::write(&found, line)).await?;
            *count += 1;
            (self.progress)(*count);
        }
        Ok(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

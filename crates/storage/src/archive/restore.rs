//! Reading a backup into an empty store.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use model::{AuditId, Clock, Entropy, Timestamp};

use super::{
    Archive, ArchiveError, Cell, Column, Counter, Fill, KeysFile, OLDEST, Result, Row, TABLES, Table,
    backup::{Counters, End, Heading, hex, place},
    error::File,
    keys::{self, ArchivedKeys},
    lines::{Header, Reader, Source},
    row,
    seals::Seals,
    tables,
};
use crate::{MasterKeySource, Owner, Sealer, StorageError, WrappedKey, WrappedKeys};

/// How many rows are added at a time, at most.
const BATCH: usize = 500;
/// How many bytes of lines are added at a time, about.
const BATCH_BYTES: usize = 1024 * 1024;
/// How old a backup may be that is restored without a word about grants: what was copied to be moved is newer.
const FRESH: Duration = Duration::from_hours(1);
/// How far counters jump: more than any installation counts between a backup and the loss of what it was
/// made from, so that no number that was given in between is given again.
const JUMP: i64 = 1 << 40;

/// What becomes of grants and sessions of an older day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grants {
    /// They are as they were, those too that were ended since.
    Keep,
    /// All of them end.
    End,
}

/// A restore that is to be made.
pub struct Restore<'a> {
    /// The empty database that is filled, its schema up to date.
    pub to: &'a dyn Archive,
    /// Where the wrapped keys go.
    pub keys: &'a dyn WrappedKeys,
    /// The master key of the installation.
    pub master: Arc<dyn MasterKeySource>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What becomes of grants; has to be said for a backup of more than an hour.
    pub grants: Option<Grants>,
    /// The collections whose values end with grants: sessions.
    pub sessions: &'a [&'static str],
    /// Hears how many rows are read.
    pub progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl fmt::Debug for Restore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restore").field("to", &self.to).finish_non_exhaustive()
    }
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// How many rows.
    pub rows: u64,
    /// When the backup was made.
    pub taken_at: Timestamp,
    /// Owners of sealed data without a key in the keys file: they were shredded, and what was sealed for them
    /// stays closed. Tenants with their slugs.
    pub closed: BTreeMap<Owner, Option<String>>,
    /// How many rows have something sealed that nobody could open already when the backup was made. They are as
    /// they were, and were named in the log.
    pub damaged: u64,
}

impl Restore<'_> {
    /// Fills the store. After an error it is as it was.
    pub async fn read(self, data: Source<'_>, keys: KeysFile) -> Result<Restored> {
        let mut reader = Reader::new(data, File::Data);
        let header = reader.header().await?;
        self.check(&header, &keys).await?;
        let sealer = self.open(&keys).await?;
        let missing = self.missing(&keys).await?;
        let fill = self.to.fill(self.clock.now()).await?;
        let seals = Seals::new(&keys.keys, &sealer);
        let slugs = BTreeMap::new();
        let mut filling = Filling { restore: &self, fill, sealer: &sealer, seals, slugs, rows: 0 };
        filling.all(&mut reader, &header).await?;
        // Keys before data: data without keys could not be told from damaged data. And not long before.
        self.add_keys(missing).await?;
        let Filling { fill, seals, slugs, rows, .. } = filling;
        // After an error here it may have been committed or not: the keys stay, and trying again shows it.
        fill.commit().await?;
        let Seals { closed, damaged, .. } = seals;
        let slug = |owner: &Owner| match owner {
            Owner::Tenant(id) => slugs.get(id.bytes().as_slice()).cloned(),
            Owner::Platform | Owner::User(_) => None,
        };
        let closed = closed.into_iter().map(|owner| (owner, slug(&owner))).collect();
        Ok(Restored { rows, taken_at: Timestamp::from_millis(header.taken_at), closed, damaged })
    }

    /// That this version, and this pair of files, can be restored.
    async fn check(&self, header: &Header, keys: &KeysFile) -> Result<()> {
        let (found, version, known) = (header.schema, header.version.clone(), self.to.schema().await?.known);
        if found > known {
            return Err(ArchiveError::Newer { found, known, version });
        }
        if found < OLDEST {
            return Err(ArchiveError::Older { found, oldest: OLDEST, version });
        }
        // The keys file has no seal of its own, but the data file has: what both say is what was written.
        if (Header { portico: header.portico.clone(), ..keys.header.clone() }) != *header {
            return Err(ArchiveError::Unpaired);
        }
        let age = self.clock.now().since(Timestamp::from_millis(header.taken_at));
        if self.grants.is_none() && age > FRESH {
            return Err(ArchiveError::Undecided(age));
        }
        Ok(())
    }

    /// Opens all keys with the master key: none is restored that would not open when it is needed.
    async fn open(&self, keys: &KeysFile) -> Result<Sealer> {
        let archived = Arc::new(ArchivedKeys(keys.keys.clone()));
        if !keys.keys.keys().any(|(owner, _)| *owner == Owner::Platform) {
            return Err(ArchiveError::NoPlatformKey);
        }
        let sealer =
            Sealer::open_ring(Arc::clone(&self.master), archived, Arc::clone(&self.clock), Arc::clone(&self.entropy))
                .await;
        let sealer = sealer.map_err(|error| match error {
            StorageError::WrongMasterKey { .. }
            | StorageError::UnknownMasterKey { .. }
            | StorageError::Damaged { .. } => ArchiveError::MasterKey(Owner::Platform),
            other => other.into(),
        })?;
        for owner in keys.owners() {
            sealer.check(owner).await.map_err(|error| match error {
                StorageError::WrongMasterKey { .. }
                | StorageError::UnknownMasterKey { .. }
                | StorageError::Damaged { .. } => ArchiveError::MasterKey(owner),
                other => other.into(),
            })?;
        }
        Ok(sealer)
    }

    /// The keys that are not there yet. What a restore that was killed has left is no obstacle, if it is the same.
    async fn missing<'k>(&self, keys: &'k KeysFile) -> Result<Vec<&'k WrappedKey>> {
        let there = keys::all(self.keys).await?;
        if there.iter().any(|(place, key)| keys.keys.get(place) != Some(key)) {
            return Err(ArchiveError::NotEmpty("the wrapped keys"));
        }
        Ok(keys.keys.iter().filter(|(place, _)| !there.contains_key(place)).map(|(_, key)| key).collect())
    }

    async fn add_keys(&self, missing: Vec<&WrappedKey>) -> Result<()> {
        let mut added = Vec::new();
        for key in missing {
            let inserted = self.keys.insert(key).await;
            if matches!(inserted, Ok(true)) {
                added.push(key);
                continue;
            }
            self.take_back(&added).await;
            return Err(inserted.map_or_else(Into::into, |_| ArchiveError::NotEmpty("the wrapped keys")));
        }
        Ok(())
    }

    /// Removes the keys that were added.
    async fn take_back(&self, added: &[&WrappedKey]) {
        for key in added {
            if let Err(error) = self.keys.remove(key.owner, key.id).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error, owner = %key.owner,
                    "a key of the restore that failed cannot be removed again"
                );
            }
        }
    }
}

/// A restore that has begun.
struct Filling<'a> {
    restore: &'a Restore<'a>,
    fill: Box<dyn Fill>,
    sealer: &'a Sealer,
    seals: Seals<'a>,
    /// What tenants are called, by the bytes of their ids.
    slugs: BTreeMap<Vec<u8>, String>,
    rows: u64,
}

/// How the columns of a table in a file become those of the table.
struct Shape {
    table: &'static Table,
    /// The columns of the file's rows.
    columns: Vec<Column>,
    /// For each column of the table: where it is in the file's rows, or what it gets.
    cells: Vec<std::result::Result<usize, Cell>>,
}

impl Filling<'_> {
    async fn all(&mut self, reader: &mut Reader<'_>, header: &Header) -> Result<()> {
        let mut left: Vec<&Table> = TABLES.iter().rev().collect();
        let mut next = reader.next().await?.is_some();
        while let Some(heading) = next.then(|| serde_json::from_slice::<Heading>(reader.last()).ok()).flatten() {
            // In our order and each once, so that references hold; those that are younger than the file are not there.
            let table = tables::table(&heading.table).ok_or_else(|| reader.damaged("there is no such table"))?;
            while left.pop().ok_or_else(|| reader.damaged("this table was there already"))? != table {}
            let shape = Shape::new(table, &heading.columns).map_err(|reason| reader.damaged(reason))?;
            next = self.table(&shape, reader).await?;
        }
        if !next {
            return Err(ArchiveError::CutOff(File::Data));
        }
        let counters: Counters = serde_json::from_slice(reader.last()).map_err(|_| reader.damaged("it is no row"))?;
        self.end(reader, header).await?;
        self.seals.expect(&counters.gone)?;
        for (counter, value) in [(Counter::Revision, counters.revision), (Counter::Change, counters.change)] {
            let value = value.checked_add(JUMP).filter(|value| *value > 0);
            let value =
                value.ok_or(ArchiveError::Damaged { file: File::Data, line: 0, reason: "a counter is full" })?;
            self.fill.set(counter, value).await?;
        }
        self.note(header).await
    }

    /// Reads the rows of a table; whether there is a line after them, which is no row.
    async fn table(&mut self, shape: &Shape, reader: &mut Reader<'_>) -> Result<bool> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let more = loop {
            let Some(line) = reader.next().await? else { break false };
            if line.first() != Some(&b'[') {
                break true;
            }
            let length = line.len();
            let found = row::read(line, &shape.columns).ok_or_else(|| reader.damaged("it is no row of its table"))?;
            let row = shape.fit(found);
            self.seals.check(shape.table, &row).await?;
            self.note_slug(shape.table, &row);
            self.rows += 1;
            (self.restore.progress)(self.rows);
            if let Some(row) = self.restore.today(shape.table, row) {
                batch.push(row);
                bytes += length;
            }
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                self.fill.insert(shape.table, &batch).await?;
                batch.clear();
                bytes = 0;
            }
        };
        if !batch.is_empty() {
            self.fill.insert(shape.table, &batch).await?;
        }
        Ok(more)
    }

    /// Keeps what a tenant is called: nobody knows it by its id.
    fn note_slug(&mut self, table: &Table, row: &Row) {
        if table.name != "tenant_slug" {
            return;
        }
        if let [Cell::Text(slug), Cell::Bytes(tenant), Cell::Text(state)] = &row[..]
            && state == "current"
        {
            self.slugs.insert(tenant.clone(), slug.clone());
        }
    }

    /// The last line, and nothing after it.
    async fn end(&self, reader: &mut Reader<'_>, header: &Header) -> Result<()> {
        let line = reader.next().await?.ok_or(ArchiveError::CutOff(File::Data))?;
        let end: Option<End> = serde_json::from_slice(line).ok();
        let end = end.ok_or_else(|| reader.damaged("the end does not parse"))?;
        let digest = reader.digest();
        if hex(&digest) != end.sha256 || end.rows != self.rows {
            return Err(ArchiveError::Changed);
        }
        let sealed = BASE64.decode(&end.sealed).map_err(|_| ArchiveError::Changed)?;
        let opened = self.sealer.open(Owner::Platform, &place(&header.backup), &sealed).await;
        match opened {
            Ok(opened) if opened.as_slice() == digest => {}
            Ok(_) | Err(StorageError::Damaged { .. }) => return Err(ArchiveError::Changed),
            Err(error) => return Err(error.into()),
        }
        if reader.next().await?.is_some() {
            return Err(reader.damaged("there is something after the end"));
        }
        Ok(())
    }

    /// Notes the restore in the audit log.
    async fn note(&mut self, header: &Header) -> Result<()> {
        let Restore { clock, entropy, grants, .. } = self.restore;
        let details = serde_json::json!({
            "backup": header.backup,
            "taken_at": header.taken_at,
            "version": header.version,
            "grants": if *grants == Some(Grants::End) { "ended" } else { "kept" },
        });
        let row = vec![
            Cell::Bytes(AuditId::new(&**clock, &**entropy).bytes().to_vec()),
            Cell::Null,
            Cell::Integer(clock.now().millis()),
            Cell::Text("system".to_owned()),
            Cell::Text("backup.restored".to_owned()),
            Cell::Text(header.backup.clone()),
            Cell::Text(details.to_string()),
        ];
        let audit = tables::table("audit").expect("it is a table of archives");
        self.fill.insert(audit, &[row]).await
    }
}

impl Restore<'_> {
    /// A row as it is to be from today on; `None` if it is to go.
    fn today(&self, table: &Table, mut row: Row) -> Option<Row> {
        let now = self.clock.now().millis();
        let at = |column| table.position(column).expect("a column of this table");
        match (table.name, self.grants) {
            // Whether a code was used since the backup cannot be known: none is good any more. Codes live for a minute.
            ("code", _) => {
                if let Cell::Integer(expires) = &mut row[at("expires_at")] {
                    *expires = now.min(*expires);
                }
            }
            ("grant", Some(Grants::End)) if row[at("revoked_at")] == Cell::Null => {
                row[at("state")] = Cell::Text("revoked".to_owned());
                row[at("revoked_at")] = Cell::Integer(now);
            }
            ("key_value", Some(Grants::End)) => {
                let ends = matches!(&row[at("collection")], Cell::Text(name) if self.sessions.contains(&name.as_str()));
                return (!ends).then_some(row);
            }
            _ => {}
        }
        Some(row)
    }
}

impl Shape {
    fn new(table: &'static Table, names: &[String]) -> std::result::Result<Self, &'static str> {
        let columns: Option<Vec<Column>> =
            names.iter().map(|name| table.position(name).map(|at| table.columns[at])).collect();
        let columns = columns.ok_or("there is no such column")?;
        let mut cells = Vec::with_capacity(table.columns.len());
        for column in table.columns {
            let mut places = names.iter().enumerate().filter(|(_, name)| *name == column.name).map(|(at, _)| at);
            match (places.next(), places.next(), column.added) {
                (Some(at), None, _) => cells.push(Ok(at)),
                (None, None, Some(added)) => cells.push(Err(added.cell())),
                (None, None, None) => return Err("a column is missing"),
                _ => return Err("a column is there twice"),
            }
        }
        Ok(Self { table, columns, cells })
    }

    /// A row of the file as one of the table.
    fn fit(&self, found: Row) -> Row {
        let mut found: Vec<Option<Cell>> = found.into_iter().map(Some).collect();
        let of = |at: usize, found: &mut Vec<Option<Cell>>| found[at].take().expect("each cell is taken once");
        self.cells
            .iter()
            .map(|cell| match cell {
                Ok(at) => of(*at, &mut found),
                Err(default) => default.clone(),
            })
            .collect()
    }
}

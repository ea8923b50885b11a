//! The keys file: wrapped data keys, a line for each.
//!
//! It has an end, but neither a digest nor a count: an owner's lines can be removed from it. What a changed line
//! has does not open with the master key.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::Path,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use model::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ArchiveError, Result,
    error::File,
    lines::{FORMAT, Header, Reader, Sink, Source, Writer, word},
};
use crate::{MasterId, Owner, StorageError, WrappedKey, WrappedKeys};

/// How many owners are asked for at a time.
const PAGE: u32 = 500;

/// The wrapped keys of a backup.
#[derive(Debug)]
pub struct KeysFile {
    pub(super) header: Header,
    pub(super) keys: BTreeMap<(Owner, u32), WrappedKey>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    owner: String,
    id: u32,
    master: Option<String>,
    active_from: i64,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
struct End {
    end: String,
}

impl KeysFile {
    /// Writes the file.
    pub async fn write(&self, to: Sink<'_>) -> Result<()> {
        let mut writer = Writer::new(to, File::Keys);
        let header = Header { portico: word(File::Keys).to_owned(), ..self.header.clone() };
        writer.line(&header).await?;
        for key in self.keys.values() {
            writer.line(&Line::of(key)).await?;
        }
        writer.line(&End { end: word(File::Keys).to_owned() }).await?;
        writer.flush().await
    }

    /// Reads a file, to its end.
    pub async fn read(from: Source<'_>) -> Result<Self> {
        let mut reader = Reader::new(from, File::Keys);
        let (header, mut keys) = (reader.header().await?, BTreeMap::new());
        while let Some(line) = reader.next().await? {
            if let Ok(End { end }) = serde_json::from_slice(line) {
                return match (&*end, reader.next().await?) {
                    ("keys", None) => Ok(Self { header, keys }),
                    _ => Err(reader.damaged("there is something after the end")),
                };
            }
            let key = Line::parse(line).ok_or_else(|| reader.damaged("it is no key"))?;
            if let Some(twice) = keys.insert((key.owner, key.id), key) {
                tracing::warn!(owner = %twice.owner, key = twice.id, "a key is in the keys file twice");
                return Err(reader.damaged("this key was there already"));
            }
        }
        Err(ArchiveError::CutOff(File::Keys))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn owners(&self) -> Vec<Owner> {
        let mut owners: Vec<_> = self.keys.keys().map(|(owner, _)| *owner).collect();
        owners.dedup();
        owners
    }
}

impl Line {
    fn of(key: &WrappedKey) -> Self {
        Self {
            owner: key.owner.to_string(),
            id: key.id,
            master: key.master.map(|master| master.to_string()),
            active_from: key.active_from.millis(),
            wrapped: BASE64.encode(&key.wrapped),
        }
    }

    fn parse(line: &[u8]) -> Option<WrappedKey> {
        let Self { owner, id, master, active_from, wrapped } = serde_json::from_slice(line).ok()?;
        let master = master.map(|id| id.parse()).transpose().ok()?;
        Some(WrappedKey {
            owner: owner.parse().ok()?,
            id,
            master,
            active_from: Timestamp::from_millis(active_from),
            wrapped: BASE64.decode(wrapped).ok()?,
        })
    }
}

/// All wrapped keys of a store.
pub(super) async fn all(from: &dyn WrappedKeys) -> Result<BTreeMap<(Owner, u32), WrappedKey>> {
    let (mut keys, mut after) = (BTreeMap::new(), None);
    loop {
        let owners = from.owners(after, PAGE).await?;
        for &owner in &owners {
            keys.extend(from.load(owner).await?.into_iter().map(|key| ((owner, key.id), key)));
        }
        match owners.last() {
            Some(&last) => after = Some(last),
            None => return Ok(keys),
        }
    }
}

/// Removes an owner's keys from a keys file, so that nothing that was sealed for the owner can be opened with
/// that backup any more. Returns how many there were. The file is replaced as a whole, and what it was is overwritten,
/// as far as the file system lets us.
pub fn remove_owner(path: &Path, owner: Owner) -> Result<u64> {
    let fail = |error| ArchiveError::Write(File::Keys, error);
    let text = fs::read_to_string(path).map_err(|error| ArchiveError::Read(File::Keys, error))?;
    let lines = check(&text)?;
    let whose = |line: &&str| serde_json::from_str::<Line>(line).is_ok_and(|line| line.owner == owner.to_string());
    let removed = lines.iter().filter(|line| whose(line)).count();
    if removed == 0 {
        return Ok(0);
    }
    let kept: String = lines.iter().filter(|line| !whose(line)).flat_map(|line| [line, "\n"]).collect();
    replace(path, kept.as_bytes(), text.len()).map_err(fail)?;
    Ok(removed as u64)
}

/// The lines of a whole keys file.
fn check(text: &str) -> Result<Vec<&str>> {
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    let header: Header =
        lines.first().and_then(|line| serde_json::from_str(line).ok()).ok_or(ArchiveError::Foreign(File::Keys))?;
    if header.portico != word(File::Keys) {
        return Err(ArchiveError::Exchanged(File::Data));
    }
    if header.format != FORMAT {
        return Err(ArchiveError::Format { file: File::Keys, found: header.format, known: FORMAT });
    }
    let ended = lines.last().is_some_and(|line| serde_json::from_str::<End>(line).is_ok());
    if !ended || !text.ends_with('\n') {
        return Err(ArchiveError::CutOff(File::Keys));
    }
    for (at, line) in (1..).zip(&lines[..lines.len() - 1]).skip(1) {
        Line::parse(line.as_bytes()).ok_or_else(|| ArchiveError::damaged(File::Keys, at, "it is no key"))?;
    }
    Ok(lines)
}

/// Replaces a file in one step, and overwrites the bytes that it had.
fn replace(path: &Path, bytes: &[u8], length: usize) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let mut old = fs::OpenOptions::new().write(true).open(path)?;
    let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    let present = old.metadata()?;
    let written = new
        .write_all(bytes)
        // Whose it is can go on reading it, also when somebody else shreds.
        .and_then(|()| fchown(&new, Some(present.uid()), Some(present.gid())))
        .and_then(|()| new.sync_all())
        .and_then(|()| fs::rename(beside, path));
    if let Err(error) = written {
        let _ = fs::remove_file(beside);
        return Err(error);
    }
    old.write_all(&vec![0; length])?;
    old.sync_all()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory)?.sync_all()
}

/// The keys of a keys file, to open what the data file has. They are only read.
#[derive(Debug)]
pub(super) struct ArchivedKeys(pub(super) BTreeMap<(Owner, u32), WrappedKey>);

fn only_read<T>() -> crate::Result<T> {
    Err(StorageError::unavailable("the keys of a backup are only read"))
}

#[async_trait]
impl WrappedKeys for ArchivedKeys {
    async fn load(&self, owner: Owner) -> crate::Result<Vec<WrappedKey>> {
        Ok(self.0.range((owner, 0)..=(owner, u32::MAX)).map(|(_, key)| key.clone()).collect())
    }

    async fn insert(&self, _: &WrappedKey) -> crate::Result<bool> {
        only_read()
    }

    async fn owners(&self, after: Option<Owner>, limit: u32) -> crate::Result<Vec<Owner>> {
        // In the order of their texts.
        let owners: BTreeMap<_, _> = self.0.keys().map(|(owner, _)| (owner.to_string(), *owner)).collect();
        let after = after.map(|after| after.to_string());
        let later = owners.into_iter().filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
        Ok(later.map(|(_, owner)| owner).take(limit as usize).collect())
    }

    async fn count_owners(&self) -> crate::Result<u64> {
        let owners: BTreeSet<_> = self.0.keys().map(|(owner, _)| *owner).collect();
        Ok(owners.len() as u64)
    }

    async fn masters(&self) -> crate::Result<Vec<(Option<MasterId>, u64)>> {
        let mut masters = BTreeMap::new();
        for key in self.0.values() {
            *masters.entry(key.master).or_default() += 1;
        }
        Ok(masters.into_iter().collect())
    }

    async fn rewrap(&self, _: &WrappedKey, _: Option<MasterId>) -> crate::Result<bool> {
        only_read()
    }

    async fn remove(&self, _: Owner, _: u32) -> crate::Result<bool> {
        only_read()
    }

    async fn shred(&self, _: Owner) -> crate::Result<()> {
        only_read()
    }
}

#[cfg(test)]
mod tests;

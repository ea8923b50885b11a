use std::collections::{BTreeMap, BTreeSet};

use super::{ArchiveError, Cell, Kind, Result, Table};
use crate::{ColumnPlace, Owner, Sealer, StorageError, WrappedKey, aead};

/// Checks that what is sealed in a backup can be opened with its keys: whoever makes one hears of it then, and
/// not on the day when it is needed.
pub(super) struct Seals<'a> {
    keys: &'a BTreeMap<(Owner, u32), WrappedKey>,
    sealer: &'a Sealer,
    /// Owners without any key: they were shredded.
    pub(super) closed: BTreeSet<Owner>,
}

impl<'a> Seals<'a> {
    pub(super) fn new(keys: &'a BTreeMap<(Owner, u32), WrappedKey>, sealer: &'a Sealer) -> Self {
        Self { keys, sealer, closed: BTreeSet::new() }
    }

    /// Checks a row: that there is the key that sealed it, and, of the canary, that it opens.
    pub(super) async fn check(&mut self, table: &Table, row: &[Cell]) -> Result<()> {
        for (cell, column) in row.iter().zip(table.columns).filter(|(_, column)| column.kind == Kind::Sealed) {
            let Cell::Bytes(sealed) = cell else { continue };
            let damaged = |reason| StorageError::damaged(table.name, reason);
            let owner = table.owner(row).ok_or_else(|| damaged("a row does not name its owner"))?;
            let id = aead::key_id(sealed).map_err(|why| damaged(why.reason()))?;
            if table.name == "canary" {
                let at = ColumnPlace { owner, table: "canary", column: column.name, row: &[1] };
                self.sealer.open_column(at, sealed).await.map_err(|_| ArchiveError::OtherKeys)?;
            }
            if self.keys.contains_key(&(owner, id)) {
                continue;
            }
            if owner == Owner::Platform || self.keys.range((owner, 0)..=(owner, u32::MAX)).next().is_some() {
                return Err(ArchiveError::MissingKey { owner, id });
            }
            self.closed.insert(owner);
        }
        Ok(())
    }
}

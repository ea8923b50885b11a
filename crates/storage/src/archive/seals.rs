use std::collections::{BTreeMap, BTreeSet};

use super::{ArchiveError, Cell, Kind, Result, Table};
use crate::{ColumnPlace, Owner, Sealer, WrappedKey, aead};

/// How many damaged rows are named in the log. The others are counted.
const NAMED: u64 = 100;

/// Checks that what is sealed in a backup can be opened with its keys: whoever makes one hears of it then, and
/// not on the day when it is needed.
///
/// A row that nobody can open, wherever it is, is no reason to have no backup of all the others: it is counted,
/// named in the log, and kept as it is.
pub(super) struct Seals<'a> {
    keys: &'a BTreeMap<(Owner, u32), WrappedKey>,
    sealer: &'a Sealer,
    /// Owners without any key: they were shredded.
    pub(super) closed: BTreeSet<Owner>,
    /// Keys that rows name and that are not there, of owners who have others.
    pub(super) missing: BTreeSet<(Owner, u32)>,
    /// How many rows have something that cannot be opened, because it is damaged or its key is missing.
    pub(super) damaged: u64,
}

impl<'a> Seals<'a> {
    pub(super) fn new(keys: &'a BTreeMap<(Owner, u32), WrappedKey>, sealer: &'a Sealer) -> Self {
        Self { keys, sealer, closed: BTreeSet::new(), missing: BTreeSet::new(), damaged: 0 }
    }

    /// Looks at a row: whether there is the key that sealed it. The canary has to open: if it does not, neither
    /// does anything else.
    pub(super) async fn check(&mut self, table: &Table, row: &[Cell]) -> Result<()> {
        let mut reason = None;
        for (cell, column) in row.iter().zip(table.columns).filter(|(_, column)| column.kind == Kind::Sealed) {
            let Cell::Bytes(sealed) = cell else { continue };
            if table.name == "canary" {
                let at = ColumnPlace { owner: Owner::Platform, table: "canary", column: column.name, row: &[1] };
                self.sealer.open_column(at, sealed).await.map_err(|_| ArchiveError::OtherKeys)?;
            }
            reason = self.look(table.owner(row), sealed).err().or(reason);
        }
        if let Some(reason) = reason {
            self.damaged += 1;
            if self.damaged <= NAMED {
                tracing::warn!(table = table.name, row = table.name_of(row), reason, "a sealed row is damaged");
            }
        }
        Ok(())
    }

    /// That no key is missing but those that were gone when the backup was made.
    pub(super) fn expect(&self, gone: &[(String, u32)]) -> Result<()> {
        let known = |owner: Owner, id| gone.iter().any(|(name, gone)| (name, *gone) == (&owner.to_string(), id));
        match self.missing.iter().find(|(owner, id)| !known(*owner, *id)) {
            Some(&(owner, id)) => Err(ArchiveError::MissingKey { owner, id }),
            None => Ok(()),
        }
    }

    /// Whether there is the key of something sealed; else why nobody can open it.
    fn look(&mut self, owner: Option<Owner>, sealed: &[u8]) -> std::result::Result<(), &'static str> {
        let owner = owner.ok_or("it does not name its owner")?;
        let id = aead::key_id(sealed).map_err(aead::Unopened::reason)?;
        if self.keys.contains_key(&(owner, id)) {
            return Ok(());
        }
        if self.keys.range((owner, 0)..=(owner, u32::MAX)).next().is_none() {
            self.closed.insert(owner);
            return Ok(());
        }
        self.missing.insert((owner, id));
        Err("the key that sealed it is gone")
    }
}

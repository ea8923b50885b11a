//! Sealing anew what old data keys have sealed, and removing the keys that seal nothing any more.

mod position;
mod retire;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use model::{Clock, Timestamp};

pub use self::position::{InvalidPosition, ResealPosition};
use crate::{
    ColumnPlace, Found, FoundColumn, Maintenance, OnProgress, Owner, Progress, Result, SealedColumns, Sealer,
    StorageError, aead,
    repo::{Changes, Replicas},
    seal::column_parts,
    sealed::{keep_bytes, value_parts},
};

/// How many values are read at a time.
const PAGE: u32 = 200;
/// How many of them are written at a time.
const AT_ONCE: usize = 8;

/// Everything that data keys seal, and what is needed to seal it anew. Replicas may run and write meanwhile.
#[derive(Clone, Debug)]
pub struct Reseal {
    /// What seals.
    pub sealer: Arc<Sealer>,
    /// The stores of values, in an order that does not change.
    pub values: Vec<Arc<dyn Maintenance>>,
    /// The secret columns.
    pub columns: Vec<Arc<dyn SealedColumns>>,
    /// Where the replicas hear of keys that went.
    pub changes: Arc<dyn Changes>,
    /// Who has to hear of keys before older ones go.
    pub replicas: Arc<dyn Replicas>,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

/// What sealing anew did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// How many values and columns were looked at.
    pub looked_at: u64,
    /// How many were sealed anew.
    pub resealed: u64,
    /// How many do not open. They are left as they are, and so are the keys that they name.
    pub damaged: u64,
    /// How many data keys were removed.
    pub removed: u64,
    /// Whether old data keys are left, and from when on the first and the last of them can be removed by doing
    /// this again. `None` if none is left but for damaged values.
    pub removable_from: Option<(Timestamp, Timestamp)>,
    /// How many replicas did not say that they know the newest keys. While there are any, no key is removed.
    pub unheard: u64,
    /// Whether it was ended before it had seen everything.
    pub ended: bool,
}

/// What a pass keeps in mind.
struct Pass {
    started: Timestamp,
    done: Resealed,
    /// Keys that are named by what does not open.
    named: HashSet<(Owner, u32)>,
}

/// How it went with one value.
enum Outcome {
    /// The newest key seals it already, or another write came, with the newest key.
    Good,
    Anew,
    Damaged(Owner, Option<u32>),
}

impl Reseal {
    /// Looks through everything from `from` on and seals anew what is not sealed by its owner's newest
    /// key. A pass from the beginning then removes the data keys that nothing needs any more. Doing it
    /// again does no harm; after a failure it goes on from the last reported position.
    pub async fn run(&self, from: Option<ResealPosition>, on_progress: OnProgress<'_>) -> Result<Resealed> {
        let whole = from.is_none();
        let unheard = if whole { self.announce().await? } else { 0 };
        let done = Resealed { unheard, ..Resealed::default() };
        let mut pass = Pass { started: self.clock.now(), done, named: HashSet::new() };
        let total = self.count().await;
        let mut position = Some(from.unwrap_or_default());
        while let Some(here) = position {
            position = match here.part.checked_sub(self.values.len()) {
                None => self.values_page(&here, &mut pass).await?,
                Some(part) if part < self.columns.len() => self.columns_page(&here, part, &mut pass).await?,
                Some(_) => None,
            };
            if let Some(next) = &position {
                let progress = Progress { done: pass.done.looked_at, total, position: next.to_string() };
                if on_progress(&progress).is_break() {
                    return Ok(Resealed { ended: true, ..pass.done });
                }
            }
        }
        if whole && unheard == 0 {
            self.retire(&mut pass).await?;
        }
        Ok(pass.done)
    }

    /// About how much there is to look at. Counting a large table may take longer than a call may: then it is
    /// not known, and only the progress bar misses it.
    async fn count(&self) -> u64 {
        let mut total = 0;
        for store in &self.values {
            total += store.count().await.unwrap_or_default();
        }
        for columns in &self.columns {
            total += columns.count_columns().await.unwrap_or_default();
        }
        total
    }

    async fn values_page(&self, here: &ResealPosition, pass: &mut Pass) -> Result<Option<ResealPosition>> {
        let store = &self.values[here.part];
        let page = store.scan(here.cursor.as_ref(), PAGE).await?;
        let outcomes = stream::iter(&page.found).map(|found| self.value(&**store, found)).buffer_unordered(AT_ONCE);
        let outcomes: Vec<_> = outcomes.collect().await;
        pass.note(outcomes)?;
        Ok(Some(here.next(page.next)))
    }

    async fn columns_page(
        &self,
        here: &ResealPosition,
        part: usize,
        pass: &mut Pass,
    ) -> Result<Option<ResealPosition>> {
        let store = &self.columns[part];
        let page = store.scan_columns(here.cursor.as_ref(), PAGE).await?;
        let outcomes = stream::iter(&page.found).map(|found| self.column(&**store, found)).buffer_unordered(AT_ONCE);
        let outcomes: Vec<_> = outcomes.collect().await;
        pass.note(outcomes)?;
        Ok(Some(here.next(page.next)))
    }

    async fn value(&self, store: &dyn Maintenance, found: &Found) -> Result<Outcome> {
        let (format, keep) = ([found.entry.format], keep_bytes(found.entry.keep));
        let parts = value_parts(&found.collection, &found.key, &format, &keep);
        let place = || found.collection.clone();
        match self.anew(found.owner, &parts, &found.entry.value, place).await? {
            Ok(Some(sealed)) if store.rewrite(found, &sealed).await? => Ok(Outcome::Anew),
            Ok(_) => Ok(Outcome::Good),
            Err(damaged) => Ok(damaged),
        }
    }

    async fn column(&self, store: &dyn SealedColumns, found: &FoundColumn) -> Result<Outcome> {
        let FoundColumn { owner, table, column, .. } = *found;
        let parts = column_parts(&ColumnPlace { owner, table, column, row: &found.row });
        match self.anew(owner, &parts, &found.sealed, || format!("{table}.{column}")).await? {
            Ok(Some(sealed)) if store.rewrite_column(found, &sealed).await? => Ok(Outcome::Anew),
            Ok(_) => Ok(Outcome::Good),
            Err(damaged) => Ok(damaged),
        }
    }

    /// The bytes to write instead, if there are better ones; what is damaged is an outcome, and only what
    /// can be tried again is an error.
    async fn anew(
        &self,
        owner: Owner,
        parts: &[&[u8]],
        sealed: &[u8],
        place: impl Fn() -> String + Send + Sync,
    ) -> Result<std::result::Result<Option<Vec<u8>>, Outcome>> {
        self.newest_is_active(owner).await?;
        match self.sealer.reseal_parts(owner, parts, sealed, place).await {
            Ok(sealed) => Ok(Ok(sealed)),
            Err(StorageError::Damaged { .. }) => Ok(Err(Outcome::Damaged(owner, aead::key_id(sealed).ok()))),
            Err(error) => Err(error),
        }
    }

    /// Waits for an owner's key that was made just now: resealing with the one before would be for nothing.
    async fn newest_is_active(&self, owner: Owner) -> Result<()> {
        while self.sealer.newest_active_from(owner).await?.is_some_and(|at| at > self.clock.now()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

impl Pass {
    fn note(&mut self, outcomes: Vec<Result<Outcome>>) -> Result<()> {
        for outcome in outcomes {
            self.done.looked_at += 1;
            match outcome? {
                Outcome::Good => {}
                Outcome::Anew => self.done.resealed += 1,
                Outcome::Damaged(owner, key) => {
                    self.done.damaged += 1;
                    self.named.extend(key.map(|id| (owner, id)));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

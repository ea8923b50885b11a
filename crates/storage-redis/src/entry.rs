//! How a value lies in Redis: one string.
//!
//! ```text
//! byte  0     the version of this layout: 1
//!       1     the format of the collection
//!       2–9   the revision, big endian: the server's microseconds, and one byte that a handle counts
//!       10    0: keep for ever; 1: until
//!       11–18 until when, in our milliseconds since the epoch, big endian; else zero
//!       19…   the value
//! ```
//!
//! `scripts/write.lua` and `scripts/rewrite.lua` know it too.

use model::Timestamp;
use storage::{Entry, Keep, Result, Revision, StorageError};
use zeroize::Zeroizing;

const LAYOUT: u8 = 1;
const HEAD: usize = 19;

/// The bytes in front of the revision.
pub(crate) fn before_revision(format: u8) -> [u8; 2] {
    [LAYOUT, format]
}

/// The bytes behind the revision.
pub(crate) fn after_revision(keep: Keep, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9 + value.len());
    bytes.push(u8::from(keep.until().is_some()));
    bytes.extend(keep.until().map_or(0, Timestamp::millis).to_be_bytes());
    bytes.extend(value);
    bytes
}

/// Parses an entry.
pub(crate) fn parse(bytes: &[u8], collection: &str) -> Result<Entry> {
    let damaged = |reason| StorageError::damaged(collection, reason);
    let (head, value) = bytes.split_first_chunk::<HEAD>().ok_or(damaged("it is too short"))?;
    let [LAYOUT, format, revision @ .., _, _, _, _, _, _, _, _, _] = head else {
        return Err(damaged("it is of no layout that this version reads"));
    };
    let revision = Revision(u64::from_be_bytes(*revision));
    let until = i64::from_be_bytes(*head.last_chunk().expect("the head is longer than a number"));
    let keep = match head[10] {
        0 => Keep::Forever,
        1 => Keep::Until(Timestamp::from_millis(until)),
        _ => return Err(damaged("it expires in no way that this version knows")),
    };
    Ok(Entry { value: Zeroizing::new(value.to_vec()), revision, keep, format: *format })
}

/// Whether an entry is there at `now`.
pub(crate) fn live(entry: &Entry, now: Timestamp) -> bool {
    entry.keep.until().is_none_or(|until| now < until)
}

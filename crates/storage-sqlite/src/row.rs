//! Rows are parsed, not trusted; and what SQLite reports becomes a [`StorageError`].

use model::Id;
use storage::{Result, StorageError};

pub(crate) use storage::column::{count, from_json, from_text, hash, time, to_json, word};

/// A failure of the database. A foreign key that does not hold means that what a write speaks of has
/// gone in the meantime.
pub(crate) fn failed(error: sqlx::Error) -> StorageError {
    match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => StorageError::Missing("what this belongs to"),
        _ => StorageError::unavailable(error),
    }
}

/// A failure of the database, where a broken uniqueness means that `what` is taken.
pub(crate) fn or_taken(what: &'static str) -> impl Fn(sqlx::Error) -> StorageError {
    move |error| match error.as_database_error() {
        Some(database) if database.is_unique_violation() => StorageError::Taken(what),
        _ => failed(error),
    }
}

pub(crate) fn id<K>(column: &'static str, bytes: &[u8]) -> Result<Id<K>> {
    Id::from_bytes(bytes).ok_or_else(|| StorageError::damaged(column, "an id is not of 16 bytes"))
}

/// Where a list begins that has the newest ids first: behind `before`, or behind what is greater than any id.
pub(crate) fn newest_first<K>(before: Option<Id<K>>) -> Vec<u8> {
    before.map_or_else(|| vec![0xff; 17], |id| id.bytes().to_vec())
}

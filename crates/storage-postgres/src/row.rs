//! Rows are parsed, not trusted; and what Postgres reports becomes a [`StorageError`].

use model::Id;
use storage::StorageError;
use uuid::Uuid;

pub(crate) use storage::column::{count, from_json, from_text, hash, time, to_json, word};

/// A failure of the database. A foreign key that does not hold means that what a write speaks of has
/// gone in the meantime; everything else may be tried again: no connection, no answer in time, a deadlock.
pub(crate) fn failed(error: sqlx::Error) -> StorageError {
    match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => StorageError::Missing("what this belongs to"),
        _ => crate::failure::unavailable(error),
    }
}

/// A failure of the database, where a broken uniqueness means that `what` is taken.
pub(crate) fn or_taken(what: &'static str) -> impl Fn(sqlx::Error) -> StorageError {
    move |error| match error.as_database_error() {
        Some(database) if database.is_unique_violation() => StorageError::Taken(what),
        _ => failed(error),
    }
}

pub(crate) fn id<K>(uuid: Uuid) -> Id<K> {
    Id::from_uuid(uuid)
}

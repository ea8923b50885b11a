//! Rows are parsed, not trusted; and what Postgres reports becomes a [`StorageError`].

use std::str::FromStr;

use model::{Id, Timestamp};
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer as _, value},
};
use storage::{Result, StorageError, repo::TokenHash};
use uuid::Uuid;

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

pub(crate) fn word<T: FromStr>(column: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|_| StorageError::damaged(column, "a text does not parse"))
}

pub(crate) fn hash(column: &'static str, bytes: &[u8]) -> Result<TokenHash> {
    bytes.try_into().map_err(|_| StorageError::damaged(column, "a hash is not of 32 bytes"))
}

pub(crate) fn count<T: TryFrom<i64>>(column: &'static str, number: i64) -> Result<T> {
    T::try_from(number).map_err(|_| StorageError::damaged(column, "a number is out of range"))
}

pub(crate) fn from_json<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| StorageError::damaged(column, "a value does not parse"))
}

/// A type that files and JSON have as a text.
pub(crate) fn from_text<T: DeserializeOwned>(column: &'static str, text: String) -> Result<T> {
    let parsed: std::result::Result<T, value::Error> = T::deserialize(text.into_deserializer());
    parsed.map_err(|_| StorageError::damaged(column, "a text does not parse"))
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(StorageError::unavailable)
}

pub(crate) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

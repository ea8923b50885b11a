//! What SQL backends read from columns: parsed, not trusted. What does not parse is `Damaged`, and says where.

use std::str::FromStr;

use model::Timestamp;
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer as _, value},
};

use crate::{Result, StorageError, repo::TokenHash};

/// A type that has a text, from a column.
pub fn word<T: FromStr>(column: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|_| StorageError::damaged(column, "a text does not parse"))
}

/// The hash of a token, from a column.
pub fn hash(column: &'static str, bytes: &[u8]) -> Result<TokenHash> {
    bytes.try_into().map_err(|_| StorageError::damaged(column, "a hash is not of 32 bytes"))
}

/// A number of a narrower type, from a column.
pub fn count<T: TryFrom<i64>>(column: &'static str, number: i64) -> Result<T> {
    T::try_from(number).map_err(|_| StorageError::damaged(column, "a number is out of range"))
}

/// A value that a column has as JSON.
pub fn from_json<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| StorageError::damaged(column, "a value does not parse"))
}

/// A type that files and JSON have as a text.
pub fn from_text<T: DeserializeOwned>(column: &'static str, text: String) -> Result<T> {
    let parsed: std::result::Result<T, value::Error> = T::deserialize(text.into_deserializer());
    parsed.map_err(|_| StorageError::damaged(column, "a text does not parse"))
}

/// A value as JSON, for a column.
pub fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(StorageError::unavailable)
}

/// A moment, from a column of milliseconds.
pub fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use model::{Role, Slug};
    use serde_json::Value;

    use super::*;

    /// Each says which column it was, and nothing of what was in it.
    #[test]
    fn what_does_not_parse_is_damaged() {
        let refused = [
            word::<Role>("a.column", "emperor").err(),
            hash("a.column", &[0; 31]).err(),
            count::<u32>("a.column", -1).err(),
            count::<u8>("a.column", 256).err(),
            from_json::<Value>("a.column", "{emperor").err(),
            from_text::<Slug<2>>("a.column", "no slug".to_owned()).err(),
        ];
        for error in refused {
            let error = error.expect("it is refused");
            assert!(matches!(&error, StorageError::Damaged { place, .. } if place == "a.column"), "{error:?}");
            assert!(!error.to_string().contains("emperor"), "{error}");
        }
    }

    #[test]
    fn what_parses_comes_back() {
        assert_eq!(word::<Role>("a", "owner").unwrap(), Role::Owner);
        assert_eq!(hash("a", &[7; 32]).unwrap(), [7; 32]);
        assert_eq!(count::<u32>("a", 7).unwrap(), 7);
        assert_eq!(from_json::<Value>("a", &to_json(&[1, 2]).unwrap()).unwrap(), serde_json::json!([1, 2]));
        assert_eq!(from_text::<Slug<2>>("a", "acme".to_owned()).unwrap().as_str(), "acme");
        assert_eq!(time(7).millis(), 7);
    }
}

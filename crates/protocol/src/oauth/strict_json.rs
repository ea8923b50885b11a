use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// The text is not JSON that everybody reads alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON, nested too deeply, or with a member twice")]
pub struct InvalidJson;

/// Reads JSON, and refuses what parsers disagree about: members that are there twice (RFC 8259 §4), of which
/// one reader takes the first and another the last; and nesting beyond `depth`.
pub fn strict_json(text: &[u8], depth: usize) -> Result<Value, InvalidJson> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Level(depth).deserialize(&mut reader).map_err(|_| InvalidJson)?;
    reader.end().map_err(|_| InvalidJson)?;
    Ok(value)
}

/// How many levels of arrays and objects may follow.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (inner, mut all) = (self.deeper()?, Vec::new());
        while let Some(item) = items.next_element_seed(inner)? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let (inner, mut all) = (self.deeper()?, Map::new());
        while let Some(Name(name)) = members.next_key()? {
            let value = members.next_value_seed(inner)?;
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(all.into())
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name(String);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_readers_disagree_about_is_refused() {
        let text = br#" {"a": [1, -2, 2.5, null, true, "x\n"], "b": {"a": 1}} "#;
        assert_eq!(strict_json(text, 2).unwrap(), json!({ "a": [1, -2, 2.5, null, true, "x\n"], "b": { "a": 1 } }));
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": 1, "\u0061": 2}"#,
            r#"{"b": {"a": 1, "a": 1}}"#,
            r#"[{"a": 1, "a": 1}]"#,
            r#"{"a": 1} {}"#,
            r#"{"a": [[1]]}"#,
            r#"{"a": 1"#,
            "",
            "\u{feff}{}",
        ] {
            assert_eq!(strict_json(text.as_bytes(), 2), Err(InvalidJson), "{text}");
        }
        assert_eq!(strict_json(b"\"\xff\"", 2), Err(InvalidJson));
    }
}

//! The headers of streamable HTTP (`basic/transports/streamable-http`).

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};

/// On every post: the version of the message.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// On every modern request: its method.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// On modern calls and reads: the tool, prompt, resource or task. See [`decode`].
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Legacy: which session.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Legacy: the last event that was seen, to go on after it.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What the names of headers that repeat a tool's argument begin with.
pub const PARAM_PREFIX: &str = "mcp-param-";

const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// A header that must not come twice did so, or its value cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header is repeated or cannot be decoded")]
pub struct Unreadable;

/// The one value of a header; `None` when it is absent.
pub fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Unreadable> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Unreadable),
        (Some(_), Some(_)) => Err(Unreadable),
    }
}

/// The text that a value of `Mcp-Name` or `Mcp-Param-*` stands for: itself, or what is in the sentinel
/// `=?base64?…?=`, which is strict about alphabet, padding and UTF-8.
pub fn decode(value: &str) -> Result<Cow<'_, str>, Unreadable> {
    let Some(encoded) = value.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1)) else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| Unreadable)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Unreadable)
}

/// Writes a text as a value that [`decode`] reads back: plain where that is possible.
pub fn encode(text: &str) -> HeaderValue {
    let edge = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    let plain = bytes.iter().all(|b| (b' '..=b'~').contains(b))
        && !(edge(bytes.first()) || edge(bytes.last()))
        && !(text.starts_with(SENTINEL.0) && text.ends_with(SENTINEL.1));
    let value = if plain {
        HeaderValue::from_str(text)
    } else {
        HeaderValue::from_str(&format!("{}{}{}", SENTINEL.0, STANDARD.encode(text), SENTINEL.1))
    };
    value.expect("printable ASCII is a header value")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sentinel_is_strict() {
        for (value, text) in [
            ("echo", Ok("echo")),
            ("=?base64?", Ok("=?base64?")),
            ("=?BASE64?ZWNobw==?=", Ok("=?BASE64?ZWNobw==?=")),
            ("=?base64??=", Ok("")),
            ("=?base64?ZWNobw==?=", Ok("echo")),
            ("=?base64?ZWNobw?=", Err(Unreadable)),
            ("=?base64?ZWNobx==?=", Err(Unreadable)),
            ("=?base64?_-8=?=", Err(Unreadable)),
            ("=?base64?/w==?=", Err(Unreadable)),
            ("=?base64?ZWNo bw==?=", Err(Unreadable)),
        ] {
            assert_eq!(decode(value).as_deref(), text.as_ref().map(|text| *text), "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(text in ".{0,60}") {
            let value = encode(&text);
            prop_assert_eq!(decode(value.to_str().unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn only_what_has_to_be_is_encoded() {
        for (text, value) in [
            ("get_weather", "get_weather"),
            ("a b", "a b"),
            (" a", "=?base64?IGE=?="),
            ("é", "=?base64?w6k=?="),
            ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="),
        ] {
            assert_eq!(encode(text), value);
        }
    }
}

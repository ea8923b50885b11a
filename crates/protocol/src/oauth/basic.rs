use base64::{Engine as _, engine::general_purpose::STANDARD};
use model::Secret;

use super::params::form_decode;

/// A client's id and secret from an `Authorization: Basic` header (RFC 6749 §2.3.1).
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// The `client_id`.
    pub client_id: String,
    /// The secret; may be empty.
    pub secret: Secret,
}

/// The header is not `Basic` with a form-encoded id and secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is not correct")]
pub struct InvalidBasic;

impl ClientCredentials {
    /// Reads the header's value. Both parts are form-encoded before they are joined.
    pub fn from_header(value: &[u8]) -> Result<Self, InvalidBasic> {
        let text = std::str::from_utf8(value).map_err(|_| InvalidBasic)?;
        let (scheme, rest) = text.split_once(' ').ok_or(InvalidBasic)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(InvalidBasic);
        }
        let bytes = zeroize_bytes(STANDARD.decode(rest.trim()).map_err(|_| InvalidBasic)?)?;
        let (id, secret) = bytes.expose().split_once(':').ok_or(InvalidBasic)?;
        let client_id = form_decode(id).map_err(|_| InvalidBasic)?;
        let secret = Secret::new(form_decode(secret).map_err(|_| InvalidBasic)?);
        if client_id.is_empty() { Err(InvalidBasic) } else { Ok(Self { client_id, secret }) }
    }
}

fn zeroize_bytes(bytes: Vec<u8>) -> Result<Secret, InvalidBasic> {
    String::from_utf8(bytes).map(Secret::new).map_err(|_| InvalidBasic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(plain: &str) -> Result<(String, String), InvalidBasic> {
        let header = format!("Basic {}", STANDARD.encode(plain));
        ClientCredentials::from_header(header.as_bytes()).map(|c| (c.client_id, c.secret.expose().to_owned()))
    }

    #[test]
    fn both_parts_are_form_encoded() {
        assert_eq!(read("c_1:s%3A%20x"), Ok(("c_1".into(), "s: x".into())));
        assert_eq!(read("a%3Ab:c:d"), Ok(("a:b".into(), "c:d".into())));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(read("no-colon"), Err(InvalidBasic));
        assert_eq!(read(":secret"), Err(InvalidBasic));
        assert_eq!(read("a:%zz"), Err(InvalidBasic));
        for header in ["Bearer abc", "Basic", "Basic !!!"] {
            assert!(ClientCredentials::from_header(header.as_bytes()).is_err(), "{header}");
        }
    }
}

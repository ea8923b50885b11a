use axum::extract::{FromRequest, Request};
use http::header;
use model::Secret;
use zeroize::Zeroizing;

use crate::Problem;

/// The longest form we read, in bytes.
const LONGEST: usize = 64 * 1024;
/// The most fields that are read. Each is compared with all before it: without a bound, a request of 64 KiB
/// with nothing but names would keep a core busy for seconds.
const MOST: usize = 64;

/// The fields of a form or of a query, each at most once. A repeated field is refused, not resolved:
/// which of two values counts is what parameter pollution lives on (OAuth 2.1 §3.1).
///
/// As an extractor it reads an `application/x-www-form-urlencoded` body.
pub struct Fields(Vec<(String, Zeroizing<String>)>);

/// The text is no such set of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFields {
    /// A field is there twice.
    #[error("a field is repeated")]
    Repeated,
    /// More fields than any form of ours has.
    #[error("there are too many fields")]
    TooMany,
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names only: the values are passwords, codes and states.
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// Reads `name=value&…`.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidFields> {
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(InvalidFields::Repeated);
            }
            if fields.len() == MOST {
                return Err(InvalidFields::TooMany);
            }
            fields.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(fields))
    }

    /// Reads a URL's query.
    pub fn of_query(uri: &http::Uri) -> Result<Self, InvalidFields> {
        Self::parse(uri.query().unwrap_or_default().as_bytes())
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A field's value, or nothing as the empty text.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A field that must not be seen.
    pub fn secret(&self, name: &str) -> Secret {
        Secret::new(self.text(name).to_owned())
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::bad_request("This address takes a form."));
        }
        let body = axum::body::to_bytes(request.into_body(), LONGEST).await;
        let body = body.map_err(|_| Problem::bad_request("The form is too long or was cut off."))?;
        Self::parse(&body).map_err(|error| {
            Problem::bad_request(match error {
                InvalidFields::Repeated => "The form has a field twice.",
                InvalidFields::TooMany => "The form has too many fields.",
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_comes_once() {
        let fields = Fields::parse(b"a=1&b=x%20y&c").unwrap();
        assert_eq!(
            (fields.get("a"), fields.get("b"), fields.get("c"), fields.get("d")),
            (Some("1"), Some("x y"), Some(""), None)
        );
        assert_eq!(Fields::parse(b"a=1&%61=2").unwrap_err(), InvalidFields::Repeated);
        assert_eq!(format!("{fields:?}"), r#"{"a", "b", "c"}"#);
    }

    #[test]
    fn fields_are_few() {
        let with = |count: usize| (0..count).map(|n| format!("{n}=")).collect::<Vec<_>>().join("&");
        assert!(Fields::parse(with(MOST).as_bytes()).is_ok());
        assert_eq!(Fields::parse(with(MOST + 1).as_bytes()).unwrap_err(), InvalidFields::TooMany);
    }
}

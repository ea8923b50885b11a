use http::HeaderValue;

use super::{ErrorCode, error::legal};

/// A `WWW-Authenticate: Bearer` challenge (RFC 6750 §3, RFC 9728 §5.1).
#[derive(Clone, Debug)]
pub struct BearerChallenge(String);

impl BearerChallenge {
    /// A challenge that says where the resource's metadata is and which scopes to ask for. Without more,
    /// it is for a request that had no token: then there is no `error` (RFC 6750 §3.1).
    pub fn new(resource_metadata: &str, scope: &str) -> Self {
        let mut challenge = Self("Bearer".to_owned());
        challenge.push(" resource_metadata", resource_metadata);
        challenge.push(", scope", scope);
        challenge
    }

    /// The challenge with an error and its description.
    #[must_use]
    pub fn error(mut self, code: ErrorCode, description: &str) -> Self {
        self.push(", error", code.as_str());
        self.push(", error_description", &legal(description));
        self
    }

    /// The header's value.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("push writes visible ASCII only")
    }

    /// Appends a parameter as a quoted string (RFC 9110 §5.6.4).
    fn push(&mut self, name: &str, value: &str) {
        self.0.push_str(name);
        self.0.push_str("=\"");
        for c in value.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                '\x20'..='\x7e' => self.0.push(c),
                _ => self.0.push('?'),
            }
        }
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_token_there_is_no_error() {
        let header = BearerChallenge::new("https://m.example/.well-known/x", "mcp:read mcp:tools").header();
        assert_eq!(header, r#"Bearer resource_metadata="https://m.example/.well-known/x", scope="mcp:read mcp:tools""#);
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let header = BearerChallenge::new("a\", error=\"x\\\r\nSet-Cookie: a", "s").header();
        assert_eq!(header, r#"Bearer resource_metadata="a\", error=\"x\\??Set-Cookie: a", scope="s""#);
    }
}

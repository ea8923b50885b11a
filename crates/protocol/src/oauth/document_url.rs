use super::redirect::{is_dot_segment, is_owned_name, plain_characters, split_authority};

/// The longest URL of a document, in bytes.
const MAX_LENGTH: usize = 1024;
/// Names that nobody on the network can own (RFC 6761, RFC 6762, RFC 7686).
const LOCAL_NAMES: [&str; 6] = [".local", ".internal", ".localhost", ".onion", ".invalid", ".home.arpa"];

/// A `client_id` that is the address of the client's metadata document (CIMD). Judged as raw text, as it is
/// compared: what a parser would make of it never matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentUrl<'a> {
    /// The URL, byte for byte.
    pub text: &'a str,
    /// Its host: what the consent page shows, always in ASCII, so that look-alikes show as what they are.
    pub host: &'a str,
}

/// Why a URL is not fetched, whatever is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocumentUrl {
    /// Too long, a fragment, a query, or characters that have no place in a URI.
    #[error("the address has characters that are not allowed, or is too long")]
    Characters,
    /// A user part, a port, or a host that is none.
    #[error("the address must have a plain host, without user and port")]
    Authority,
    /// An address, a single label, upper case, or a name that nobody on the network can own.
    #[error("the address must have the full name of a host on the network, in lower case")]
    Host,
    /// None, only `/`, or with dot segments.
    #[error("the address must have a path, without dot segments")]
    Path,
}

impl<'a> DocumentUrl<'a> {
    /// Whether a `client_id` is meant to be one. No other client has such an id.
    pub fn is_meant(client_id: &str) -> bool {
        client_id.starts_with("https://") || client_id.starts_with("http://")
    }

    /// Checks the address of a document, before anything is asked. With `local`, which only developers want,
    /// documents on `localhost` are addresses too, with http and with ports.
    pub fn parse(text: &'a str, local: bool) -> Result<Self, InvalidDocumentUrl> {
        use InvalidDocumentUrl::{Authority, Characters, Host, Path};
        if text.len() > MAX_LENGTH || !plain_characters(text) || text.contains(['#', '?']) {
            return Err(Characters);
        }
        let (scheme, rest) = text.split_once(':').ok_or(Authority)?;
        let (host, path) = split_authority(rest).map_err(|_| Authority)?;
        if path.len() < 2 || path.split('/').any(is_dot_segment) {
            return Err(Path);
        }
        if local && matches!(host, "localhost" | "127.0.0.1") && matches!(scheme, "http" | "https") {
            return Ok(Self { text, host });
        }
        // Whatever stands between host and path is a port; the usual one need not be said, and others are not
        // where web pages are.
        if scheme != "https" || rest.len() != "//".len() + host.len() + path.len() {
            return Err(Authority);
        }
        let nobodys = LOCAL_NAMES.iter().any(|end| host.ends_with(end));
        if nobodys || !is_owned_name(host) || host.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(Host);
        }
        Ok(Self { text, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_real_clients_are_at() {
        for (text, host) in [
            ("https://claude.ai/oauth/claude-code-client-metadata", "claude.ai"),
            ("https://vscode.dev/oauth/client-metadata.json", "vscode.dev"),
            ("https://chatgpt.com/oauth/abc/client.json", "chatgpt.com"),
            ("https://xn--bcher-kva.example/client", "xn--bcher-kva.example"),
        ] {
            assert_eq!(DocumentUrl::parse(text, false), Ok(DocumentUrl { text, host }));
        }
    }

    #[test]
    fn what_is_not_fetched() {
        use InvalidDocumentUrl::{Authority, Characters, Host, Path};
        let long = format!("https://a.example/{}", "a".repeat(1024));
        for (text, error) in [
            (&*long, Characters),
            ("https://a.example/c#", Characters),
            ("https://a.example/c?x", Characters),
            ("https://a.example/c d", Characters),
            ("https://a.example\\c", Characters),
            ("https://a.example/%00", Characters),
            ("https://a.example/\u{e9}", Characters),
            ("https://u@a.example/c", Authority),
            ("https://a.example:8443/c", Authority),
            ("https://a.example:443/c", Authority),
            ("https://a.example./c", Authority),
            ("https:///c", Authority),
            ("http://a.example/c", Authority),
            ("https://[::1]/c", Host),
            ("https://127.0.0.1/c", Host),
            ("https://0x7f.1/c", Host),
            ("https://localhost/c", Host),
            ("https://intranet/c", Host),
            ("https://a.internal/c", Host),
            ("https://a.localhost/c", Host),
            ("https://a.local/c", Host),
            ("https://a.onion/c", Host),
            ("https://A.example/c", Host),
            ("https://a.example", Path),
            ("https://a.example/", Path),
            ("https://a.example/x/../c", Path),
            ("https://a.example/%2e%2E/c", Path),
            ("https://a.example/./c", Path),
        ] {
            assert_eq!(DocumentUrl::parse(text, false), Err(error), "{text}");
        }
    }

    #[test]
    fn developers_have_documents_of_their_own() {
        for text in ["http://localhost:8000/client.json", "https://127.0.0.1:8443/c"] {
            assert!(DocumentUrl::parse(text, true).is_ok(), "{text}");
            assert!(DocumentUrl::parse(text, false).is_err(), "{text}");
        }
        for text in ["http://a.example/c", "http://192.168.0.1/c", "http://localhost:8000/", "https://a.example:1/c"] {
            assert!(DocumentUrl::parse(text, true).is_err(), "{text}");
        }
    }
}

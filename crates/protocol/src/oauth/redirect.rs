//! Redirect URIs: which may be registered, and which one a request means. All decisions are made on the
//! raw text: URL parsers normalise, and what was normalised is not what was registered.

/// Where a redirect URI leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    /// `https://` to a host on the network.
    Https,
    /// `http://` to `localhost`, `127.0.0.1` or `[::1]`: an app on the person's computer (RFC 8252 §7.3).
    Loopback,
    /// A scheme that an app has claimed (RFC 8252 §7.1).
    PrivateScheme,
}

/// A redirect URI that passed the rules for registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectUri<'a> {
    /// The URI as it was sent.
    pub text: &'a str,
    /// Where it leads.
    pub kind: RedirectKind,
    /// The host, or the scheme with its colon: what a consent page shows.
    pub target: &'a str,
}

/// Why a redirect URI cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirect {
    /// Too long, or with characters that have no place in a URI.
    #[error("a redirect URI has characters that are not allowed, or is too long")]
    Characters,
    /// A fragment, even an empty one.
    #[error("a redirect URI must not have a fragment")]
    Fragment,
    /// A user part, a bad port or a host that is none.
    #[error("a redirect URI must have a plain host and no user part")]
    Authority,
    /// `.` or `..`, raw or encoded.
    #[error("a redirect URI must not have dot segments")]
    DotSegment,
    /// A scheme that leads nowhere safe.
    #[error("a redirect URI must be https, http to a loopback address, or a scheme that is allowed here")]
    Scheme,
    /// A number instead of a name, or a name that nobody can own.
    #[error("a redirect URI must have a full host name")]
    Host,
}

/// The longest redirect URI, in bytes.
const MAX_LENGTH: usize = 2048;
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl<'a> RedirectUri<'a> {
    /// Checks a URI for registration. `private` are the URIs of schemes without a period that the
    /// operator allows, whole (OAuth 2.1 §2.3.1 wants a period, and well-known clients have none).
    pub fn register(text: &'a str, private: &[String]) -> Result<Self, InvalidRedirect> {
        check_characters(text)?;
        let (scheme, rest) = text.split_once(':').ok_or(InvalidRedirect::Scheme)?;
        let path = rest.split('?').next().unwrap_or_default();
        if path.split('/').any(is_dot_segment) {
            return Err(InvalidRedirect::DotSegment);
        }
        match scheme {
            "https" | "http" => {
                let (host, _) = split_authority(rest)?;
                let loopback = LOOPBACK.contains(&host);
                match (scheme, loopback) {
                    ("http", true) => Ok(Self { text, kind: RedirectKind::Loopback, target: host }),
                    ("http", false) => Err(InvalidRedirect::Scheme),
                    (_, false) if !is_owned_name(host) => Err(InvalidRedirect::Host),
                    _ => Ok(Self { text, kind: RedirectKind::Https, target: host }),
                }
            }
            _ if is_reverse_domain(scheme) || private.iter().any(|known| known == text) => {
                let target = &text[..=scheme.len()];
                Ok(Self { text, kind: RedirectKind::PrivateScheme, target })
            }
            _ => Err(InvalidRedirect::Scheme),
        }
    }
}

/// Whether the URI of a request is the registered one: byte for byte, except that a loopback address may
/// have any port when `any_port` (OAuth 2.1 §8.4.2: apps get a port from the system).
pub fn redirect_matches(registered: &str, sent: &str, any_port: bool) -> bool {
    if registered == sent {
        return true;
    }
    let parts = |uri| {
        check_characters(uri).ok()?;
        let rest = str::strip_prefix(uri, "http:")?;
        split_authority(rest).ok().filter(|(host, _)| LOOPBACK.contains(host))
    };
    any_port && parts(registered).is_some_and(|own| parts(sent) == Some(own))
}

/// Whether a text has only characters that mean the same to every parser, and no fragment.
pub(super) fn plain_characters(text: &str) -> bool {
    check_characters(text).is_ok()
}

fn check_characters(text: &str) -> Result<(), InvalidRedirect> {
    let strange = |b: u8| !matches!(b, 0x21..=0x7e) || b"\"<>\\^`{|}*".contains(&b);
    if text.is_empty() || text.len() > MAX_LENGTH || text.bytes().any(strange) {
        return Err(InvalidRedirect::Characters);
    }
    if text.contains('#') {
        return Err(InvalidRedirect::Fragment);
    }
    for (at, _) in text.match_indices('%') {
        let digits = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        // An encoded control character or backslash means something else to the next parser.
        if digits.is_none_or(|byte| byte < 0x20 || byte == 0x7f || byte == b'\\') {
            return Err(InvalidRedirect::Characters);
        }
    }
    Ok(())
}

pub(super) fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

/// Splits `//host:port/path?query` into the host as written and everything from the path on.
pub(super) fn split_authority(rest: &str) -> Result<(&str, &str), InvalidRedirect> {
    let rest = rest.strip_prefix("//").ok_or(InvalidRedirect::Authority)?;
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    };
    let port_is_good = port
        .is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0));
    let label = |label: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(legal) && !label.starts_with('-') && !label.ends_with('-')
    };
    if port_is_good && (host == "[::1]" || host.split('.').all(label)) {
        Ok((host, tail))
    } else {
        Err(InvalidRedirect::Authority)
    }
}

/// Whether a host is a name under a domain that somebody owns: it has a dot, and its last label is not a
/// number (browsers read that as an address). The list of public suffixes is not consulted.
pub(super) fn is_owned_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X");
    host.contains('.') && !number
}

/// Whether a scheme is a reversed domain name, like `com.example.app`.
fn is_reverse_domain(scheme: &str) -> bool {
    let legal = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.');
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(legal)
        && scheme.contains('.')
        && scheme.split('.').all(|part| !part.is_empty())
}

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{Envelope, Meta, header, method};

/// Which protocol family a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Era {
    /// 2026-07-28 and later: stateless, `_meta` on every request.
    Modern,
    /// 2025-11-25 and older: `initialize` and sessions.
    Legacy,
}

/// The modern versions that we speak, newest first. Only these stand in `supported` of a refusal: a client
/// that saw a legacy one there would send modern messages under a legacy name.
pub const MODERN_VERSIONS: &[&str] = &["2026-07-28"];
/// The newest legacy version: what `initialize` answers to a version that it does not know.
pub const LATEST_LEGACY: &str = "2025-11-25";
/// The legacy versions that we speak, newest first.
pub const LEGACY_VERSIONS: &[&str] = &[LATEST_LEGACY, "2025-06-18", "2025-03-26", "2024-11-05"];

/// Whether we speak `version` as a modern one.
pub fn is_modern_version(version: &str) -> bool {
    MODERN_VERSIONS.contains(&version)
}

/// Whether we speak `version` as a legacy one.
pub fn is_legacy_version(version: &str) -> bool {
    LEGACY_VERSIONS.contains(&version)
}

/// Whether `version` is a date on or after the first modern version, known to us or not.
pub fn looks_modern(version: &str) -> bool {
    let date = version.len() == 10
        && version.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    date && version >= MODERN_VERSIONS[MODERN_VERSIONS.len() - 1]
}

impl Era {
    /// The era of a request without a body: modern clients only post, so it is legacy unless the version
    /// header says otherwise.
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let modern = headers.get_all(header::PROTOCOL_VERSION).iter().any(|v| v.to_str().is_ok_and(looks_modern));
        if modern { Self::Modern } else { Self::Legacy }
    }

    /// The era of a posted message, decided in this order (`basic/versioning`, "dual-era servers"):
    ///
    /// 1. a protocol version in `params._meta`, of whatever value: modern, even for `initialize`;
    /// 2. `initialize` without one: legacy, whatever version it asks for;
    /// 3. a modern version in the header: modern (its `_meta` is missing, which is an error of its own);
    /// 4. everything else, with or without an older version in the header: legacy.
    pub fn of_message(headers: &HeaderMap, envelope: &Envelope<'_>, meta: &Meta<'_>) -> Self {
        if meta.protocol_version.is_some() {
            Self::Modern
        } else if envelope.method().is_some_and(|method| method == method::INITIALIZE) {
            Self::Legacy
        } else {
            Self::of_headers(headers)
        }
    }

    /// The version that `initialize` is answered with: the client's own if we speak it as a legacy one,
    /// else the newest legacy version. Never a modern one.
    pub fn negotiate_legacy(asked: Option<&str>) -> &'static str {
        LEGACY_VERSIONS.iter().copied().find(|known| asked == Some(known)).unwrap_or(LATEST_LEGACY)
    }
}

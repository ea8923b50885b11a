//! Caddy: an installed one would start as a service and take port 80, so it is unpacked into the cache.

use std::path::PathBuf;

use anyhow::Result;

use crate::unpacked::Unpacked;

const UNPACKED: Unpacked = Unpacked { name: "caddy", packages: &["caddy"], program: "usr/bin/caddy" };

/// Where Caddy is.
pub fn caddy_program() -> Option<PathBuf> {
    UNPACKED.found()
}

/// Fetches it.
pub(crate) fn unpack() -> Result<()> {
    UNPACKED.fetch()
}

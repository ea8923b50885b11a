//! Valkey 8: in Debian 12 only as a backport, so it is unpacked into the cache.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{Redis, unpacked::Unpacked};

/// Its libraries are those of Debian's `redis-server`, which is installed before.
const UNPACKED: Unpacked =
    Unpacked { name: "valkey", packages: &["valkey-server", "valkey-tools"], program: "usr/bin/valkey-server" };

/// Starts a Valkey, which is asked and handled as a Redis.
#[derive(Clone, Copy, Debug)]
pub struct Valkey;

impl Valkey {
    /// One that writes nothing to the disk.
    pub fn start() -> Result<Redis> {
        Self::with(&[])
    }

    /// One with further arguments of `valkey-server`.
    pub fn with(arguments: &[&str]) -> Result<Redis> {
        let program = program().context("no Valkey here: `cargo xtask test` fetches it")?;
        Redis::start_valkey(&program, arguments)
    }
}

/// On the path, or where [`unpack`] has put it.
pub(crate) fn program() -> Option<PathBuf> {
    UNPACKED.found()
}

/// Fetches it.
pub(crate) fn unpack() -> Result<()> {
    UNPACKED.fetch()
}

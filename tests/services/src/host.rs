//! Where programs and the cache are.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result};

/// The first program of that name on the path.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// Where developer commands keep what they install outside the system: `~/.cache/portico`.
pub fn cache() -> Result<PathBuf> {
    let dir = match variable("XDG_CACHE_HOME") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(variable("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(dir.join("portico"))
}

#[expect(clippy::disallowed_methods, reason = "developer commands and tests live in their caller's environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

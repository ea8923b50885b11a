//! What `cargo xtask e2e` says in the environment.

use std::path::{Path, PathBuf};

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    variable("BINARY").into()
}

/// Node.js.
pub(crate) fn node() -> PathBuf {
    variable("NODE").into()
}

/// The address of Chromium's `WebDriver` server.
pub(crate) fn webdriver() -> String {
    variable("WEBDRIVER")
}

/// The address of Firefox's.
pub(crate) fn firefox() -> String {
    variable("FIREFOX")
}

/// The address of WebKit's.
pub(crate) fn webkit() -> String {
    variable("WEBKIT")
}

/// Where an environment of `xtask/src/environments.rs` is installed.
pub(crate) fn environment(name: &str) -> PathBuf {
    variable(&format!("ENV_{}", name.replace('-', "_").to_uppercase())).into()
}

/// A path below `tests`.
pub(crate) fn tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[expect(clippy::disallowed_methods, reason = "how cargo xtask e2e passes on what it installed")]
fn variable(name: &str) -> String {
    let name = format!("E2E_{name}");
    std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask e2e`"))
}

//! What `cargo xtask backends` says in the environment.

use std::path::PathBuf;

/// The binary under test.
#[expect(clippy::disallowed_methods, reason = "how cargo xtask passes on what it built")]
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("TEST_BINARY").expect("TEST_BINARY is not set: run `cargo xtask backends`").into()
}

//! Where things are: the checkout, the build directory, the cache, the programs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// What the tasks know about the machine they run on.
pub(crate) struct Machine {
    /// The root of the checkout.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Outside the checkout: environments of clients and servers for the end-to-end tests.
    pub(crate) cache: PathBuf,
    path: Vec<PathBuf>,
}

impl Machine {
    /// Asks cargo and reads the environment.
    pub(crate) fn find() -> Result<Self> {
        let metadata = metadata(|command| command.no_deps())?;
        Ok(Self {
            root: metadata.workspace_root.into(),
            target: metadata.target_directory.into(),
            cache: services::cache()?,
            path: variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
        })
    }

    /// A `PATH` on which `first` comes before everything else.
    pub(crate) fn path_with(&self, first: &Path) -> Result<std::ffi::OsString> {
        let first = std::iter::once(first.to_path_buf());
        std::env::join_paths(first.chain(self.path.iter().cloned())).context("PATH")
    }
}

/// What cargo knows about the workspace, from the lock file as it is.
pub(crate) fn metadata(with: impl FnOnce(&mut MetadataCommand) -> &mut MetadataCommand) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    with(&mut command);
    command.exec().context("cargo metadata")
}

#[expect(clippy::disallowed_methods, reason = "developer commands live in their caller's environment")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

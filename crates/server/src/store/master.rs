//! The master keys that the operator gives.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use storage::{MasterKeySource, MasterKeys, StorageError};
use zeroize::Zeroizing;

use crate::config::MasterKeyConfig;

/// A file that is read again when a data key is wrapped by a master key that was not in it before.
#[derive(Debug)]
struct KeyFile(PathBuf);

impl MasterKeySource for KeyFile {
    fn read(&self) -> storage::Result<MasterKeys> {
        read(&self.0).map_err(|error| StorageError::unavailable(format!("{error:#}")))
    }
}

/// The ring in a file; what is wrong with it is said with the file's name.
pub(super) fn file(path: &Path) -> anyhow::Result<Arc<dyn MasterKeySource>> {
    read(path)?;
    Ok(Arc::new(KeyFile(path.to_owned())))
}

/// The ring that is configured.
pub(super) fn given(config: &MasterKeyConfig) -> anyhow::Result<Arc<dyn MasterKeySource>> {
    match config {
        MasterKeyConfig::Text(text) => {
            let keys = MasterKeys::parse(text.expose().as_bytes()).context("keys.master cannot be used")?;
            Ok(Arc::new(keys))
        }
        MasterKeyConfig::File(path) => file(path),
        MasterKeyConfig::DataDirectory => bail!("there is no master key: give keys.master_file"),
    }
}

fn read(path: &Path) -> anyhow::Result<MasterKeys> {
    let bytes = fs::read(path).map(Zeroizing::new).with_context(|| format!("{} cannot be read", path.display()))?;
    MasterKeys::parse(&bytes).with_context(|| format!("{} cannot be used", path.display()))
}

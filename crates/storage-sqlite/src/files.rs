//! The files of a database: readable by their owner only, whatever the umask says.

use std::{
    fs::{self, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Read and write for the owner.
const PRIVATE: u32 = 0o600;

/// Makes the file if there is none, and closes it and its companions to others. SQLite gives the
/// companions the mode of the file itself, so this comes before SQLite opens anything.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(path)?;
    for file in [path.to_owned(), companion(path, "-wal"), companion(path, "-shm")] {
        match fs::metadata(&file) {
            Ok(found) if found.permissions().mode() & 0o777 == PRIVATE => {}
            Ok(_) => fs::set_permissions(&file, Permissions::from_mode(PRIVATE))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

//! Files that appear under their name only when they are whole.

use std::{
    fs, io,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tokio::{
    fs::File,
    io::{AsyncWrite, AsyncWriteExt as _},
};

/// A file that is being written, 0600, beside its place; or standard output. What is not finished goes away.
#[derive(Debug)]
pub(crate) enum Draft {
    /// `-`.
    Stdout(File),
    /// A file.
    File(DraftFile),
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct DraftFile {
    file: File,
    beside: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Begins a file. One that is there already is never written over.
    pub(crate) fn begin(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            let output = io::stdout().as_fd().try_clone_to_owned().context("standard output cannot be written")?;
            return Ok(Self::Stdout(File::from_std(output.into())));
        }
        if fs::symlink_metadata(path).is_ok() {
            bail!("{} is there already, and is not written over", path.display());
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".partial");
        let beside = PathBuf::from(beside);
        let file = match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
                "{} is there: another run is writing it, or one was killed. If none is running, remove it",
                beside.display()
            ),
            opened => opened.with_context(|| format!("{} cannot be written", path.display()))?,
        };
        Ok(Self::File(DraftFile { file: file.into(), beside, path: path.to_owned() }))
    }

    /// Where to write.
    pub(crate) fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::Stdout(output) => output,
            Self::File(draft) => &mut draft.file,
        }
    }

    /// Gives the file its name, when all of it is on the disk.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut output) => output.flush().await.context("standard output cannot be written"),
            Self::File(mut draft) => {
                let named = draft.name().await;
                named.with_context(|| format!("{} cannot be written", draft.path.display()))
            }
        }
    }
}

impl DraftFile {
    async fn name(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        // A link, not a renaming: it fails if somebody else has taken the name in the meantime.
        fs::hard_link(&self.beside, &self.path)?;
        fs::remove_file(&self.beside)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        // There is nothing to remove after it was named.
        let _ = fs::remove_file(&self.beside);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    async fn write(path: &Path) -> anyhow::Result<Draft> {
        let mut draft = Draft::begin(path)?;
        draft.writer().write_all(b"text").await?;
        Ok(draft)
    }

    #[tokio::test]
    async fn a_file_is_whole_and_private_or_not_there() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("backup.data");
        let files = || fs::read_dir(home.path()).unwrap().count();
        drop(write(&path).await.unwrap());
        assert_eq!(files(), 0);
        let draft = write(&path).await.unwrap();
        assert!(!path.exists(), "not before it is whole");
        draft.finish().await.unwrap();
        assert_eq!((files(), fs::read(&path).unwrap().as_slice()), (1, b"text".as_slice()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn nothing_is_written_over() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("backup.data");
        let draft = write(&path).await.unwrap();
        assert!(write(&path).await.unwrap_err().to_string().contains("another run"));
        fs::write(&path, b"somebody else's").unwrap();
        assert!(draft.finish().await.is_err());
        assert!(write(&path).await.unwrap_err().to_string().contains("there already"));
        assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        assert!(write(&path).await.unwrap_err().to_string().contains("there already"), "a dangling link is something");
    }
}

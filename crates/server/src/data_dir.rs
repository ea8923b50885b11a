use std::{
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use model::Entropy;
use zeroize::Zeroizing;

/// The directory of the embedded store: the database, the wrapped keys apart from it, and the master key.
///
/// Invariant: the directory is 0700 and every file in it 0600; what is wider is narrowed, with a warning.
/// All of it belongs to whom this process runs as: a key that somebody else put there, they know.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// Held while a process serves from a directory.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "holding it is its use")] File);

impl DataDir {
    /// Makes the directory if it is not there, and closes it to others. One that is not ours, or has a file
    /// in it that is not, is refused.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.with_context(|| format!("the data directory {} cannot be made", path.display()))?;
        let path = fs::canonicalize(path).with_context(|| format!("{} cannot be opened", path.display()))?;
        let us = our_user(&path).with_context(|| cannot_write(&path))?;
        check_owner(&path, &fs::metadata(&path)?, us)?;
        narrow(&path, 0o700)?;
        // From here on nobody else can put anything there.
        for entry in fs::read_dir(&path).with_context(|| format!("{} cannot be read", path.display()))? {
            let entry = entry?;
            // Of a link, the link itself.
            let present = entry.metadata()?;
            if present.is_dir() {
                continue;
            }
            check_owner(&entry.path(), &present, us)?;
            if present.is_file() {
                narrow(&entry.path(), 0o600)?;
            }
        }
        let dir = Self(path);
        // SQLite gives its journals the mode of their database, so that one exists before it is opened.
        for database in [dir.database(), dir.keys()] {
            private().create(true).append(true).open(&database).with_context(|| cannot_write(&database))?;
        }
        Ok(dir)
    }

    /// Whether there is an installation at `path`. Makes nothing.
    pub fn exists(path: &Path) -> bool {
        Self(path.to_owned()).database().exists()
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("portico.db")
    }

    /// The wrapped data keys.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys.db")
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes the directory for this process, as long as the lock is held.
    pub fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.0.join("portico.lock");
        let file = private().create(true).append(true).open(&path).with_context(|| cannot_write(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => bail!(
                "another portico serves from {} already. Stop it first, or give this one a directory of its own \
                 with --data.",
                self.0.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }

    /// The file of the master keys; one is made when there is none. Of several processes that start at
    /// once, all get the same.
    pub fn master_key(&self, entropy: &dyn Entropy) -> anyhow::Result<PathBuf> {
        let path = self.0.join("master.key");
        if !path.exists() {
            self.make_master_key(&path, entropy).with_context(|| cannot_write(&path))?;
        }
        Ok(path)
    }

    /// Writes the key beside its place first: what appears there under its name is whole.
    fn make_master_key(&self, path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key);
        let draft = self.0.join(format!("master.key.{}", std::process::id()));
        let mut file = private().create(true).truncate(true).write(true).open(&draft)?;
        file.write_all(&*key)?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => linked?,
        }
        File::open(&self.0)?.sync_all()
    }
}

/// Whom this process runs as: the owner of a file that it makes.
fn our_user(path: &Path) -> io::Result<u32> {
    let probe = path.join(format!("owner.{}", std::process::id()));
    let made = private().create_new(true).write(true).open(&probe)?.metadata();
    fs::remove_file(&probe)?;
    made.map(|made| made.uid())
}

fn check_owner(path: &Path, present: &Metadata, us: u32) -> anyhow::Result<()> {
    let owner = present.uid();
    if owner != us {
        bail!(
            "{} belongs to user {owner}, and portico runs as user {us}: whoever made it may know or change what is \
             in it. Run as that user, give it to this one with chown, or choose another directory with --data.",
            path.display()
        );
    }
    Ok(())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn cannot_write(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

/// Takes away what others may do.
fn narrow(path: &Path, mode: u32) -> anyhow::Result<()> {
    let present = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    if present.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("{} is open to others and cannot be closed to them", path.display()))?;
        tracing::warn!(path = %path.display(), "others could read this; it is closed to them now");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::OsEntropy;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_closed_to_others() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let dir = DataDir::open(&path).unwrap();
        dir.master_key(&OsEntropy).unwrap();
        assert_eq!(mode(&path), 0o700);
        for file in fs::read_dir(&path).unwrap() {
            let file = file.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(path.join("master.key"), fs::Permissions::from_mode(0o644)).unwrap();
        DataDir::open(&path).unwrap();
        assert_eq!((mode(&path), mode(&path.join("master.key"))), (0o700, 0o600));
    }

    #[test]
    fn what_others_put_there_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let foreign = |path: &Path| std::os::unix::fs::lchown(path, Some(4711), None).is_ok();
        // A key that somebody made for us.
        let planted = parent.path().join("planted");
        fs::create_dir(&planted).unwrap();
        fs::write(planted.join("master.key"), [7; 32]).unwrap();
        // A database somewhere else.
        let linked = parent.path().join("linked");
        fs::create_dir(&linked).unwrap();
        std::os::unix::fs::symlink(parent.path().join("elsewhere"), linked.join("portico.db")).unwrap();
        let theirs = parent.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        for path in [&planted, &linked, &theirs] {
            DataDir::open(path).unwrap();
        }
        // Only root can give files away; others have nobody to try this with.
        if !(foreign(&planted.join("master.key")) && foreign(&linked.join("portico.db")) && foreign(&theirs)) {
            return;
        }
        for path in [&planted, &linked, &theirs] {
            let refused = DataDir::open(path).unwrap_err().to_string();
            assert!(refused.contains("belongs to user 4711"), "{refused}");
        }
    }

    #[test]
    fn the_master_key_is_made_once() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        dir.master_key(&OsEntropy).unwrap();
        let first = fs::read(parent.path().join("master.key")).unwrap();
        dir.master_key(&OsEntropy).unwrap();
        dir.make_master_key(&parent.path().join("master.key"), &OsEntropy).unwrap();
        assert_eq!(fs::read(parent.path().join("master.key")).unwrap(), first);
    }

    #[test]
    fn one_process_serves_from_it() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        let lock = dir.lock().unwrap();
        assert!(dir.lock().unwrap_err().to_string().contains("another portico"));
        drop(lock);
        dir.lock().unwrap();
    }
}

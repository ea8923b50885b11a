//! The file of master keys: adding one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::Path,
};

use anyhow::{Context as _, bail};
use model::{Clock, Entropy};
use storage::{MasterId, MasterKey, MasterKeys};
use zeroize::Zeroizing;

/// Appends a fresh master key, which wraps from then on, and returns its id. The file is replaced as a whole: who
/// reads it meanwhile reads the old or the new one. A file of 32 bytes becomes a text.
pub(crate) fn append(path: &Path, clock: &dyn Clock, entropy: &dyn Entropy) -> anyhow::Result<MasterId> {
    let old = fs::read(path).map(Zeroizing::new).with_context(|| format!("{} cannot be read", path.display()))?;
    let ring = MasterKeys::parse(&old).with_context(|| format!("{} cannot be used", path.display()))?;
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut *key);
    let id = MasterKey::new(*key).id();
    // Room for everything from the start: what grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(old.len() + 512));
    if let Ok(only) = <&[u8; 32]>::try_from(old.as_slice()) {
        text.extend_from_slice(
            b"# The last key wraps, all of them unwrap. `portico keys status` says which are needed.\n",
        );
        write_line(&mut text, only, &format!("{}", ring.newest().id()));
    } else {
        text.extend_from_slice(&old);
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
    }
    write_line(&mut text, &key, &format!("{id}, made {}", clock.now()));
    replace(path, &text).with_context(|| format!("{} cannot be replaced", path.display()))?;
    Ok(id)
}

fn write_line(text: &mut Vec<u8>, key: &[u8; 32], note: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in key {
        text.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    text.extend_from_slice(format!(" # {note}\n").as_bytes());
}

/// Writes a file beside its place first: what appears there under its name is whole.
fn replace(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".next");
    let beside = Path::new(&beside);
    let present = fs::metadata(path)?;
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
            "{} is there: another rotation is running, or one was killed. If none is running, remove it",
            beside.display()
        ),
        opened => opened?,
    };
    let written = file
        .write_all(text)
        // Whoever could read it can go on reading it, also when somebody else rotates.
        .and_then(|()| fchown(&file, Some(present.uid()), Some(present.gid())))
        .and_then(|()| file.set_permissions(present.permissions()))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(beside, path));
    if let Err(error) = written {
        let _ = fs::remove_file(beside);
        return Err(error.into());
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use model::{OsEntropy, SystemClock};

    use super::*;

    #[test]
    fn a_key_is_added_and_the_others_stay() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("master.key");
        fs::write(&path, [7; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let add = || append(&path, &SystemClock, &OsEntropy).unwrap();
        let (second, third) = (add(), add());
        let ring = MasterKeys::parse(&fs::read(&path).unwrap()).unwrap();
        let ids: Vec<_> = ring.iter().map(MasterKey::id).collect();
        assert_eq!(ids, [MasterKey::new([7; 32]).id(), second, third]);
        // Each line says which key it is.
        let text = fs::read_to_string(&path).unwrap();
        assert!(ids.iter().all(|id| text.contains(&format!(" # {id}"))), "{}", text.lines().count());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_ring_or_is_being_changed_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("master.key");
        fs::write(&path, "words").unwrap();
        assert!(append(&path, &SystemClock, &OsEntropy).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"words");
        fs::write(&path, [7; 32]).unwrap();
        fs::write(home.path().join("master.key.next"), b"").unwrap();
        let refused = append(&path, &SystemClock, &OsEntropy).unwrap_err();
        assert!(format!("{refused:#}").contains("another rotation is running"), "{refused:#}");
        assert_eq!(fs::read(&path).unwrap(), [7; 32]);
    }
}

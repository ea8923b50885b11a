use std::os::unix::fs::PermissionsExt as _;

use model::{ManualClock, SeededEntropy, TenantId};

use super::*;

fn header() -> Header {
    let (portico, version) = ("data".to_owned(), "0.1.0".to_owned());
    Header { portico, format: FORMAT, backup: "00ff".to_owned(), schema: 1, taken_at: 2, version }
}

fn owners() -> [Owner; 2] {
    let (clock, entropy) = (ManualClock::at(Timestamp::from_seconds(1_795_181_820)), SeededEntropy::new(1));
    [(); 2].map(|()| Owner::Tenant(TenantId::new(&clock, &entropy)))
}

fn file() -> KeysFile {
    let [acme, beta] = owners();
    let key = |owner, id, master: Option<u8>| {
        let (master, active_from) = (master.map(|byte| MasterId([byte; 8])), Timestamp::from_millis(i64::from(id)));
        ((owner, id), WrappedKey { owner, id, master, active_from, wrapped: vec![7; 77] })
    };
    let keys = [key(Owner::Platform, 1, None), key(acme, 1, Some(1)), key(acme, 2, Some(0xff)), key(beta, 1, Some(2))];
    KeysFile { header: header(), keys: keys.into() }
}

async fn written() -> Vec<u8> {
    let mut bytes = Vec::new();
    file().write(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn keys_come_back_as_they_were() {
    let bytes = written().await;
    let read = KeysFile::read(&mut bytes.as_slice()).await.unwrap();
    assert_eq!(read.keys, file().keys);
    assert_eq!(read.header, Header { portico: "keys".to_owned(), ..header() });
}

#[tokio::test]
async fn nothing_else_is_a_keys_file() {
    let text = String::from_utf8(written().await).unwrap();
    let read = async |text: &str| KeysFile::read(&mut text.as_bytes()).await.map(|_| ()).unwrap_err().to_string();
    let cut = "the keys file is cut off: its end is missing";
    let (but_the_end, _) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(read(&format!("{but_the_end}\n")).await, cut);
    assert_eq!(read(text.trim_end()).await, cut);
    let twice = text.replace("\"id\":2", "\"id\":1");
    assert_eq!(read(&twice).await, "the keys file is damaged at line 4: this key was there already");
    let strange = text.replace("\"owner\":\"platform\"", "\"owner\":\"nobody\"");
    assert_eq!(read(&strange).await, "the keys file is damaged at line 2: it is no key");
    assert!(read(&format!("{text}{{}}\n")).await.ends_with("there is something after the end"));
}

#[tokio::test]
async fn an_owner_can_be_removed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("portico.keys");
    fs::write(&path, written().await).unwrap();
    fs::hard_link(&path, home.path().join("before")).unwrap();
    let [acme, _] = owners();
    assert_eq!(remove_owner(&path, acme).unwrap(), 2);
    assert_eq!(remove_owner(&path, acme).unwrap(), 0);
    let left = KeysFile::read(&mut fs::read(&path).unwrap().as_slice()).await.unwrap();
    let mut expected = file().keys;
    expected.retain(|(owner, _), _| *owner != acme);
    assert_eq!((left.keys, left.header.backup), (expected, header().backup));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What was there is overwritten, wherever else it is still reached.
    assert!(fs::read(home.path().join("before")).unwrap().iter().all(|byte| *byte == 0));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
}

/// Whoever could read the file can go on doing so, also when root has shredded.
#[tokio::test]
async fn a_shortened_file_stays_whose_it_was() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("portico.keys");
    fs::write(&path, written().await).unwrap();
    let ours = fs::metadata(&path).unwrap();
    // Only root can give files away; anybody else's stays their own.
    let (uid, gid) = if ours.uid() == 0 { (1234, 4321) } else { (ours.uid(), ours.gid()) };
    std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
    assert_eq!(remove_owner(&path, owners()[0]).unwrap(), 2);
    let after = fs::metadata(&path).unwrap();
    assert_ne!(after.ino(), ours.ino(), "it is another file");
    assert_eq!((after.uid(), after.gid(), after.mode() & 0o777), (uid, gid, 0o600));
}

#[tokio::test]
async fn only_a_keys_file_is_changed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("other");
    let text = String::from_utf8(written().await).unwrap();
    let [acme, _] = owners();
    for other in [
        "",
        "some text\n",
        &text.replace("\"portico\":\"keys\"", "\"portico\":\"data\""),
        &text.replace("\"format\":1", "\"format\":2"),
        text.trim_end(),
        &text.replace("\"wrapped\":\"", "\"wrapped\":\"*"),
    ] {
        fs::write(&path, other).unwrap();
        assert!(remove_owner(&path, acme).is_err(), "{other:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
    assert!(matches!(remove_owner(&home.path().join("none"), acme), Err(ArchiveError::Read(File::Keys, _))));
}

#[tokio::test]
async fn the_keys_of_a_backup_are_only_read() {
    let keys = ArchivedKeys(file().keys);
    let [acme, beta] = owners();
    let all = keys.owners(None, 10).await.unwrap();
    assert_eq!((all.len(), keys.count_owners().await.unwrap()), (3, 3));
    assert_eq!(keys.owners(Some(all[0]), 1).await.unwrap(), all[1..2]);
    assert_eq!(keys.load(acme).await.unwrap().len(), 2);
    assert_eq!(keys.masters().await.unwrap().len(), 4);
    assert!(keys.remove(beta, 1).await.is_err() && keys.shred(beta).await.is_err());
    assert!(keys.insert(&file().keys[&(beta, 1)]).await.is_err());
}

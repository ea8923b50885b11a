//! What is refused. After each refusal the target is as empty as before.

use super::*;
use crate::{
    WrappedKeys as _,
    archive::{ArchiveError, File, OLDEST},
};

/// Where a file is cut and changed: at `trials` places, evenly spread over the beginnings of its lines and others.
fn places(bytes: &[u8], trials: usize) -> Vec<usize> {
    let lines = (1..bytes.len()).filter(|at| bytes[at - 1] == b'\n');
    let mut places: Vec<usize> = (0..bytes.len()).step_by(499).chain(lines).collect();
    places.sort_unstable();
    let step = places.len().div_ceil(trials);
    places.into_iter().step_by(step).chain([bytes.len() - 1]).collect()
}

/// That nothing was left: neither a row nor a key.
async fn assert_empty(target: &Target, what: &str) {
    let filled: Vec<_> = dump(&*target.archive).await.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
    assert!(filled.is_empty(), "{what}: {filled:?}");
    assert_eq!(target.keys.count_owners().await.unwrap(), 0, "{what}");
}

pub(in super::super) async fn cut_and_changed_files(from: Box<dyn Home>, to: Box<dyn Home>, trials: usize) {
    let source = Installation::new(from, 1).await;
    let files = source.backup().await;
    let target = Target::new(&*to).await;
    let (data, keys) = (files.data.as_bytes(), files.keys.as_bytes());
    let refused = async |data: &[u8], keys: &[u8], what: String| {
        let restored = target.restore_with(&source, source.master.clone(), data, keys, None).await;
        assert!(restored.is_err(), "{what}");
        restored.unwrap_err()
    };
    for at in places(data, trials) {
        refused(&data[..at], keys, format!("data cut at {at}")).await;
        let mut changed = data.to_vec();
        changed[at] ^= 1;
        refused(&changed, keys, format!("data changed at {at}")).await;
    }
    for at in places(keys, trials) {
        refused(data, &keys[..at], format!("keys cut at {at}")).await;
        let mut changed = keys.to_vec();
        changed[at] ^= 1;
        refused(data, &changed, format!("keys changed at {at}")).await;
    }
    let more = refused(&[data, b"[]\n"].concat(), keys, "more data".to_owned()).await;
    assert!(matches!(more, ArchiveError::Damaged { file: File::Data, .. }), "{more:?}");
    let more = refused(data, &[keys, b"{}\n"].concat(), "more keys".to_owned()).await;
    assert!(matches!(more, ArchiveError::Damaged { file: File::Keys, .. }), "{more:?}");
    let cut = refused(&data[..data.len() - 1], keys, "one byte".to_owned()).await;
    assert_eq!(cut.to_string(), "the data file is cut off: its end is missing");
    // A row that was added by somebody who can count, but has no key.
    let forged = files.forged(&Installation::new_sealer(2).await, |_, line| Some(line)).await;
    let forged = refused(forged.data.as_bytes(), keys, "an end sealed by somebody else".to_owned()).await;
    assert!(matches!(forged, ArchiveError::Changed), "{forged:?}");
    assert_empty(&target, "after all of them").await;
    target.restore(&source, &files, None).await.unwrap();
}

pub(in super::super) async fn foreign_files_and_keys(from: impl AsyncFn() -> Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from().await, 1).await;
    let other = Installation::new(from().await, 2).await;
    let (files, others) = (source.backup().await, other.backup().await);
    let target = Target::new(&*to).await;
    let refused = async |files: &Files| target.restore(&source, files, None).await.unwrap_err();

    let exchanged = Files { data: files.keys.clone(), keys: files.keys.clone() };
    assert!(matches!(refused(&exchanged).await, ArchiveError::Exchanged(File::Keys)));
    let exchanged = Files { data: files.data.clone(), keys: files.data.clone() };
    assert!(matches!(refused(&exchanged).await, ArchiveError::Exchanged(File::Data)));
    for nothing in ["", "\n", "some text\n"] {
        let foreign = Files { data: files.data.clone(), keys: nothing.to_owned() };
        assert!(matches!(refused(&foreign).await, ArchiveError::Foreign(File::Keys)), "{nothing:?}");
    }

    // Keys of another installation, and of another backup of this one.
    source.world.clock.advance(super::super::world::HOUR / 2);
    let later = source.backup().await;
    for keys in [others.keys.clone(), later.keys.clone()] {
        let mixed = Files { data: files.data.clone(), keys };
        assert!(matches!(refused(&mixed).await, ArchiveError::Unpaired));
    }
    // Even if the header says otherwise.
    let (header, _) = files.keys.split_once('\n').unwrap();
    let (_, rest) = others.keys.split_once('\n').unwrap();
    let mixed = Files { data: files.data.clone(), keys: format!("{header}\n{rest}") };
    assert!(matches!(refused(&mixed).await, ArchiveError::OtherKeys));

    let none = files.without(Owner::Platform);
    assert!(matches!(refused(&none).await, ArchiveError::NoPlatformKey));
    let master = Arc::new(MasterKeys::from(MasterKey::new([9; 32])));
    let (data, keys) = (files.data.as_bytes(), files.keys.as_bytes());
    let wrong = target.restore_with(&source, master, data, keys, None).await.unwrap_err();
    assert!(matches!(wrong, ArchiveError::MasterKey(_)), "{wrong:?}");
    // One key of several of an owner.
    let tenant = source.tenant().await;
    let renamed =
        files.keys.replace(&format!("\"owner\":\"{tenant}\",\"id\":1"), &format!("\"owner\":\"{tenant}\",\"id\":2"));
    let renamed = Files { data: files.data.clone(), keys: renamed };
    assert!(matches!(refused(&renamed).await, ArchiveError::MasterKey(owner) if owner == tenant));
    assert_empty(&target, "after all of them").await;
}

pub(in super::super) async fn other_versions(from: Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from, 1).await;
    let files = source.backup().await;
    let target = Target::new(&*to).await;
    let refused = async |files: Files| {
        let files = Files { keys: files.keys.replacen(&schema_of(&files.keys), &schema_of(&files.data), 1), ..files };
        target.restore(&source, &files, None).await.unwrap_err()
    };
    let header = async |name: &str, value: Value| {
        let change = |_: &str, mut line: Value| {
            if line["portico"] == "data" {
                line[name] = value.clone();
            }
            Some(line)
        };
        files.forged(&source.sealer, change).await
    };
    let newer = refused(header("schema", 99_990_101_000_000_i64.into()).await).await.to_string();
    assert!(newer.contains("99990101000000, written by portico 0.1.0; this version knows 2026"), "{newer}");
    let older = refused(header("schema", (OLDEST - 1).into()).await).await;
    assert!(matches!(older, ArchiveError::Older { .. }), "{older:?}");
    let format = refused(header("format", 2.into()).await).await;
    assert!(matches!(format, ArchiveError::Format { file: File::Data, found: 2, known: 1 }), "{format:?}");
    for (from, to) in
        [("\"setup\"", "\"_sqlx_migrations\""), ("\"handle\"", "\"handle\\\" --\""), ("\"role\"", "\"user\"")]
    {
        let change = |_: &str, line: Value| Some(serde_json::from_str(&line.to_string().replace(from, to)).unwrap());
        let strange = refused(files.forged(&source.sealer, change).await).await;
        assert!(matches!(strange, ArchiveError::Damaged { file: File::Data, .. }), "{to}: {strange:?}");
    }
    assert_empty(&target, "after all of them").await;
}

pub(in super::super) async fn what_is_not_empty(from: impl AsyncFn() -> Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from().await, 1).await;
    let files = source.backup().await;
    let there = Installation::new(to, 2).await;
    let before = dump(&*there.home.archive().await).await;
    let target = Target { archive: there.home.archive().await, keys: Arc::default() };
    let refused = target.restore(&source, &files, None).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::NotEmpty("canary")), "{refused:?}");
    assert_eq!(dump(&*target.archive).await, before);
    assert_eq!(target.keys.count_owners().await.unwrap(), 0);

    // By a clock that is as late as one may be.
    let seen_at = source.world.now() - crate::SKEW;
    let replica = crate::repo::Replica { id: there.world.id(), seen_at, position: 0 };
    there.repos.replicas.beat(&replica).await.unwrap();
    let refused = target.restore(&source, &files, None).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::Served(1)), "{refused:?}");
}

/// Keys that a restore which was killed has left are no obstacle; others are.
pub(in super::super) async fn other_keys_in_the_target(from: Box<dyn Home>, to: Box<dyn Home>) {
    let source = Installation::new(from, 1).await;
    let files = source.backup().await;
    let target = Target::new(&*to).await;
    let ours = source.keys.load(Owner::Platform).await.unwrap().remove(0);
    let other = crate::WrappedKey { wrapped: vec![1; 77], ..ours.clone() };
    target.keys.insert(&other).await.unwrap();
    let refused = target.restore(&source, &files, None).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::NotEmpty("the wrapped keys")), "{refused:?}");
    target.keys.shred(Owner::Platform).await.unwrap();
    target.keys.insert(&ours).await.unwrap();
    target.restore(&source, &files, None).await.unwrap();
}

impl Installation {
    /// What seals in another installation.
    async fn new_sealer(master: u8) -> Sealer {
        let (clock, entropy) = (World::new().clock, Arc::new(SeededEntropy::new(31)));
        let master = Arc::new(MasterKeys::from(MasterKey::new([master; 32])));
        Sealer::open_ring(master, Arc::new(MemoryKeys::default()), clock, entropy).await.unwrap()
    }
}

use std::fmt::Write as _;

use model::{ManualClock, SeededEntropy, SystemClock, TenantId};

use super::{rings::KEPT, *};
use crate::conformance::{MemoryKeys, sealer};

fn tenants<const N: usize>() -> [Owner; N] {
    let (clock, entropy) = (ManualClock::at(Timestamp::from_seconds(1)), SeededEntropy::new(9));
    [(); N].map(|()| Owner::Tenant(TenantId::new(&clock, &entropy)))
}

async fn over(keys: &Arc<MemoryKeys>, master: u8, seed: u64) -> Result<Sealer> {
    let (master, clock) = (MasterKeys::from(MasterKey::new([master; 32])), Arc::new(SystemClock));
    Sealer::open_ring(Arc::new(master), keys.clone(), clock, Arc::new(SeededEntropy::new(seed))).await
}

fn is_damaged<T: fmt::Debug>(result: &Result<T>) -> bool {
    matches!(result, Err(StorageError::Damaged { .. }))
}

#[tokio::test]
async fn a_value_opens_for_its_owner_and_place_only() {
    let (sealer, [acme, beta]) = (sealer().await, tenants());
    // Both have keys, so that a refusal is not for want of one.
    sealer.seal(beta, b"here", b"other").await.unwrap();
    let value = sealer.seal(acme, b"here", b"secret").await.unwrap();
    assert_eq!(sealer.open(acme, b"here", &value).await.unwrap().as_slice(), b"secret");
    assert!(is_damaged(&sealer.open(acme, b"there", &value).await));
    assert!(is_damaged(&sealer.open(beta, b"here", &value).await));
    assert!(is_damaged(&sealer.open(Owner::Platform, b"here", &value).await));
}

#[tokio::test]
async fn a_column_opens_in_its_row_only_and_is_no_value() {
    let (sealer, [acme]) = (sealer().await, tenants());
    let at = ColumnPlace { owner: acme, table: "connection", column: "client_secret", row: b"1" };
    let value = sealer.seal_column(at, b"secret").await.unwrap();
    assert_eq!(sealer.open_column(at, &value).await.unwrap().as_slice(), b"secret");
    for moved in [
        ColumnPlace { row: b"2", ..at },
        ColumnPlace { column: "endpoints", ..at },
        ColumnPlace { table: "user", ..at },
        ColumnPlace { table: "connectio", column: "nclient_secret", ..at },
        ColumnPlace { owner: Owner::Platform, ..at },
    ] {
        assert!(is_damaged(&sealer.open_column(moved, &value).await), "{moved:?}");
    }
    assert!(is_damaged(&sealer.open(acme, b"1", &value).await));
}

#[tokio::test]
async fn a_cut_or_foreign_value_is_damaged() {
    let (sealer, [acme]) = (sealer().await, tenants());
    let value = sealer.seal(acme, b"here", b"secret").await.unwrap();
    for cut in 0..value.len() {
        assert!(is_damaged(&sealer.open(acme, b"here", &value[..cut]).await), "{cut}");
    }
    let mut of_an_unknown_key = value.clone();
    of_an_unknown_key[4] = 9;
    let mut of_another_version = value;
    of_another_version[0] = 2;
    for foreign in [of_an_unknown_key, of_another_version] {
        assert!(is_damaged(&sealer.open(acme, b"here", &foreign).await));
    }
}

#[derive(Default)]
struct Lines(std::sync::Mutex<Vec<String>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, of: &tracing::Metadata<'_>) -> bool {
        of.is_event() && of.target().starts_with("storage")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields<'a>(&'a mut String);
        impl tracing::field::Visit for Fields<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                let _ = write!(self.0, "{field}={value:?} ");
            }
        }
        let mut line = String::new();
        event.record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn a_damaged_value_is_logged_once_and_the_next_one_too() {
    let (sealer, [acme]) = (sealer().await, tenants());
    let value = sealer.seal(acme, b"here", b"secret").await.unwrap();
    let lines = Arc::new(Lines::default());
    let _guard = tracing::dispatcher::set_default(&tracing::Dispatch::new(lines.clone()));
    for _ in 0..10 {
        for there in [b"there".as_slice(), b"elsewhere"] {
            assert!(is_damaged(&sealer.open(acme, there, &value).await));
        }
        sealer.open(acme, b"here", &value).await.unwrap();
    }
    let lines = lines.0.lock().unwrap();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains(&acme.to_string()) && line.contains("damaged")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("secret") && !line.contains("here")), "{lines:?}");
}

#[tokio::test]
async fn a_wrong_master_key_is_refused_at_once() {
    let keys = Arc::new(MemoryKeys::default());
    over(&keys, 1, 1).await.unwrap();
    let wrong = over(&keys, 2, 2).await.unwrap_err();
    assert!(matches!(wrong, StorageError::WrongMasterKey { wanted: Some(_) }));
    assert!(wrong.to_string().contains("the master key does not open"), "{wrong}");
    assert_eq!(keys.load(Owner::Platform).await.unwrap().len(), 1, "and nothing was written");
    over(&keys, 1, 3).await.unwrap();
}

#[tokio::test]
async fn a_key_that_was_given_to_another_owner_does_not_open() {
    let (keys, [acme, beta]) = (Arc::new(MemoryKeys::default()), tenants());
    over(&keys, 1, 1).await.unwrap().seal(acme, b"here", b"secret").await.unwrap();
    let stolen = keys.load(acme).await.unwrap().remove(0);
    keys.insert(&WrappedKey { owner: beta, ..stolen.clone() }).await.unwrap();
    keys.insert(&WrappedKey { id: 2, ..stolen }).await.unwrap();
    let sealer = over(&keys, 1, 2).await.unwrap();
    for owner in [acme, beta] {
        assert!(is_damaged(&sealer.seal(owner, b"here", b"secret").await), "{owner}");
    }
}

#[tokio::test]
async fn two_replicas_use_one_key_for_a_new_owner() {
    let (keys, [acme]) = (Arc::new(MemoryKeys::default()), tenants());
    let (one, two) = (over(&keys, 1, 1).await.unwrap(), over(&keys, 1, 2).await.unwrap());
    let (first, second) = tokio::join!(one.seal(acme, b"here", b"1"), two.seal(acme, b"here", b"2"));
    assert_eq!(two.open(acme, b"here", &first.unwrap()).await.unwrap().as_slice(), b"1");
    assert_eq!(one.open(acme, b"here", &second.unwrap()).await.unwrap().as_slice(), b"2");
    assert_eq!(keys.load(acme).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_another_replica_added_is_found() {
    let (keys, [acme]) = (Arc::new(MemoryKeys::default()), tenants());
    let reader = over(&keys, 1, 1).await.unwrap();
    let old = reader.seal(acme, b"here", b"old").await.unwrap();
    let second = (2, Timestamp::from_seconds(1));
    let second = WrappedKey::wrap(&MasterKey::new([1; 32]), acme, second, &[7; 32], &SeededEntropy::new(3));
    keys.insert(&second).await.unwrap();
    let writer = over(&keys, 1, 2).await.unwrap();
    let new = writer.seal(acme, b"here", b"new").await.unwrap();
    assert_eq!(aead::key_id(&new), Ok(2), "the newest seals");
    assert_eq!(reader.open(acme, b"here", &new).await.unwrap().as_slice(), b"new");
    assert_eq!(writer.open(acme, b"here", &old).await.unwrap().as_slice(), b"old");
}

#[tokio::test]
async fn what_was_shredded_stays_shut() {
    let (keys, [acme, beta]) = (Arc::new(MemoryKeys::default()), tenants());
    let sealer = over(&keys, 1, 1).await.unwrap();
    let lost = sealer.seal(acme, b"here", b"secret").await.unwrap();
    let kept = sealer.seal(beta, b"here", b"secret").await.unwrap();
    sealer.shred(acme).await.unwrap();
    assert!(is_damaged(&sealer.open(acme, b"here", &lost).await));
    assert!(keys.load(acme).await.unwrap().is_empty(), "opening makes no key");
    sealer.seal(acme, b"here", b"anew").await.unwrap();
    assert!(is_damaged(&sealer.open(acme, b"here", &lost).await));
    assert_eq!(sealer.open(beta, b"here", &kept).await.unwrap().as_slice(), b"secret");
}

#[tokio::test]
async fn derived_keys_are_apart_and_survive_restarts() {
    let keys = Arc::new(MemoryKeys::default());
    let (one, two) = (over(&keys, 1, 1).await.unwrap(), over(&keys, 1, 2).await.unwrap());
    let (one, two) = (Arc::new(one), Arc::new(two));
    let derive = |from: &Arc<Sealer>, purpose| Derived::new(from, purpose, |key| *key).newest(|_, key| *key);
    let csrf = derive(&one, "csrf");
    assert_eq!(csrf, derive(&two, "csrf"));
    assert_ne!(csrf, derive(&one, "session-id"));
    assert_ne!(csrf, derive(&sealer().await, "csrf"), "another installation has others");
}

#[tokio::test]
async fn keys_in_memory_are_bounded_and_the_last_used_stay() {
    let sealer = sealer().await;
    let owners: [Owner; KEPT + 10] = tenants();
    for owner in owners {
        sealer.seal(owner, b"here", b"secret").await.unwrap();
        assert!(sealer.rings.len() <= KEPT);
    }
    assert!(sealer.rings.get(owners[KEPT + 9]).is_some());
    assert!(sealer.rings.get(owners[0]).is_none());
}

#[test]
fn keys_loaded_before_a_shred_are_not_kept_after_it() {
    let ([acme], rings) = (tenants(), Rings::default());
    let (master, always) = (MasterKey::new([1; 32]), (1, Timestamp::default()));
    let first = WrappedKey::wrap(&master, acme, always, &[7; 32], &SeededEntropy::new(1));
    let ring = Arc::new(Ring::unwrap(&master.into(), acme, &[first]).unwrap().unwrap());
    let era = rings.era();
    rings.forget(acme);
    rings.keep(acme, &ring, era);
    assert!(rings.get(acme).is_none());
}

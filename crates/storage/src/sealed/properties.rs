//! What is sealed opens where it was sealed, and nowhere else, for any value and place.

use std::sync::LazyLock;

use model::{TenantId, UserId};
use proptest::prelude::*;
use tokio::runtime::{self, Runtime};

use super::*;
use crate::{ColumnPlace, Durability, Memory, Owner, Split, conformance::sealer};

struct Stand {
    runtime: Runtime,
    memory: Arc<Memory>,
    store: Sealed<Split>,
    sealer: Arc<Sealer>,
}

/// One for all cases. Every owner has a key, so that no refusal is for want of one.
static STAND: LazyLock<Stand> = LazyLock::new(|| {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let clock = Arc::new(model::ManualClock::at(Timestamp::from_seconds(1)));
    let memory = Arc::new(Memory::new(clock));
    let sealer = runtime.block_on(sealer());
    for owner in owners() {
        runtime.block_on(sealer.seal(owner, b"", b"")).unwrap();
    }
    let store = Sealed::new(Split::new(memory.clone(), memory.clone()), sealer.clone());
    Stand { runtime, memory, store, sealer }
});

/// Some of one id, which is not the same owner as of another kind.
fn owners() -> [Owner; 5] {
    let id = |byte| TenantId::from_bytes(&[byte; 16]).unwrap();
    let user = |byte| Owner::User(UserId::from_uuid(id(byte).uuid()));
    [Owner::Platform, Owner::Tenant(id(1)), Owner::Tenant(id(2)), user(1), user(2)]
}

/// Where a value is, but for its format and expiry.
#[derive(Clone, Debug, PartialEq)]
struct Where {
    owner: Owner,
    name: &'static str,
    key: String,
    format: u8,
    keep: Option<i64>,
}

impl Where {
    fn place(&self) -> Place<'_> {
        let collection =
            Collection { name: self.name, durability: Durability::Durable, format: self.format, reads: &[] };
        Place { owner: self.owner, collection, key: &self.key }
    }

    fn keep(&self) -> Keep {
        self.keep.map_or(Keep::Forever, |millis| Keep::Until(Timestamp::from_millis(millis)))
    }
}

fn anywhere() -> impl Strategy<Value = Where> {
    const NAMES: &[&str] = &["a", "aa", "aaa", "session", "sign-in"];
    let keeps = prop::option::of(prop_oneof![Just(1_001), Just(2_000), 1_001..i64::MAX]);
    let keys = prop_oneof!["[ab/]{0,3}", any::<String>()];
    (prop::sample::select(owners().to_vec()), prop::sample::select(NAMES), keys, 0..4_u8, keeps)
        .prop_map(|(owner, name, key, format, keep)| Where { owner, name, key, format, keep })
}

/// What somebody does to stored bytes.
#[derive(Clone, Debug)]
enum Harm {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Lengthen(u8),
}

impl Harm {
    fn done_to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Lengthen(byte) => bytes.push(*byte),
        }
        bytes
    }
}

fn harms() -> impl Strategy<Value = Harm> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Harm::Cut),
        (any::<prop::sample::Index>(), 0..8_u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        any::<u8>().prop_map(Harm::Lengthen),
    ]
}

async fn read(at: &Where) -> Result<Option<Vec<u8>>> {
    Ok(STAND.store.get(at.place()).await?.map(|entry| entry.value.to_vec()))
}

fn is_damaged<T>(result: &Result<T>) -> bool {
    matches!(result, Err(StorageError::Damaged { .. }))
}

proptest! {
    #[test]
    fn a_value_opens_only_where_and_as_it_was_sealed(
        here in anywhere(), there in anywhere(), value: Vec<u8>, harm in harms(),
    ) {
        let Stand { runtime, memory, store, .. } = &*STAND;
        runtime.block_on(async {
            store.put(here.place(), &value, here.keep()).await.unwrap();
            let sealed = memory.get(here.place()).await.unwrap().unwrap().value;
            prop_assert!(value.len() < 8 || !sealed.windows(value.len()).any(|window| window == value));
            prop_assert_eq!(read(&here).await.unwrap(), Some(value.clone()));

            memory.put(here.place(), &harm.done_to(&sealed), here.keep()).await.unwrap();
            prop_assert!(is_damaged(&read(&here).await), "{harm:?}");
            prop_assert!(is_damaged(&store.take(here.place()).await), "{harm:?}");

            memory.put(there.place(), &sealed, there.keep()).await.unwrap();
            let found = read(&there).await;
            memory.delete(there.place()).await.unwrap();
            if here == there {
                prop_assert_eq!(found.unwrap(), Some(value));
            } else {
                prop_assert!(is_damaged(&found), "{here:?} {there:?}");
            }
            Ok(())
        })?;
    }

    /// One thing changed at a time: what two random places seldom differ in alone.
    #[test]
    fn no_single_part_of_a_place_can_be_changed(here in anywhere(), there in anywhere(), value: Vec<u8>) {
        let Stand { runtime, memory, store, .. } = &*STAND;
        runtime.block_on(async {
            store.put(here.place(), &value, here.keep()).await.unwrap();
            let sealed = memory.take(here.place()).await.unwrap().unwrap().value;
            let moved = [
                Where { owner: there.owner, ..here.clone() },
                Where { name: there.name, ..here.clone() },
                Where { key: there.key.clone(), ..here.clone() },
                Where { format: there.format, ..here.clone() },
                Where { keep: there.keep, ..here.clone() },
            ];
            for moved in moved.iter().filter(|moved| **moved != here) {
                memory.put(moved.place(), &sealed, moved.keep()).await.unwrap();
                prop_assert!(is_damaged(&read(moved).await), "{here:?} {moved:?}");
                memory.delete(moved.place()).await.unwrap();
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_column_opens_only_in_its_row(
        owner in prop::sample::select(owners().to_vec()), other in prop::sample::select(owners().to_vec()),
        row: Vec<u8>, another: Vec<u8>, value: Vec<u8>, harm in harms(),
    ) {
        let Stand { runtime, sealer, .. } = &*STAND;
        let here = ColumnPlace { owner, table: "connection", column: "client_secret", row: &row };
        runtime.block_on(async {
            let sealed = sealer.seal_column(here, &value).await.unwrap();
            prop_assert_eq!(sealer.open_column(here, &sealed).await.unwrap().to_vec(), value);
            prop_assert!(is_damaged(&sealer.open_column(here, &harm.done_to(&sealed)).await), "{harm:?}");
            let mut moved = vec![
                ColumnPlace { table: "user", ..here },
                ColumnPlace { column: "endpoints", ..here },
                ColumnPlace { table: "connectio", column: "nclient_secret", ..here },
            ];
            moved.extend((row != another).then_some(ColumnPlace { row: &another, ..here }));
            moved.extend((owner != other).then_some(ColumnPlace { owner: other, ..here }));
            for moved in moved {
                prop_assert!(is_damaged(&sealer.open_column(moved, &sealed).await), "{moved:?}");
            }
            prop_assert!(is_damaged(&sealer.open(owner, &row, &sealed).await), "a column is no value");
            Ok(())
        })?;
    }
}

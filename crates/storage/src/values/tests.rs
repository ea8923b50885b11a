use model::{Clock as _, ManualClock};
use serde::Deserialize;

use super::*;
use crate::{Durability, Memory, Sealed, conformance};

/// What a visit is today: format 3, which reads format 2 and no longer format 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Visit {
    pages: Vec<String>,
    minutes: u64,
}

const VISITS: Collection = Collection { name: "visit", durability: Durability::Volatile, format: 3, reads: &[2] };

impl Stored for Visit {
    const COLLECTION: Collection = VISITS;
    const KEYS: Keys = Keys::Secret;

    /// Format 2 was one page, as it is.
    fn upgrade(format: u8, old: &[u8]) -> Option<Self> {
        assert_eq!(format, 2);
        let page = String::from_utf8(old.to_vec()).ok()?;
        Some(Self { pages: vec![page], minutes: 1 })
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    kv: Arc<dyn KeyValue>,
    visits: Values<Visit>,
}

fn bench(lifetime: Lifetime<Visit>) -> Bench {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
    on(Arc::new(Memory::new(clock.clone())), clock, lifetime)
}

fn on(kv: Arc<dyn KeyValue>, clock: Arc<ManualClock>, lifetime: Lifetime<Visit>) -> Bench {
    let visits = Values::new(&kv, &(clock.clone() as _), Owner::Platform, lifetime);
    Bench { clock, kv, visits }
}

impl Bench {
    /// Writes bytes as a version of Portico did whose format was this.
    async fn written_as(&self, format: u8, value: &[u8]) {
        let key = Keys::Secret.stored("key");
        let at = Place { owner: Owner::Platform, collection: Collection { format, reads: &[], ..VISITS }, key: &key };
        self.kv.put(at, value, Keep::Forever).await.unwrap();
    }
}

fn visit(minutes: u64) -> Visit {
    Visit { pages: vec!["/".to_owned(), "/ü\0\"".to_owned()], minutes }
}

#[tokio::test]
async fn the_verbs_are_those_of_the_store() {
    let Bench { visits, .. } = bench(Lifetime::Forever);
    assert!(visits.get("a").await.unwrap().is_none());
    let first = visits.insert("a", &visit(1)).await.unwrap().unwrap();
    assert!(visits.insert("a", &visit(2)).await.unwrap().is_none());
    let found = visits.get("a").await.unwrap().unwrap();
    assert_eq!((found.value, found.revision, found.keep), (visit(1), first, Keep::Forever));
    let second = visits.replace("a", first, &visit(3)).await.unwrap().unwrap();
    assert!(visits.replace("a", first, &visit(4)).await.unwrap().is_none());
    let third = visits.put("a", &visit(5)).await.unwrap();
    assert!(first < second && second < third);
    assert_eq!(visits.take("a").await.unwrap().unwrap().value, visit(5));
    assert!(visits.take("a").await.unwrap().is_none());
    assert!(!visits.delete("a").await.unwrap());
}

#[tokio::test]
async fn secrets_are_no_keys() {
    let Bench { kv, visits, .. } = bench(Lifetime::Forever);
    visits.put("a secret", &visit(1)).await.unwrap();
    let at = |key| Place { owner: Owner::Platform, collection: VISITS, key };
    assert!(kv.get(at("a secret")).await.unwrap().is_none());
    assert_eq!(Keys::Secret.stored("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert!(kv.get(at(&Keys::Secret.stored("a secret"))).await.unwrap().is_some());
    assert_eq!(Keys::Plain.stored("a name"), "a name");
}

#[tokio::test]
async fn a_lifetime_is_the_collections_or_the_values() {
    let Bench { clock, visits, .. } = bench(Lifetime::For(Duration::from_secs(10)));
    visits.put("a", &visit(1)).await.unwrap();
    clock.advance(Duration::from_secs(9));
    let found = visits.get("a").await.unwrap().unwrap();
    visits.replace("a", found.revision, &found.value).await.unwrap().unwrap();
    clock.advance(Duration::from_secs(9));
    assert!(visits.get("a").await.unwrap().is_some(), "each write begins a new life");
    clock.advance(Duration::from_secs(1));
    assert!(visits.get("a").await.unwrap().is_none());

    let each = Lifetime::each(|visit: &Visit, now| Keep::Until(now + Duration::from_mins(visit.minutes)));
    let Bench { clock, visits, .. } = bench(each);
    visits.put("short", &visit(1)).await.unwrap();
    visits.put("long", &visit(2)).await.unwrap();
    assert_eq!(visits.keep(&visit(3)), Keep::Until(clock.now() + Duration::from_mins(3)));
    clock.advance(Duration::from_mins(1));
    assert!(visits.get("short").await.unwrap().is_none());
    assert!(visits.get("long").await.unwrap().is_some());
}

#[tokio::test]
async fn an_older_format_is_read_and_written_anew() {
    let bench = bench(Lifetime::Forever);
    bench.written_as(2, b"/old").await;
    let found = bench.visits.get("key").await.unwrap().unwrap();
    assert_eq!(found.value, Visit { pages: vec!["/old".to_owned()], minutes: 1 });
    bench.visits.replace("key", found.revision, &found.value).await.unwrap().unwrap();
    let key = Keys::Secret.stored("key");
    let entry = bench.kv.get(Place { owner: Owner::Platform, collection: VISITS, key: &key }).await.unwrap().unwrap();
    assert_eq!((entry.format, entry.value.as_slice()), (3, br#"{"pages":["/old"],"minutes":1}"#.as_slice()));
}

/// On a plain store and on a sealed one.
async fn both(check: impl AsyncFn(Bench)) {
    check(bench(Lifetime::Forever)).await;
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
    let sealed = Sealed::new(Memory::new(clock.clone()), conformance::sealer().await);
    check(on(Arc::new(sealed), clock, Lifetime::Forever)).await;
}

#[tokio::test]
async fn other_formats_are_refused_by_name() {
    both(async |bench| {
        // Whatever the bytes look like: these are a value of today's.
        let json = serde_json::to_vec(&visit(1)).unwrap();
        for format in [1, 4, 255] {
            bench.written_as(format, &json).await;
            let refused = bench.visits.get("key").await.unwrap_err();
            assert!(
                matches!(&refused, StorageError::Format { collection, found, known: 3 } if collection == "visit" && *found == format),
                "{refused:?}"
            );
            let refused = bench.visits.take("key").await;
            assert!(matches!(refused, Err(StorageError::Format { .. })), "{refused:?}");
        }
        bench.written_as(3, &json).await;
        assert_eq!(bench.visits.get("key").await.unwrap().unwrap().value, visit(1));
    })
    .await;
}

#[tokio::test]
async fn what_does_not_parse_is_damaged() {
    both(async |bench| {
        for (format, garbage) in [(3, b"{\"pages\":7}".as_slice()), (3, b""), (3, b"/old"), (2, b"\xff")] {
            bench.written_as(format, garbage).await;
            let refused = bench.visits.get("key").await;
            assert!(matches!(refused, Err(StorageError::Damaged { .. })), "{garbage:?}: {refused:?}");
        }
    })
    .await;
}

#[test]
fn the_json_has_no_room_to_grow() {
    let json = encode(&visit(7)).unwrap();
    assert_eq!(json.len(), json.capacity());
    assert_eq!(serde_json::from_slice::<Visit>(&json).unwrap(), visit(7));
}

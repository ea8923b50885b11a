use async_trait::async_trait;
use model::ManualClock;
use storage::{Entry, Memory, Place, Result as Stored, Revision};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct World {
    clock: Arc<ManualClock>,
    kv: Arc<dyn KeyValue>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000)));
        Self { kv: Arc::new(Memory::new(clock.clone())), clock }
    }

    /// One of several replicas.
    fn replica(&self, burst: u32) -> Arc<Budget> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let limit = Limit { burst, every: SECOND * 10 };
        Arc::new(Budget::new("test", limit, WhenAway::Refuse, &self.kv, &clock))
    }
}

fn wait(taken: Result<(), Spent>) -> Duration {
    match taken {
        Err(Spent::Wait(wait)) => wait,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn replicas_spend_one_budget() {
    let world = World::new();
    let (one, two) = (world.replica(3), world.replica(3));
    one.take("a").await.unwrap();
    two.take("a").await.unwrap();
    one.take("a").await.unwrap();
    assert_eq!(wait(two.take("a").await), SECOND * 10);
    assert_eq!(wait(one.take("a").await), SECOND * 10);
    two.take("b").await.unwrap();
    world.clock.advance(SECOND * 10);
    two.take("a").await.unwrap();
    assert_eq!(wait(one.take("a").await), SECOND * 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_gets_what_there_is_and_no_more() {
    for burst in [10, 100] {
        let world = World::new();
        let replicas = [world.replica(burst), world.replica(burst)];
        let mut tasks = tokio::task::JoinSet::new();
        for at in 0..400 {
            let replica = Arc::clone(&replicas[at % 2]);
            tasks.spawn(async move { replica.take("a").await.is_ok() });
        }
        let taken = tasks.join_all().await.into_iter().filter(|taken| *taken).count();
        let burst = usize::try_from(burst).unwrap();
        assert!((burst * 9 / 10..=burst).contains(&taken), "{taken} of {burst}");
    }
}

#[tokio::test]
async fn what_was_given_back_can_be_taken_again() {
    let world = World::new();
    let budget = world.replica(1);
    budget.take("a").await.unwrap();
    wait(budget.take("a").await);
    budget.give_back("a");
    budget.take("a").await.unwrap();
    wait(budget.take("a").await);
}

#[tokio::test]
async fn what_is_held_in_advance_is_used_and_then_forgotten() {
    let world = World::new();
    let (one, two) = (world.replica(40), world.replica(40));
    one.take("a").await.unwrap();
    // Two were taken at once, and one of them is still there.
    for _ in 0..38 {
        two.take("a").await.unwrap();
    }
    wait(two.take("a").await);
    one.take("a").await.unwrap();
    wait(one.take("a").await);
    world.clock.advance(SECOND * 10 * 40);
    two.take("a").await.unwrap();
    world.clock.advance(SECOND * 20);
    assert!(!two.reserved("a"), "the bucket has it back by now");
}

/// A store that is away.
#[derive(Debug)]
struct Gone;

macro_rules! gone {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl KeyValue for Gone {
            $(async fn $name(&self, $($argument: $kind),*) -> Stored<$answer> {
                $(let _ = $argument;)*
                Err(StorageError::unavailable("gone"))
            })*
        }
    };
}

gone! {
    get(at: Place<'_>) -> Option<Entry>;
    put(at: Place<'_>, value: &[u8], keep: Keep) -> Revision;
    insert(at: Place<'_>, value: &[u8], keep: Keep) -> Option<Revision>;
    take(at: Place<'_>) -> Option<Entry>;
    replace(at: Place<'_>, expected: Revision, value: &[u8], keep: Keep) -> Option<Revision>;
    delete(at: Place<'_>) -> bool;
}

#[tokio::test]
async fn a_store_that_is_away_stops_what_it_should() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
    let kv: Arc<dyn KeyValue> = Arc::new(Gone);
    let limit = Limit { burst: 2, every: SECOND };
    let closed = Budget::new("closed", limit, WhenAway::Refuse, &kv, &clock);
    for _ in 0..5 {
        assert!(matches!(closed.take("a").await, Err(Spent::Away(_))), "and it costs nothing");
    }
    let open = Budget::new("open", limit, WhenAway::CountAlone, &kv, &clock);
    open.take("a").await.unwrap();
    open.take("a").await.unwrap();
    assert_eq!(wait(open.take("a").await), SECOND, "the process counts alone");
}

//! `kill -9`, at random moments, while people and clients are at work: what was acknowledged stays, what was revoked
//! stays revoked, and nobody has to do anything.

use std::{sync::Arc, time::Duration};

use model::{Entropy as _, OsEntropy};
use services::{Durability, Postgres, Redis};
use tests::World;
use tokio::time::{Instant, sleep};

use crate::{
    installation::{Installation, Replica, Stores},
    load::{Balanced, Dice, Load},
};

/// How soon it is ready again after whatever was away is back.
const RECOVERY: Duration = Duration::from_secs(5);

/// Who is at work.
const PEOPLE: [&str; 4] = ["mel", "dora", "owen", "mel"];

/// What can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    OneReplica,
    AllReplicas,
    Postgres,
    Redis,
}

struct Site {
    replicas: Vec<Replica>,
    servers: Option<(Postgres, Redis)>,
}

impl Site {
    /// Kills, waits, and starts again what was killed.
    async fn crash(&mut self, victim: Victim, dice: &Dice, down: Duration) {
        match (victim, &mut self.servers) {
            (Victim::Postgres, Some((postgres, _))) => {
                postgres.kill9();
                sleep(down).await;
                postgres.restart().expect("postgres comes back");
            }
            (Victim::Redis, Some((_, redis))) => {
                redis.kill9();
                sleep(down).await;
                redis.restart().expect("redis comes back");
            }
            (Victim::OneReplica, _) => {
                let one = usize::try_from(dice.below(self.replicas.len() as u64)).expect("few");
                self.replicas[one].kill9();
                sleep(down).await;
                self.replicas[one].restart();
            }
            _ => {
                self.replicas.iter_mut().for_each(Replica::kill9);
                sleep(down).await;
                self.replicas.iter_mut().for_each(Replica::restart);
            }
        }
    }
}

/// `TEST_SEED`, or another one each time.
#[expect(clippy::disallowed_methods, reason = "to repeat what a test printed")]
fn seed() -> u64 {
    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes);
    let seed = std::env::var("TEST_SEED").ok().map(|text| text.parse().expect("a number"));
    let seed = seed.unwrap_or(u64::from_le_bytes(bytes));
    println!("TEST_SEED={seed}");
    seed
}

async fn run(installation: &Installation, mut site: Site, victims: &[Victim], kills: usize) {
    let seed = seed();
    let dice = Dice::new(seed);
    let millis = |from: u64, to: u64| Duration::from_millis(from + dice.below(to - from));
    installation.apply(World::TWO_TENANTS);
    let balanced = Arc::new(Balanced::new(site.replicas.iter().map(|replica| replica.live.clone())));
    let load = Load::start(Arc::clone(&balanced), &PEOPLE, seed);
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        // Each of them as often as the others.
        let victim = victims[kill % victims.len()];
        sleep(millis(200, 1500)).await;
        let down = millis(0, 1200);
        site.crash(victim, &dice, down).await;
        let back = Instant::now();
        for replica in &site.replicas {
            replica.ready_within(RECOVERY.saturating_sub(back.elapsed())).await;
        }
        let ready = back.elapsed();
        slowest = slowest.max(ready);
        println!("{:>2}. {victim:?} away for {down:?}, ready after {ready:?}", kill + 1);
        load.verify(false).await;
        load.ledger().expect_nothing_wrong();
    }
    sleep(Duration::from_millis(500)).await;
    load.verify(true).await;
    let ledger = load.stop().await;
    println!("{kills} crashes, ready again within {slowest:?}: {}", ledger.report());
    ledger.expect_nothing_wrong();
    for what in ["sign-ins", "codes redeemed", "refreshes", "calls", "revocations", "dead tokens refused"] {
        assert!(ledger.counted(what) > 0, "no {what}: this showed nothing");
    }
}

async fn servers(kills: usize) {
    let postgres = Postgres::start(Durability::Safe).expect("postgres starts");
    // It keeps nothing: whatever must not be lost is elsewhere.
    let redis = Redis::start().expect("redis starts");
    let stores = Stores::Servers { postgres: postgres.url(), redis: Some(redis.url()) };
    let installation = Installation::on(&stores);
    let replicas = vec![installation.replica().await, installation.replica().await];
    let victims =
        [Victim::Postgres, Victim::OneReplica, Victim::Redis, Victim::Postgres, Victim::Redis, Victim::AllReplicas];
    run(&installation, Site { replicas, servers: Some((postgres, redis)) }, &victims, kills).await;
}

async fn sqlite(kills: usize) {
    let installation = Installation::on(&Stores::Sqlite);
    let replicas = vec![installation.replica().await];
    run(&installation, Site { replicas, servers: None }, &[Victim::AllReplicas], kills).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_servers() {
    servers(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_sqlite() {
    sqlite(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo xtask soak"]
async fn soak_thirty_times_on_servers() {
    servers(30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo xtask soak"]
async fn soak_thirty_times_on_sqlite() {
    sqlite(30).await;
}

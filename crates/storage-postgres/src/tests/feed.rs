//! The change feed under many writers, and hints over the database.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use model::{Id, SeededEntropy, UserId};
use sqlx::Executor as _;
use storage::{conformance, repo::Changes as _};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    Places, clock,
    place::{connect, observer},
};
use crate::Postgres;

const WRITERS: usize = 24;
const EACH: usize = 20;

/// Two replicas write, in transactions that last, and two readers never look back.
#[tokio::test(flavor = "multi_thread")]
async fn no_reader_steps_over_a_change() {
    let (places, sealer) = (Places::default(), conformance::sealer().await);
    let options = places.migrated().await;
    let replicas = [connect(&options, sealer.clone(), clock()).await, connect(&options, sealer.clone(), clock()).await];
    let mut readers = JoinSet::new();
    for replica in &replicas {
        readers.spawn(read(replica.clone()));
    }
    let (mut writers, entropy) = (JoinSet::new(), Arc::new(SeededEntropy::new(5)));
    for writer in 0..WRITERS {
        let (store, entropy) = (replicas[writer % 2].clone(), entropy.clone());
        writers.spawn(async move {
            for round in 0..EACH {
                let mut write = store.write().await.unwrap();
                write.on().execute("SELECT 1").await.unwrap();
                for _ in 0..=round % 3 {
                    write.change_user(Id::new(&*clock(), &*entropy));
                }
                sleep(Duration::from_millis(u64::try_from((writer * 7 + round * 3) % 10).unwrap())).await;
                if round % 5 == 4 {
                    // Numbers that are given and not used leave a gap that is never filled.
                    drop(write);
                } else {
                    write.commit().await.unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    let all: BTreeSet<_> = replicas[0].since(0, 10_000).await.unwrap().iter().map(|change| change.subject).collect();
    let written = (0..EACH).filter(|round| round % 5 != 4).map(|round| round % 3 + 1).sum::<usize>() * WRITERS;
    assert_eq!(all.len(), written);
    // The readers know the end by a change that comes last.
    let mut write = replicas[0].write().await.unwrap();
    write.change_user(END);
    write.commit().await.unwrap();
    let seen = timeout(Duration::from_secs(20), readers.join_all()).await.expect("the readers see the last change");
    for seen in seen {
        assert_eq!(seen, all);
    }
}

const END: UserId = Id::from_uuid(uuid::Uuid::nil());

async fn read(store: Postgres) -> BTreeSet<[u8; 16]> {
    let (mut position, mut seen) = (0, BTreeSet::new());
    loop {
        for change in store.since(position, 7).await.unwrap() {
            assert!(change.sequence > position);
            position = change.sequence;
            if change.subject == *END.bytes() {
                return seen;
            }
            assert!(seen.insert(change.subject));
        }
        sleep(Duration::from_millis(1)).await;
    }
}

async fn change(store: &Postgres) {
    let mut write = store.write().await.unwrap();
    write.change_user(END);
    write.commit().await.unwrap();
}

/// Whether a hint comes within `patience`.
async fn hinted(store: &Postgres, patience: Duration) -> bool {
    timeout(patience, store.bus().hinted()).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_reach_every_replica_and_come_back_after_an_outage() {
    let (places, sealer) = (Places::default(), conformance::sealer().await);
    let options = places.migrated().await;
    let replicas = [connect(&options, sealer.clone(), clock()).await, connect(&options, sealer.clone(), clock()).await];
    // One comes when a replica begins to listen.
    for replica in &replicas {
        assert!(hinted(replica, Duration::from_secs(5)).await);
        assert!(!hinted(replica, Duration::from_millis(300)).await);
    }
    change(&replicas[0]).await;
    for replica in &replicas {
        assert!(hinted(replica, Duration::from_secs(2)).await);
    }
    // What is not committed is not spoken of.
    let mut write = replicas[0].write().await.unwrap();
    write.change_user(END);
    drop(write);
    assert!(!hinted(&replicas[1], Duration::from_millis(300)).await);
    replicas[1].bus().hint();
    assert!(hinted(&replicas[0], Duration::from_secs(2)).await, "a hint that somebody asked for");

    let mut observer = observer(&options).await;
    observer
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    let since = Instant::now();
    assert!(hinted(&replicas[1], Duration::from_secs(5)).await, "it looks once it listens again");
    change(&replicas[0]).await;
    assert!(hinted(&replicas[1], Duration::from_secs(5)).await);
    assert!(since.elapsed() < Duration::from_secs(5));
}

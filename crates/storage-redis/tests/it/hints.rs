//! Hints between handles, as between replicas.

use std::{sync::Arc, time::Duration};

use storage::Bus;
use tokio::time::{Instant, timeout};

use crate::world::{REDIS, Server, VALKEY, clock, connect, prefix, soon};

/// Whether a hint comes within `millis`.
async fn hinted(bus: &Arc<dyn Bus>, millis: u64) -> bool {
    timeout(Duration::from_millis(millis), bus.hinted()).await.is_ok()
}

async fn reach_the_others(server: Server) {
    let ours = prefix();
    let one = connect(&server.url(), &ours, clock()).await;
    let other = connect(&server.url(), &ours, clock()).await;
    let stranger = connect(&server.url(), &prefix(), clock()).await;
    let (one, other, stranger) = (one.bus(), other.bus(), stranger.bus());
    assert!(!hinted(&other, 50).await, "nobody said anything");
    for _ in 0..20 {
        one.hint();
        assert!(hinted(&one, 2000).await, "our own");
        assert!(hinted(&other, 2000).await, "the other's");
        // It may come twice: once at once and once through Redis.
        while hinted(&one, 20).await {}
    }
    assert!(!hinted(&stranger, 50).await, "another prefix is another installation");
}

#[tokio::test(flavor = "multi_thread")]
async fn reach_the_others_on_redis() {
    reach_the_others(REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reach_the_others_on_valkey() {
    reach_the_others(VALKEY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn come_again_after_an_outage_and_never_wait() {
    let mut server = services::Redis::start().unwrap();
    let ours = prefix();
    let (one, other) = (connect(&server.url(), &ours, clock()).await, connect(&server.url(), &ours, clock()).await);
    server.kill9();
    let (one, other) = (one.bus(), other.bus());
    let began = Instant::now();
    for _ in 0..1000 {
        one.hint();
    }
    assert!(began.elapsed() < Duration::from_millis(100));
    assert!(hinted(&one, 100).await, "who gave it hears it without Redis");
    assert!(!hinted(&other, 100).await);
    server.restart().unwrap();
    // The first one is that something may have been missed.
    assert!(hinted(&other, 5000).await);
    soon("hints come again", || async {
        while hinted(&other, 20).await {}
        one.hint();
        hinted(&other, 300).await
    })
    .await;
    server.freeze();
    one.hint();
    assert!(!hinted(&other, 100).await);
    server.thaw();
    assert!(hinted(&other, 5000).await, "it was only late");
}

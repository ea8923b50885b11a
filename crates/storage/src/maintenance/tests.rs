use std::sync::atomic::{AtomicU64, Ordering};

use model::ManualClock;

use super::*;
use crate::StorageError;

#[derive(Debug)]
struct Heap(AtomicU64);

#[async_trait]
impl Maintenance for Heap {
    async fn purge(&self, _: Timestamp, limit: u32) -> Result<u64> {
        let left = self.0.load(Ordering::SeqCst);
        let gone = left.min(u64::from(limit));
        self.0.store(left - gone, Ordering::SeqCst);
        Ok(gone)
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.0.load(Ordering::SeqCst))
    }

    async fn scan(&self, _: Option<&Cursor>, _: u32) -> Result<Scan> {
        Ok(Scan { found: Vec::new(), next: None })
    }

    async fn rewrite(&self, _: &Found, _: &[u8]) -> Result<bool> {
        Ok(false)
    }
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl Maintenance for Broken {
    async fn purge(&self, _: Timestamp, _: u32) -> Result<u64> {
        Err(StorageError::unavailable("away"))
    }

    async fn count(&self) -> Result<u64> {
        Err(StorageError::unavailable("away"))
    }

    async fn scan(&self, _: Option<&Cursor>, _: u32) -> Result<Scan> {
        Err(StorageError::unavailable("away"))
    }

    async fn rewrite(&self, _: &Found, _: &[u8]) -> Result<bool> {
        Err(StorageError::unavailable("away"))
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_cleaned_up_each_minute_whatever_fails_beside_it() {
    let heap = Arc::new(Heap(AtomicU64::new(u64::from(BATCH) * 3 + 1)));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
    let stop = CancellationToken::new();
    let running = tokio::spawn(maintain(vec![Arc::new(Broken), heap.clone()], clock, stop.clone()));
    tokio::time::sleep(INTERVAL + Duration::from_secs(1)).await;
    assert_eq!(heap.0.load(Ordering::SeqCst), 0);
    heap.0.store(7, Ordering::SeqCst);
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(heap.0.load(Ordering::SeqCst), 0);
    stop.cancel();
    running.await.unwrap();
}

use std::fmt;

use async_trait::async_trait;
use tokio::sync::Notify;

/// Carries hints between replicas: "something changed, look at the feed". A hint may be lost, come twice
/// or come early; everything stays right without it, half a second later.
#[async_trait]
pub trait Bus: Send + Sync + fmt::Debug {
    /// Tells every replica, this one included, to look at the feed. Never waits and never fails.
    fn hint(&self);

    /// Returns at the next hint, or at once if one came since the last call.
    async fn hinted(&self);
}

/// A bus inside one process, with one listener.
#[derive(Debug, Default)]
pub struct LocalBus(Notify);

#[async_trait]
impl Bus for LocalBus {
    fn hint(&self) {
        self.0.notify_one();
    }

    async fn hinted(&self) {
        self.0.notified().await;
    }
}

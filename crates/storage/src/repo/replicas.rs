use std::fmt;

use async_trait::async_trait;
use model::{ReplicaId, Timestamp};

use crate::Result;

/// A process that serves, as it was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Which; fresh at each start.
    pub id: ReplicaId,
    /// When it last said so, by its own clock.
    pub seen_at: Timestamp,
    /// The number of the last change that all its snapshots had taken in by then.
    pub position: u64,
}

/// The processes that serve. Whoever has to know that all of them forgot a key, or that none is there,
/// asks here.
#[async_trait]
pub trait Replicas: Send + Sync + fmt::Debug {
    /// Says that a replica is there and how far it is. The last of several calls for one id stays.
    async fn beat(&self, replica: &Replica) -> Result<()>;

    /// The replicas seen at or after `since`, in order of id.
    async fn live(&self, since: Timestamp) -> Result<Vec<Replica>>;

    /// Forgets a replica that stopped.
    async fn leave(&self, id: ReplicaId) -> Result<()>;
}

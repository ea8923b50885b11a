//! What the tests of rotation stand on: replicas over one store, one feed and one set of wrapped keys.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use model::{Clock as _, ManualClock, ReplicaId, SeededEntropy, TenantId, Timestamp};

use crate::{
    Change, ChangeKind, Collection, Durability, Follower, Keep, KeyValue as _, LocalBus, MasterKey, MasterKeySource,
    MasterKeys, Memory, Owner, Place, Result, Sealed, Sealer, Split,
    conformance::MemoryKeys,
    repo::{Changes, Replica as Sign, Replicas},
};

pub(crate) const THINGS: Collection =
    Collection { name: "things", durability: Durability::Durable, format: 1, reads: &[] };

/// A feed in memory.
#[derive(Debug, Default)]
pub(crate) struct Feed(Mutex<Vec<Change>>);

#[async_trait]
impl Changes for Feed {
    async fn head(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    async fn oldest(&self) -> Result<u64> {
        Ok(u64::from(!self.0.lock().unwrap().is_empty()))
    }

    async fn since(&self, sequence: u64, limit: u32) -> Result<Vec<Change>> {
        let after = usize::try_from(sequence).unwrap();
        Ok(self.0.lock().unwrap().iter().skip(after).take(limit as usize).copied().collect())
    }

    async fn data_keys_changed(&self, owners: &[Owner]) -> Result<u64> {
        let mut changes = self.0.lock().unwrap();
        for owner in owners {
            let (tenant, subject) = owner.in_change();
            let sequence = changes.len() as u64 + 1;
            changes.push(Change { sequence, kind: ChangeKind::DataKeys, tenant, subject });
        }
        Ok(changes.len() as u64)
    }
}

/// Master keys that an operator can exchange while replicas run.
#[derive(Debug)]
pub(crate) struct KeyFile(Mutex<MasterKeys>);

impl KeyFile {
    pub(crate) fn of(masters: &[u8]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Self::ring(masters))))
    }

    pub(crate) fn set(&self, masters: &[u8]) {
        *self.0.lock().unwrap() = Self::ring(masters);
    }

    fn ring(masters: &[u8]) -> MasterKeys {
        MasterKeys::new(masters.iter().map(|byte| MasterKey::new([*byte; 32])).collect()).unwrap()
    }
}

impl MasterKeySource for KeyFile {
    fn read(&self) -> Result<MasterKeys> {
        Ok(self.0.lock().unwrap().clone())
    }
}

/// The replicas that said something.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Vec<Sign>>);

#[async_trait]
impl Replicas for Known {
    async fn beat(&self, replica: &Sign) -> Result<()> {
        let mut known = self.0.lock().unwrap();
        known.retain(|other| other.id != replica.id);
        known.push(*replica);
        Ok(())
    }

    async fn live(&self, since: Timestamp) -> Result<Vec<Sign>> {
        Ok(self.0.lock().unwrap().iter().filter(|replica| replica.seen_at >= since).copied().collect())
    }

    async fn leave(&self, id: ReplicaId) -> Result<()> {
        self.0.lock().unwrap().retain(|replica| replica.id != id);
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: Arc<MemoryKeys>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) known: Arc<Known>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
        let memory = Arc::new(Memory::new(clock.clone()));
        Self { clock, keys: Arc::default(), feed: Arc::default(), memory, known: Arc::default() }
    }

    pub(crate) async fn sealer(&self, masters: Arc<dyn MasterKeySource>, seed: u64) -> Result<Arc<Sealer>> {
        let entropy = Arc::new(SeededEntropy::new(seed));
        Sealer::open_ring(masters, self.keys.clone(), self.clock.clone(), entropy).await.map(Arc::new)
    }

    pub(crate) async fn replica(&self, masters: &Arc<KeyFile>, seed: u64) -> Replica {
        let sealer = self.sealer(masters.clone(), seed).await.unwrap();
        let bus = Arc::new(LocalBus::default());
        let follower = Follower::start(self.feed.clone(), bus, self.clock.clone(), vec![sealer.clone()]).await.unwrap();
        let kv = Sealed::new(Split::new(self.memory.clone(), self.memory.clone()), sealer.clone());
        Replica { sealer, kv, follower }
    }

    pub(crate) fn tenants<const N: usize>(&self) -> [Owner; N] {
        let entropy = SeededEntropy::new(99);
        [(); N].map(|()| {
            self.clock.advance(Duration::from_millis(1));
            Owner::Tenant(TenantId::new(&*self.clock, &entropy))
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

pub(crate) struct Replica {
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) kv: Sealed<Split>,
    pub(crate) follower: Arc<Follower>,
}

pub(crate) fn at(owner: Owner, key: &str) -> Place<'_> {
    Place { owner, collection: THINGS, key }
}

impl Replica {
    pub(crate) async fn put(&self, owner: Owner, key: &str, value: &str) {
        self.kv.put(at(owner, key), value.as_bytes(), Keep::Forever).await.unwrap();
    }

    pub(crate) async fn get(&self, owner: Owner, key: &str) -> Result<Option<String>> {
        let found = self.kv.get(at(owner, key)).await?;
        Ok(found.map(|entry| String::from_utf8(entry.value.to_vec()).unwrap()))
    }
}

//! Wrapped data keys and signing keys.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use model::{Secret, SeededEntropy};

use super::{
    CALLERS,
    world::{World, race},
};
use crate::{
    ChangeKind, MasterKey, Owner, Result, Sealer, StorageError, WrappedKey, WrappedKeys,
    repo::{KeyState, Repos, SigningKey},
};

/// Wrapped keys that live as long as the process: for tests only, since what they sealed would be lost.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<BTreeMap<(Owner, u32), WrappedKey>>);

#[async_trait]
impl WrappedKeys for MemoryKeys {
    async fn load(&self, owner: Owner) -> Result<Vec<WrappedKey>> {
        Ok(self.0.lock().unwrap().range((owner, 0)..=(owner, u32::MAX)).map(|(_, key)| key.clone()).collect())
    }

    async fn insert(&self, key: &WrappedKey) -> Result<bool> {
        let mut keys = self.0.lock().unwrap();
        let free = !keys.contains_key(&(key.owner, key.id));
        if free {
            keys.insert((key.owner, key.id), key.clone());
        }
        Ok(free)
    }

    async fn shred(&self, owner: Owner) -> Result<()> {
        self.0.lock().unwrap().retain(|(whose, _), _| *whose != owner);
        Ok(())
    }
}

/// A sealer over keys of its own.
pub async fn sealer() -> Arc<Sealer> {
    let (master, keys) = (MasterKey::new([0x42; 32]), Arc::new(MemoryKeys::default()));
    Arc::new(Sealer::open_ring(master, keys, Arc::new(SeededEntropy::new(42))).await.unwrap())
}

fn key(owner: Owner, id: u32, byte: u8) -> WrappedKey {
    WrappedKey { owner, id, wrapped: vec![byte; 77] }
}

pub(super) async fn come_back_in_order(world: &World, keys: &impl WrappedKeys) {
    let acme = Owner::Tenant(world.id());
    assert!(keys.load(acme).await.unwrap().is_empty());
    for id in [2, 10, 1] {
        assert!(keys.insert(&key(acme, id, 1)).await.unwrap());
    }
    assert!(!keys.insert(&key(acme, 2, 9)).await.unwrap());
    assert!(keys.insert(&key(Owner::Platform, 2, 3)).await.unwrap());
    assert_eq!(keys.load(acme).await.unwrap(), [key(acme, 1, 1), key(acme, 2, 1), key(acme, 10, 1)]);
    assert_eq!(keys.load(Owner::Platform).await.unwrap(), [key(Owner::Platform, 2, 3)]);
}

pub(super) async fn one_insert_wins(keys: Arc<impl WrappedKeys + 'static>) {
    let inserted = race(CALLERS, |caller| {
        let keys = keys.clone();
        let caller = u8::try_from(caller).unwrap();
        async move { keys.insert(&key(Owner::Platform, 1, caller)).await.unwrap().then_some(caller) }
    })
    .await;
    let winners: Vec<_> = inserted.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(keys.load(Owner::Platform).await.unwrap(), [key(Owner::Platform, 1, winners[0])]);
}

pub(super) async fn are_shredded_for_one_owner(world: &World, keys: &impl WrappedKeys) {
    let (acme, beta) = (Owner::Tenant(world.id()), Owner::Tenant(world.id()));
    for owner in [acme, beta] {
        keys.insert(&key(owner, 1, 1)).await.unwrap();
        keys.insert(&key(owner, 2, 2)).await.unwrap();
    }
    keys.shred(acme).await.unwrap();
    keys.shred(acme).await.unwrap();
    assert!(keys.load(acme).await.unwrap().is_empty());
    assert_eq!(keys.load(beta).await.unwrap().len(), 2);
}

pub(super) async fn a_ring_survives_a_restart(keys: Arc<impl WrappedKeys + 'static>) {
    let open = async |master: u8, seed: u64| {
        let entropy = Arc::new(SeededEntropy::new(seed));
        Sealer::open_ring(MasterKey::new([master; 32]), keys.clone(), entropy).await
    };
    let first = open(1, 1).await.unwrap();
    let sealed = first.seal(Owner::Platform, b"here", b"secret").await.unwrap();
    let again = open(1, 2).await.unwrap();
    assert_eq!(again.open(Owner::Platform, b"here", &sealed).await.unwrap().as_slice(), b"secret");
    assert_eq!(first.derive("csrf").await.unwrap(), again.derive("csrf").await.unwrap());
    let wrong = open(2, 3).await;
    assert!(matches!(wrong, Err(StorageError::WrongMasterKey)), "{wrong:?}");
}

pub(super) async fn one_signing_key_is_first(world: &World, repos: Repos) {
    assert!(repos.signing.all().await.unwrap().is_empty());
    let inserted = race(CALLERS, |caller| {
        let (signing, audit) = (repos.signing.clone(), world.audit("key.created"));
        let key = SigningKey {
            kid: format!("kid-{caller}"),
            algorithm: "ES256".to_owned(),
            private: Secret::new(format!("private {caller}")),
            state: KeyState::Active,
            created_at: world.now(),
        };
        async move { signing.insert_first(&key, &audit).await.unwrap().then_some(key) }
    })
    .await;
    let winners: Vec<_> = inserted.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let stored = repos.signing.all().await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!((&stored[0].kid, stored[0].private.expose()), (&winners[0].kid, winners[0].private.expose()));
    assert_eq!(repos.changes.since(0, 10).await.unwrap()[0].kind, ChangeKind::SigningKeys);
}

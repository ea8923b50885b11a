//! Wrapped data keys and signing keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use model::{SeededEntropy, SystemClock, Timestamp};

use super::{
    CALLERS,
    world::{World, logged, race},
};
use crate::{
    ChangeKind, Derived, MasterId, MasterKey, MasterKeys, Owner, Result, Sealer, StorageError, WrappedKey, WrappedKeys,
    repo::{KeyChange, KeyState, Repos, SigningKey},
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

    async fn owners(&self, after: Option<Owner>, limit: u32) -> Result<Vec<Owner>> {
        let after = after.map(|owner| owner.to_string()).unwrap_or_default();
        let mut owners: Vec<Owner> = self.0.lock().unwrap().keys().map(|(owner, _)| *owner).collect();
        owners.retain(|owner| owner.to_string() > after);
        owners.sort_by_key(Owner::to_string);
        owners.dedup();
        owners.truncate(limit as usize);
        Ok(owners)
    }

    async fn count_owners(&self) -> Result<u64> {
        let owners: BTreeSet<Owner> = self.0.lock().unwrap().keys().map(|(owner, _)| *owner).collect();
        Ok(owners.len() as u64)
    }

    async fn masters(&self) -> Result<Vec<(Option<MasterId>, u64)>> {
        let mut masters = BTreeMap::<_, u64>::new();
        for key in self.0.lock().unwrap().values() {
            *masters.entry(key.master).or_default() += 1;
        }
        Ok(masters.into_iter().collect())
    }

    async fn rewrap(&self, key: &WrappedKey, old: Option<MasterId>) -> Result<bool> {
        let mut keys = self.0.lock().unwrap();
        let stored = keys.get_mut(&(key.owner, key.id)).filter(|stored| stored.master == old);
        let rewrapped = stored.map(|stored| {
            stored.master = key.master;
            stored.wrapped.clone_from(&key.wrapped);
        });
        Ok(rewrapped.is_some())
    }

    async fn remove(&self, owner: Owner, id: u32) -> Result<bool> {
        Ok(self.0.lock().unwrap().remove(&(owner, id)).is_some())
    }

    async fn shred(&self, owner: Owner) -> Result<()> {
        self.0.lock().unwrap().retain(|(whose, _), _| *whose != owner);
        Ok(())
    }
}

/// Keys of which one is not there when it is first asked for.
#[derive(Debug)]
pub(super) struct HidingKeys {
    pub(super) keys: Arc<MemoryKeys>,
    pub(super) hidden: (Owner, u32),
    /// How many times more it is not.
    pub(super) times: AtomicU32,
}

#[async_trait]
impl WrappedKeys for HidingKeys {
    async fn load(&self, owner: Owner) -> Result<Vec<WrappedKey>> {
        let mut keys = self.keys.load(owner).await?;
        let fewer = |times: u32| times.checked_sub(1);
        if owner == self.hidden.0 && self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
            keys.retain(|key| key.id != self.hidden.1);
        }
        Ok(keys)
    }

    async fn insert(&self, key: &WrappedKey) -> Result<bool> {
        self.keys.insert(key).await
    }

    async fn owners(&self, after: Option<Owner>, limit: u32) -> Result<Vec<Owner>> {
        self.keys.owners(after, limit).await
    }

    async fn count_owners(&self) -> Result<u64> {
        self.keys.count_owners().await
    }

    async fn masters(&self) -> Result<Vec<(Option<MasterId>, u64)>> {
        self.keys.masters().await
    }

    async fn rewrap(&self, key: &WrappedKey, old: Option<MasterId>) -> Result<bool> {
        self.keys.rewrap(key, old).await
    }

    async fn remove(&self, owner: Owner, id: u32) -> Result<bool> {
        self.keys.remove(owner, id).await
    }

    async fn shred(&self, owner: Owner) -> Result<()> {
        self.keys.shred(owner).await
    }
}

/// A sealer over keys of its own.
pub async fn sealer() -> Arc<Sealer> {
    let (master, keys) = (MasterKeys::from(MasterKey::new([0x42; 32])), Arc::new(MemoryKeys::default()));
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SeededEntropy::new(42)));
    Arc::new(Sealer::open_ring(Arc::new(master), keys, clock, entropy).await.unwrap())
}

fn key(owner: Owner, id: u32, byte: u8) -> WrappedKey {
    let (master, active_from) = (Some(MasterId([byte; 8])), Timestamp::from_millis(i64::from(byte)));
    WrappedKey { owner, id, master, active_from, wrapped: vec![byte; 77] }
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

pub(super) async fn are_rewrapped_by_one(world: &World, keys: Arc<impl WrappedKeys + 'static>) {
    let acme = Owner::Tenant(world.id());
    let old = WrappedKey { master: None, active_from: Timestamp::default(), ..key(acme, 1, 1) };
    keys.insert(&old).await.unwrap();
    keys.insert(&key(acme, 2, 2)).await.unwrap();
    assert_eq!(keys.load(acme).await.unwrap(), [old.clone(), key(acme, 2, 2)]);
    let rewrapped = race(CALLERS, |caller| {
        let (keys, old) = (keys.clone(), old.clone());
        let byte = u8::try_from(caller + 100).unwrap();
        async move {
            let new = WrappedKey { master: Some(MasterId([byte; 8])), wrapped: vec![byte; 78], ..old };
            keys.rewrap(&new, None).await.unwrap().then_some(new)
        }
    })
    .await;
    let winners: Vec<_> = rewrapped.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(keys.load(acme).await.unwrap(), [winners[0].clone(), key(acme, 2, 2)]);
    let none = keys.rewrap(&key(acme, 3, 9), None).await.unwrap();
    assert!(!none && !keys.rewrap(&key(Owner::Platform, 1, 9), None).await.unwrap());
}

pub(super) async fn are_counted_and_removed(world: &World, keys: &impl WrappedKeys) {
    let mut owners = vec![Owner::Platform];
    for _ in 0..3 {
        owners.extend([Owner::User(world.id()), Owner::Tenant(world.id())]);
    }
    for owner in &owners {
        keys.insert(&key(*owner, 1, 1)).await.unwrap();
        keys.insert(&key(*owner, 2, 2)).await.unwrap();
    }
    owners.sort_by_key(Owner::to_string);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = keys.owners(after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(*last);
        found.extend(page);
    }
    assert_eq!(found, owners);
    assert_eq!(keys.count_owners().await.unwrap(), 7);
    assert!(keys.remove(owners[1], 1).await.unwrap());
    assert!(!keys.remove(owners[1], 1).await.unwrap());
    assert_eq!(keys.load(owners[1]).await.unwrap(), [key(owners[1], 2, 2)]);
    let masters: BTreeMap<_, _> = keys.masters().await.unwrap().into_iter().collect();
    assert_eq!(masters, [(Some(MasterId([1; 8])), 6), (Some(MasterId([2; 8])), 7)].into());
}

pub(super) async fn a_ring_survives_a_restart(keys: Arc<impl WrappedKeys + 'static>) {
    let open = async |master: u8, seed: u64| {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SeededEntropy::new(seed)));
        let master = Arc::new(MasterKeys::from(MasterKey::new([master; 32])));
        Sealer::open_ring(master, keys.clone(), clock, entropy).await
    };
    let first = open(1, 1).await.unwrap();
    let sealed = first.seal(Owner::Platform, b"here", b"secret").await.unwrap();
    let again = open(1, 2).await.unwrap();
    assert_eq!(again.open(Owner::Platform, b"here", &sealed).await.unwrap().as_slice(), b"secret");
    let derived = |sealer| Derived::new(&Arc::new(sealer), "csrf", |key| *key).newest(|id, key| (id, *key));
    assert_eq!(derived(first), derived(again));
    let wrong = open(2, 3).await;
    assert!(matches!(wrong, Err(StorageError::WrongMasterKey { .. })), "{wrong:?}");
}

pub(super) async fn one_signing_key_is_first(world: &World, repos: Repos) {
    assert!(repos.signing.all().await.unwrap().is_empty());
    let inserted = race(CALLERS, |caller| {
        let (signing, audit, now) = (repos.signing.clone(), world.audit("key.created"), world.now());
        let key = world.signing_key(&format!("kid-{caller}"));
        let added = KeyChange { add: vec![key.clone()], ..KeyChange::default() };
        async move { signing.change(&[], &added, now, &audit).await.unwrap().then_some(key) }
    })
    .await;
    let winners: Vec<_> = inserted.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let stored = repos.signing.all().await.unwrap();
    assert_eq!(stored.len(), 1);
    let private = |key: &SigningKey| key.private.as_ref().unwrap().expose().to_owned();
    assert_eq!((&stored[0].kid, private(&stored[0])), (&winners[0].kid, private(&winners[0])));
    assert_eq!(repos.changes.since(0, 10).await.unwrap()[0].kind, ChangeKind::SigningKeys);
}

pub(super) async fn one_rotation_wins(world: &World, repos: Repos) {
    let added = KeyChange { add: vec![world.signing_key("old")], ..KeyChange::default() };
    assert!(repos.signing.change(&[], &added, world.now(), &world.audit("a")).await.unwrap());
    let seen = [("old".to_owned(), KeyState::Active)];
    let (now, ends_at) = (world.now() + Duration::from_secs(5), Some(world.now() + Duration::from_hours(2)));
    let turned = race(CALLERS, |caller| {
        let (signing, audit, seen) = (repos.signing.clone(), world.audit("key.rotated"), seen.clone());
        let change = KeyChange {
            add: vec![world.signing_key(&format!("new-{caller}"))],
            turn: vec![("old".to_owned(), KeyState::Retiring, ends_at)],
            remove: Vec::new(),
        };
        async move { (signing.change(&seen, &change, now, &audit).await.unwrap(), audit.id) }
    })
    .await;
    assert_eq!(turned.iter().filter(|(won, _)| *won).count(), 1);
    for (won, event) in turned {
        assert_eq!(logged(&repos, None, event).await, won);
    }
    let stored = repos.signing.all().await.unwrap();
    assert_eq!(stored.len(), 2, "of the losers nothing is written");
    let old = stored.iter().find(|key| key.kid == "old").unwrap();
    assert_eq!((old.state, old.changed_at, old.ends_at), (KeyState::Retiring, now, ends_at));

    let seen: Vec<_> = stored.iter().map(|key| (key.kid.clone(), key.state)).collect();
    let gone = KeyChange { remove: vec!["old".to_owned()], ..KeyChange::default() };
    assert!(!repos.signing.change(&seen[..1], &gone, now, &world.audit("a")).await.unwrap(), "not all were seen");
    assert!(repos.signing.change(&seen, &gone, now, &world.audit("a")).await.unwrap());
    assert_eq!(repos.signing.all().await.unwrap().len(), 1);
}

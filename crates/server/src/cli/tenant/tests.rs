use std::{path::Path, sync::Arc};

use model::{Clock as _, Id, ManualClock, SeededEntropy, Timestamp};
use storage::{
    Collection, Durability, Follower, Keep, Place as At, StorageError,
    repo::{Actor, AuditEvent, Replica, Tenant as Record, TenantState},
};

use super::*;
use crate::config::{Config, Overrides};

const THINGS: Collection = Collection { name: "things", durability: Durability::Durable, format: 1, reads: &[] };

struct World {
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
        Self { home: tempfile::tempdir().unwrap(), clock }
    }

    async fn open(&self, seed: u64) -> Store {
        let overrides = Overrides { data: Some(self.home.path().join("data")), ..Overrides::default() };
        let config = Config::parse("", Path::new(""), std::iter::empty(), &overrides).unwrap();
        Store::open_with(&config, self.clock.clone(), Arc::new(SeededEntropy::new(seed))).await.unwrap()
    }

    async fn acme(&self, store: &Store) -> Record {
        let tenant = Record {
            id: Id::new(&*store.clock, &*store.entropy),
            slug: "acme".parse().unwrap(),
            name: "Acme".parse().unwrap(),
            state: TenantState::Active,
            created_at: self.clock.now(),
        };
        let event = AuditEvent::new(&*store.clock, &*store.entropy, Actor::System, "tenant.created", "acme");
        store.repos.tenants.create(&tenant, &[], &event).await.unwrap();
        tenant
    }
}

fn args(tenant: &str, yes: Option<&str>) -> Shred {
    let (place, yes) = (Place { data: None, config: None }, yes.map(str::to_owned));
    Shred { tenant: tenant.to_owned(), place, yes, keys_backup: Vec::new() }
}

#[tokio::test]
async fn a_shredded_tenant_is_gone_for_every_replica_and_every_copy() {
    let world = World::new();
    let running = world.open(1).await;
    let acme = world.acme(&running).await;
    let owner = Owner::Tenant(acme.id);
    let here = At { owner, collection: THINGS, key: "k" };
    running.kv.put(here, b"secret", Keep::Forever).await.unwrap();
    let copy = running.maintenance[0].scan(None, 10).await.unwrap().found.remove(0);
    let (changes, bus) = (Arc::clone(&running.repos.changes), Arc::clone(&running.bus));
    let follower = Follower::start(changes, bus, world.clock.clone(), vec![running.sealer.clone()]).await.unwrap();
    let replica = Replica { id: Id::new(&*world.clock, &*running.entropy), seen_at: world.clock.now(), position: 0 };
    running.repos.replicas.beat(&replica).await.unwrap();

    let command = world.open(2).await;
    let refused = shred(&command, &args("acme", Some("beta")), PATIENCE).await.unwrap_err().to_string();
    assert!(refused.contains("--yes says beta, and the tenant is acme"), "{refused}");
    let refused = shred(&command, &args("beta", Some("beta")), PATIENCE).await.unwrap_err().to_string();
    assert!(refused.contains("there is no tenant beta"), "{refused}");
    let missing = Shred { keys_backup: vec!["/nowhere".into()], ..args("acme", Some("acme")) };
    assert!(shred(&command, &missing, PATIENCE).await.unwrap_err().to_string().contains("/nowhere cannot be read"));
    assert!(running.repos.tenants.tenant(acme.id).await.unwrap().is_some(), "nothing was done");

    // The replica takes the change in, and says so a moment later.
    let (beat, taken) = (Arc::clone(&running.repos.replicas), Arc::clone(&follower));
    let following = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            taken.sync().await.unwrap();
            beat.beat(&Replica { position: taken.position(), ..replica }).await.unwrap();
        }
    });
    shred(&command, &args("acme", Some("acme")), PATIENCE).await.unwrap();
    following.abort();

    assert!(running.repos.tenants.tenant(acme.id).await.unwrap().is_none());
    assert!(command.keys.load(owner).await.unwrap().is_empty());
    // The name does not lead to it any more.
    let refused = shred(&command, &args("acme", Some("acme")), PATIENCE).await.unwrap_err().to_string();
    assert!(refused.contains("acme was deleted") && refused.contains("finished by the tenant's id"), "{refused}");
    let place = || "a copy".to_owned();
    for store in [&running, &command] {
        // What a backup of the data had.
        let opened = store.sealer.open(owner, b"here", &copy.entry.value).await;
        let gone = matches!(&opened, Err(StorageError::Damaged { reason: "its key is gone", .. }));
        assert!(gone, "{}: {opened:?}", place());
    }
    running.repos.replicas.leave(replica.id).await.unwrap();
    // Doing it again by id, as after a failure, is right too.
    shred(&command, &args(&acme.id.to_string(), Some(&acme.id.to_string())), PATIENCE).await.unwrap();
    let events = running.repos.audit.newest(None, None, 10).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.action == "tenant.shredded").count(), 1);
    running.close().await;
    command.close().await;
}

#[test]
fn a_backup_without_keys_of_the_tenant_is_no_surprise() {
    let told = |removed| told_of_backup(Path::new("b.keys"), "acme", removed);
    assert!(told(0).starts_with("Nothing to remove from b.keys: it has no key of acme, which had sealed nothing yet"));
    assert_eq!(told(1), "Removed 1 key of acme from b.keys\n");
    assert_eq!(told(2), "Removed 2 keys of acme from b.keys\n");
}

#[tokio::test]
async fn a_replica_that_does_not_confirm_is_named() {
    let world = World::new();
    let store = world.open(1).await;
    let acme = world.acme(&store).await;
    let silent = Replica { id: Id::new(&*world.clock, &*store.entropy), seen_at: world.clock.now(), position: 0 };
    store.repos.replicas.beat(&silent).await.unwrap();
    let failed = shred(&store, &args("acme", Some("acme")), Duration::from_millis(300)).await.unwrap_err();
    let failed = format!("{failed:#}");
    let again = format!("portico tenant shred {0} --yes {0}", acme.id);
    assert!(failed.contains(&again) && failed.contains(&silent.id.to_string()), "{failed}");
    store.close().await;
}

use std::{fs, path::Path, time::Duration};

use model::{ManualClock, SeededEntropy, TenantId, Timestamp};
use storage::{ACTIVATION, Collection, Durability, Keep, MasterKeys, Place as At, StorageError};

use super::*;
use crate::config::Overrides;

const THINGS: Collection = Collection { name: "things", durability: Durability::Durable, format: 1, reads: &[] };

fn config(home: &Path, text: &str) -> Config {
    let overrides = Overrides { data: Some(home.join("data")), ..Overrides::default() };
    Config::parse(text, home, std::iter::empty(), &overrides).unwrap()
}

struct World {
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
        Self { home: tempfile::tempdir().unwrap(), clock }
    }

    fn config(&self) -> Config {
        config(self.home.path(), "")
    }

    /// A process of its own, as far as the store can tell.
    async fn open(&self, seed: u64) -> Store {
        Store::open_with(&self.config(), self.clock.clone(), Arc::new(SeededEntropy::new(seed))).await.unwrap()
    }
}

fn args(master: Option<Master>) -> Rotate {
    Rotate { place: Place { data: None, config: None }, master, from: None }
}

fn here(owner: Owner) -> At<'static> {
    At { owner, collection: THINGS, key: "k" }
}

#[tokio::test]
async fn keys_rotate_and_reseal_beside_a_running_store() {
    let world = World::new();
    let running = world.open(1).await;
    let acme = Owner::Tenant(TenantId::new(&*world.clock, &SeededEntropy::new(9)));
    running.kv.put(here(acme), b"secret", Keep::Forever).await.unwrap();

    let command = world.open(2).await;
    let first = command.sealer.master_keys().newest().id();
    let said = rotate(&command, &world.config(), &args(None)).await.unwrap();
    assert!(said.starts_with("Made 2 data keys for 2 owners; 2 older ones are wrapped"), "{said}");
    assert!(!said.contains("THE SAME"), "{said}");
    let second = command.sealer.master_keys().newest().id();
    assert!(first != second && said.contains(&second.to_string()), "{said}");
    let said = status(&command).await.unwrap();
    assert!(said.contains(&format!("{first}  wraps 0 data keys; it may go")), "{said}");
    assert!(said.contains(&format!("{second}  wraps 4 data keys; it wraps new ones")), "{said}");
    assert!(said.contains("Data keys: 4, of 2 owners"), "{said}");

    world.clock.advance(ACTIVATION);
    let said = reseal(&command, None).await.unwrap();
    assert!(said.starts_with("Looked at 2 values; sealed 2 anew; removed 0 data keys"), "{said}");
    assert!(said.contains("Older data keys are left"), "{said}");
    world.clock.advance(Duration::from_mins(15));
    let said = reseal(&command, None).await.unwrap();
    assert!(said.starts_with("Looked at 2 values; sealed 0 anew; removed 1 data key that"), "{said}");

    // The running one was never told of the new master key.
    assert_eq!(running.kv.get(here(acme)).await.unwrap().unwrap().value.as_slice(), b"secret");
    running.close().await;
    command.close().await;

    // The old master key can be taken out of the file.
    let file = world.config().data.join("master.key");
    let text = fs::read_to_string(&file).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains(&first.to_string())).collect();
    fs::write(&file, kept.join("\n")).unwrap();
    assert_eq!(MasterKeys::parse(&fs::read(&file).unwrap()).unwrap().iter().count(), 1);
    let after = world.open(3).await;
    assert_eq!(after.kv.get(here(acme)).await.unwrap().unwrap().value.as_slice(), b"secret");
    after.close().await;

    // And the new one cannot.
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains(&second.to_string())).collect();
    fs::write(&file, kept.join("\n")).unwrap();
    let refused = Store::open_with(&world.config(), world.clock.clone(), Arc::new(SeededEntropy::new(4))).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused.downcast_ref(), Some(StorageError::WrongMasterKey { .. })), "{refused:#}");
    assert!(
        format!("{refused:#}").contains(&format!("wrapped by the master key {second}, which is not")),
        "{refused:#}"
    );
}

#[tokio::test]
async fn master_keys_in_the_environment_are_not_written() {
    let world = World::new();
    let key = "0a".repeat(32);
    let config = config(world.home.path(), &format!("[keys]\nmaster = \"{key}\"\n"));
    let store = Store::open_with(&config, world.clock.clone(), Arc::new(SeededEntropy::new(1))).await.unwrap();
    let refused = rotate(&store, &config, &args(Some(Master::New))).await.unwrap_err().to_string();
    assert!(refused.contains("--master keep") && !refused.contains(&key), "{refused}");
    let said = rotate(&store, &config, &args(None)).await.unwrap();
    assert!(said.starts_with("Made 1 data key for 1 owner.\nTHE MASTER KEY IS THE SAME AS BEFORE"), "{said}");
    store.close().await;
}

#[tokio::test]
async fn a_rotation_to_no_new_master_key_says_so() {
    let world = World::new();
    let file = world.home.path().join("ring");
    let [old, new] = ["0a".repeat(32), "0b".repeat(32)];
    let write = |keys: &[&str]| fs::write(&file, keys.join("\n")).unwrap();
    write(&[&old]);
    let config = config(world.home.path(), &format!("[keys]\nmaster_file = \"{}\"\n", file.display()));
    let open =
        async |seed| Store::open_with(&config, world.clock.clone(), Arc::new(SeededEntropy::new(seed))).await.unwrap();
    let rotated = async |seed, args: Rotate| {
        let store = open(seed).await;
        let said = rotate(&store, &config, &args).await.unwrap();
        store.close().await;
        said
    };
    let id = |key: &str| MasterKeys::parse(key.as_bytes()).unwrap().newest().id();
    let said = rotated(1, args(None)).await;
    let same = format!("THE MASTER KEY IS THE SAME AS BEFORE: the last one given, {}, wrapped all", id(&old));
    assert!(said.contains(&same) && said.contains("No other is among those given"), "{said}");
    // The new one at the wrong end.
    write(&[&new, &old]);
    let said = rotated(2, args(None)).await;
    let hint = format!("{} stands before it and wraps nothing: if that one is the new one, put it last", id(&new));
    assert!(said.contains(&same) && said.contains(&hint), "{said}");
    // As it is meant, and a second time: then there is nothing new again.
    write(&[&old, &new]);
    let said = rotated(3, args(None)).await;
    assert!(said.contains(&format!("wrapped by the master key {} now", id(&new))) && !said.contains("SAME"), "{said}");
    assert!(rotated(4, args(Some(Master::Keep))).await.contains("SAME"));
    assert!(!rotated(5, args(Some(Master::New))).await.contains("SAME"));
}

#[test]
fn what_is_left_to_do_is_said() {
    let done = storage::Resealed { looked_at: 3, resealed: 2, damaged: 1, ..storage::Resealed::default() };
    let said = told(&done, true);
    assert!(
        said.contains("its key is gone: 1 value.") && said.contains("run `portico keys reseal` once more"),
        "{said}"
    );
    let moment = Timestamp::from_seconds;
    let said = told(&storage::Resealed { removable_from: Some((moment(0), moment(0))), ..done }, false);
    assert!(said.contains("They can be removed from 1970-01-01T00:00:00Z on, by"), "{said}");
    let said = told(&storage::Resealed { removable_from: Some((moment(0), moment(60))), ..done }, false);
    let both =
        "The first of them can be removed from 1970-01-01T00:00:00Z on, the last from 1970-01-01T00:01:00Z on, by";
    assert!(said.contains(both), "{said}");
    let said = told(&storage::Resealed { unheard: 1, ..done }, false);
    assert!(said.contains("because of 1 replica that did not say"), "{said}");
}

#[test]
fn commands_about_keys_make_no_installation() {
    let world = World::new();
    assert!(must_be_there(&world.config()).unwrap_err().to_string().contains("no installation"));
    assert!(!world.config().data.exists());
}

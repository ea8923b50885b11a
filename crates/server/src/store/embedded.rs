//! One directory: SQLite, and what may be lost in memory.

use std::sync::Arc;

use anyhow::Context as _;
use model::{Clock, Entropy};
use storage::{Bus, LocalBus, Memory, Sealed, Sealer, Split, WrappedKeys, usage::Direct};
use storage_sqlite::{OpenOptions, Sqlite, SqliteKeys};

use super::{Backend, Opened, Probe, Store, master};
use crate::{DataDir, config::MasterKeyConfig};

/// The two databases of a directory.
#[derive(Clone)]
pub(super) struct Embedded {
    sqlite: Sqlite,
    keys: Arc<SqliteKeys>,
}

impl Embedded {
    pub(super) async fn close(&self) {
        self.sqlite.close().await;
        self.keys.close().await;
    }
}

/// Opens a directory's store, and makes what is not there.
pub(super) async fn open(
    dir: &DataDir,
    master: &MasterKeyConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> anyhow::Result<Store> {
    let what = || format!("the store in {} cannot be opened", dir.path().display());
    let master = match master {
        MasterKeyConfig::DataDirectory => master::file(&dir.master_key(&*entropy)?)?,
        given => master::given(given)?,
    };
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
    let keys = Arc::new(SqliteKeys::open(&dir.keys(), OpenOptions::default()).await.with_context(what)?);
    let sealer = Sealer::open_ring(master, Arc::clone(&keys) as _, Arc::clone(&clock), Arc::clone(&entropy)).await;
    let sealer = Arc::new(sealer.with_context(what)?);
    let (path, options) = (dir.database(), OpenOptions::default());
    let sqlite = Sqlite::open(&path, options, Arc::clone(&sealer), Arc::clone(&clock), Arc::clone(&bus));
    let sqlite = sqlite.await.with_context(what)?;
    let memory = Arc::new(Memory::new(Arc::clone(&clock)));
    let split = Split::new(Arc::new(sqlite.clone()), Arc::clone(&memory) as _);
    let repos = sqlite.repos();
    Ok(Store {
        backends: vec![Backend {
            name: "sqlite",
            place: path.display().to_string(),
            probe: Probe::Records(Arc::clone(&repos.changes)),
        }],
        spool: Arc::new(Direct::new(Arc::clone(&repos.usage), Arc::clone(&clock))),
        queue: None,
        repos,
        kv: Arc::new(Sealed::new(split, Arc::clone(&sealer))),
        sealer,
        keys: Arc::clone(&keys) as Arc<dyn WrappedKeys>,
        bus,
        clock,
        entropy,
        maintenance: vec![Arc::new(sqlite.clone()), memory],
        columns: vec![Arc::new(sqlite.clone())],
        opened: Opened::Embedded(Embedded { sqlite, keys }),
    })
}

//! Databases of a test's own, on the server that `TEST_POSTGRES` leads to.

use std::{
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use model::{Clock, ManualClock, Secret, Timestamp};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use storage::{Bus, Collection, Durability, Owner, Place, Sealer, conformance};
use tokio::sync::OnceCell;

use crate::{Postgres, PostgresKeys, PostgresOptions, migrating};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Databases that are dropped with it.
#[derive(Default)]
pub(super) struct Places(Mutex<Vec<String>>);

impl Places {
    /// A new, empty database.
    pub(super) async fn empty(&self) -> PostgresOptions {
        self.database("template0").await
    }

    /// A new database whose schemas are up to date, that of the keys as well.
    pub(super) async fn migrated(&self) -> PostgresOptions {
        let template = TEMPLATE.get_or_init(template).await;
        self.database(template).await
    }

    async fn database(&self, template: &str) -> PostgresOptions {
        let name = format!("t_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut server = server_connection().await;
        server.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).await.unwrap();
        server.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"))).await.unwrap();
        self.0.lock().unwrap().push(name.clone());
        on_server(&name)
    }

    /// A store of its own.
    pub(super) async fn store(&self, clock: Arc<dyn Clock>) -> Postgres {
        let options = self.migrated().await;
        connect(&options, conformance::sealer().await, clock).await
    }

    /// A store of its own whose hints go over `bus`.
    pub(super) async fn with_bus(&self, clock: Arc<dyn Clock>, bus: Arc<dyn Bus>) -> Postgres {
        let options = self.migrated().await;
        Postgres::connect(&options, conformance::sealer().await, clock, Some(bus)).await.unwrap()
    }

    /// Keys of its own.
    pub(super) async fn keys(&self) -> PostgresKeys {
        PostgresKeys::connect(&self.migrated().await).await.unwrap()
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let names = std::mem::take(&mut *self.0.lock().unwrap());
        // On a thread, because the test's own runtime cannot wait here.
        let drop = async move {
            let mut server = PgConnection::connect(&server()).await?;
            for name in names {
                server.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await?;
            }
            Ok::<_, sqlx::Error>(())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dropped = thread::spawn(move || runtime.block_on(drop)).join().unwrap();
        if !thread::panicking() {
            dropped.unwrap();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests find their servers in the environment")]
pub(super) fn server() -> String {
    std::env::var("TEST_POSTGRES").expect(
        "TEST_POSTGRES is not set: run `cargo xtask test`, or `cargo xtask services -- cargo nextest run \
         --profile ci -p storage-postgres`",
    )
}

async fn server_connection() -> PgConnection {
    PgConnection::connect(&server()).await.expect("TEST_POSTGRES leads to a server")
}

/// A database of the server's.
fn on_server(name: &str) -> PostgresOptions {
    let url = server();
    let (base, _) = url.rsplit_once('/').expect("a URL has a path");
    options(&format!("{base}/{name}"))
}

static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// Makes a database with these very schemas, to be copied, unless another test already has. Migrating each
/// database by itself takes most of the time of a suite.
async fn template() -> String {
    let name = format!("template_{}", migrating::fingerprint());
    let mut server = server_connection().await;
    server.execute("SELECT pg_advisory_lock(7)").await.unwrap();
    let there = sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)");
    if !there.bind(&name).fetch_one(&mut server).await.unwrap() {
        let half = format!("{name}_half");
        server.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {half}"))).await.unwrap();
        server.execute(AssertSqlSafe(format!("CREATE DATABASE {half} TEMPLATE template0"))).await.unwrap();
        Postgres::migrate(&on_server(&half)).await.unwrap();
        PostgresKeys::migrate(&on_server(&half)).await.unwrap();
        server.execute(AssertSqlSafe(format!("ALTER DATABASE {half} RENAME TO {name}"))).await.unwrap();
    }
    name
}

pub(super) fn options(url: &str) -> PostgresOptions {
    PostgresOptions::new(Secret::new(url.to_owned()))
}

pub(super) async fn connect(options: &PostgresOptions, sealer: Arc<Sealer>, clock: Arc<dyn Clock>) -> Postgres {
    Postgres::connect(options, sealer, clock, None).await.unwrap()
}

/// A connection that the store knows nothing of.
pub(super) async fn observer(options: &PostgresOptions) -> PgConnection {
    PgConnection::connect(options.url.expose()).await.unwrap()
}

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)))
}

const COLLECTION: Collection = Collection { name: "things", durability: Durability::Durable, format: 1, reads: &[] };

pub(super) fn at(key: &str) -> Place<'_> {
    Place { owner: Owner::Platform, collection: COLLECTION, key }
}

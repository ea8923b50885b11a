//! Bringing a schema up to date, and finding out whether it is.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, Connection as _, Executor, PgConnection, Postgres,
    migrate::{AppliedMigration, Migrate as _, MigrateError, Migrator},
};
use storage::{Result, StorageError};
use tokio::time::timeout;

use crate::{database::Database, failed, failure, options::PostgresOptions};

/// How long a run may take, waiting for another one included.
const LIMIT: Duration = Duration::from_mins(10);

/// The migrations of one schema, and how those that were applied are looked up.
pub(crate) struct Schema {
    migrator: &'static Migrator,
    /// The Postgres schema, if it is not the default one.
    own: Option<&'static str>,
    table: &'static str,
    list: &'static str,
}

static DATA_MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");
static KEYS_MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres-keys");

/// The schema of the data.
pub(crate) static DATA: Schema = Schema {
    migrator: &DATA_MIGRATIONS,
    own: None,
    table: "_sqlx_migrations",
    list: "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version",
};

/// The schema of the wrapped keys.
pub(crate) static KEYS: Schema = Schema {
    migrator: &KEYS_MIGRATIONS,
    own: Some("portico_keys"),
    table: "portico_keys._sqlx_migrations",
    list: "SELECT version, checksum, success FROM portico_keys._sqlx_migrations ORDER BY version",
};

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations this run applied; none if the schema was up to date.
    pub applied: usize,
}

/// Applies what is missing, under a lock of the database that everybody who migrates takes.
pub(crate) async fn migrate(options: &PostgresOptions, schema: &Schema) -> Result<Migrated> {
    let late = |_| failed(sqlx::Error::PoolTimedOut);
    let connect = options.patient()?;
    let mut connection = timeout(options.acquire, connect.connect()).await.map_err(late)?.map_err(failed)?;
    // Most starts find nothing to do, and need neither the lock nor patience.
    let applied = timeout(options.deadline, schema.applied(&mut connection)).await.map_err(late)??;
    if schema.compare(&applied)?.is_none() {
        return Ok(Migrated { applied: 0 });
    }
    let run = async {
        connection.lock().await.map_err(|error| schema.cannot(error))?;
        // A migration that waits for a table lets everybody else wait behind it: better to give up and be
        // started again.
        sqlx::query("SET lock_timeout = '3s'").execute(&mut connection).await.map_err(failed)?;
        let migrated = schema.run(&mut connection).await;
        // The lock goes with the connection, whatever happened.
        connection.close().await.map_err(failed)?;
        migrated
    };
    timeout(LIMIT, run).await.map_err(StorageError::unavailable)?
}

/// Refuses a database whose schema is not exactly the one of this version.
pub(crate) async fn check(database: &Database, schema: &Schema) -> Result<()> {
    match schema.compare(&schema.applied(database).await?)? {
        None => Ok(()),
        Some(_) => Err(StorageError::Missing("the schema of this version (`portico migrate` makes it)")),
    }
}

impl Schema {
    /// What was applied; nothing if nobody ever migrated.
    async fn applied<'c>(&self, on: impl Executor<'c, Database = Postgres>) -> Result<Vec<AppliedMigration>> {
        let rows = match sqlx::query_as::<_, (i64, Vec<u8>, bool)>(self.list).fetch_all(on).await {
            Ok(rows) => rows,
            // 42P01: no such table; 3F000: no such schema.
            Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "3F000")) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed(error)),
        };
        if rows.iter().any(|(.., success)| !success) {
            return Err(interrupted());
        }
        let applied = rows.into_iter();
        Ok(applied.map(|(version, checksum, _)| AppliedMigration { version, checksum: checksum.into() }).collect())
    }

    async fn run(&self, connection: &mut PgConnection) -> Result<Migrated> {
        if let Some(own) = self.own {
            connection.create_schema_if_not_exists(own).await.map_err(|error| self.cannot(error))?;
        }
        connection.ensure_migrations_table(self.table).await.map_err(|error| self.cannot(error))?;
        // Again, now that nobody else can be at it.
        let applied = self.applied(&mut *connection).await?;
        self.compare(&applied)?;
        let migrator = Migrator {
            migrations: self.migrator.migrations.clone(),
            locking: false,
            table_name: self.table.into(),
            ..Migrator::DEFAULT
        };
        migrator.run_direct(None, connection, false).await.map_err(|error| self.cannot(error))?;
        Ok(Migrated { applied: self.migrator.iter().count() - applied.len() })
    }

    /// Which migration is the first that was not applied, if all that were are the ones of this version.
    fn compare(&self, applied: &[AppliedMigration]) -> Result<Option<i64>> {
        let known = |version| self.migrator.iter().find(|known| known.version == version);
        for applied in applied {
            match known(applied.version) {
                Some(known) if known.checksum == applied.checksum => {}
                None if applied.version > self.newest() => return Err(self.newer(applied.version)),
                _ => return Err(other()),
            }
        }
        let missing = self.migrator.iter().find(|known| !applied.iter().any(|done| done.version == known.version));
        Ok(missing.map(|missing| missing.version))
    }

    /// How many migrations there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.migrator.iter().count()
    }

    /// The version of the newest migration that this version of Portico has.
    pub(crate) fn newest(&self) -> i64 {
        self.migrator.iter().map(|migration| migration.version).max().unwrap_or_default()
    }

    fn newer(&self, version: i64) -> StorageError {
        StorageError::Newer(format!("its schema is {version}, this version knows {}", self.newest()))
    }

    fn cannot(&self, error: MigrateError) -> StorageError {
        match error {
            MigrateError::VersionMissing(version) if version > self.newest() => self.newer(version),
            MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => other(),
            MigrateError::Dirty(_) => interrupted(),
            MigrateError::Execute(error) => failed(error),
            MigrateError::ExecuteMigration(error, version) => failure::of_migration(version, error),
            other => StorageError::unavailable(other),
        }
    }
}

/// Names the present schemas: another one for other migrations.
#[cfg(test)]
pub(crate) fn fingerprint() -> String {
    let all = DATA.migrator.iter().chain(KEYS.migrator.iter());
    let sum = all.flat_map(|migration| migration.checksum.iter()).fold(0_u64, |sum, byte| {
        // FNV-1a: enough to tell our own files apart.
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{sum:016x}")
}

fn interrupted() -> StorageError {
    StorageError::damaged("the schema", "a migration was interrupted")
}

fn other() -> StorageError {
    StorageError::damaged("the schema", "it was made by other migrations than this version has")
}

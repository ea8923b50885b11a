//! Bringing a schema up to date, and finding out whether it is.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    migrate::{AppliedMigration, Migrate as _, MigrateError, Migrator},
};
use storage::{Result, StorageError};
use tokio::time::timeout;

use crate::{database::Database, failed, options::PostgresOptions};

/// How long a run may take, waiting for another one included.
const LIMIT: Duration = Duration::from_mins(10);

/// The migrations of one schema, and how those that were applied are looked up.
pub(crate) struct Schema {
    migrator: &'static Migrator,
    /// The Postgres schema, if it is not the default one.
    own: Option<&'static str>,
    table: &'static str,
    applied: &'static str,
}

static DATA_MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");
static KEYS_MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres-keys");

/// The schema of the data.
pub(crate) static DATA: Schema = Schema {
    migrator: &DATA_MIGRATIONS,
    own: None,
    table: "_sqlx_migrations",
    applied: "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version",
};

/// The schema of the wrapped keys.
pub(crate) static KEYS: Schema = Schema {
    migrator: &KEYS_MIGRATIONS,
    own: Some("portico_keys"),
    table: "portico_keys._sqlx_migrations",
    applied: "SELECT version, checksum, success FROM portico_keys._sqlx_migrations ORDER BY version",
};

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations this run applied; none if the schema was up to date.
    pub applied: usize,
}

/// Applies what is missing, under a lock of the database that everybody who migrates takes.
pub(crate) async fn migrate(options: &PostgresOptions, schema: &Schema) -> Result<Migrated> {
    let connect = options.patient()?;
    let run = async {
        let mut connection = timeout(options.acquire, connect.connect())
            .await
            .map_err(|_| StorageError::unavailable(sqlx::Error::PoolTimedOut))?
            .map_err(failed)?;
        connection.lock().await.map_err(|error| schema.cannot(error))?;
        let migrated = schema.run(&mut connection).await;
        // The lock goes with the connection, whatever happened.
        connection.close().await.map_err(failed)?;
        migrated
    };
    timeout(LIMIT, run).await.map_err(StorageError::unavailable)?
}

/// Refuses a database whose schema is not exactly the one of this version.
pub(crate) async fn check(database: &Database, schema: &Schema) -> Result<()> {
    let rows = sqlx::query_as::<_, (i64, Vec<u8>, bool)>(schema.applied).fetch_all(database).await;
    let rows = match rows {
        Ok(rows) => rows,
        // 42P01: no such table; 3F000: no such schema.
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "3F000")) => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    if rows.iter().any(|(.., success)| !success) {
        return Err(StorageError::damaged("the schema", "a migration was interrupted"));
    }
    let applied =
        rows.into_iter().map(|(version, checksum, _)| AppliedMigration { version, checksum: checksum.into() });
    schema
        .compare(&applied.collect::<Vec<_>>())?
        .map_or(Ok(()), |_missing| Err(StorageError::Missing("a schema of this version (run `portico migrate`)")))
}

impl Schema {
    async fn run(&self, connection: &mut PgConnection) -> Result<Migrated> {
        if let Some(own) = self.own {
            connection.create_schema_if_not_exists(own).await.map_err(|error| self.cannot(error))?;
        }
        connection.ensure_migrations_table(self.table).await.map_err(|error| self.cannot(error))?;
        let applied = connection.list_applied_migrations(self.table).await.map_err(|error| self.cannot(error))?;
        // Found out here as well so that it is reported the same way as when connecting.
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

    fn newest(&self) -> i64 {
        self.migrator.iter().map(|migration| migration.version).max().unwrap_or_default()
    }

    fn newer(&self, version: i64) -> StorageError {
        StorageError::Newer(format!("its schema is {version}, this version knows {}", self.newest()))
    }

    fn cannot(&self, error: MigrateError) -> StorageError {
        match error {
            MigrateError::VersionMissing(version) if version > self.newest() => self.newer(version),
            MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => other(),
            MigrateError::Dirty(_) => StorageError::damaged("the schema", "a migration was interrupted"),
            other => StorageError::unavailable(other),
        }
    }
}

fn other() -> StorageError {
    StorageError::damaged("the schema", "it was made by other migrations than this version has")
}

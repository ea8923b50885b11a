//! Archives of a file: the only SQL here that is put together when it runs. Its names are those of
//! [`TABLES`](storage::archive::TABLES) and no others.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream::BoxStream};
use model::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection, Transaction, sqlite::SqliteRow};
use storage::{
    ALIVE, StorageError,
    archive::{Archive, ArchiveError, Cell, Counter, Fill, Kind, Result, Row, Schema, Snapshot, TABLES, Table},
};

use crate::{
    SCHEMA,
    database::{Database, OpenOptions, beside},
    failed,
};

/// A data file, to be read into an archive or filled from one. It needs no keys: what is sealed stays sealed.
#[derive(Clone, Debug)]
pub struct SqliteArchive {
    path: Arc<Path>,
    options: OpenOptions,
    /// There if it may be filled.
    database: Option<Arc<Database>>,
}

impl SqliteArchive {
    /// An existing file. It is read beside whoever serves it, and never changed.
    pub fn of(path: &Path, options: OpenOptions) -> Self {
        Self { path: path.into(), options, database: None }
    }

    /// A file that is to be filled, in an existing directory. It is made if there is none, and its schema is
    /// brought up to date.
    pub async fn make(path: &Path, options: OpenOptions) -> storage::Result<Self> {
        let database = Some(Arc::new(Database::open(path, options, &SCHEMA).await?));
        Ok(Self { path: path.into(), options, database })
    }

    /// Waits for running calls and closes the file.
    pub async fn close(&self) {
        if let Some(database) = &self.database {
            database.close().await;
        }
    }

    async fn connection(&self) -> Result<SqliteConnection> {
        Ok(SqliteConnection::connect_with(&beside(&self.path, self.options)).await.map_err(failed)?)
    }
}

#[async_trait]
impl Archive for SqliteArchive {
    async fn schema(&self) -> Result<Schema> {
        let mut connection = self.connection().await?;
        let found = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)?;
        Ok(Schema { found, known: SCHEMA.iter().map(|migration| migration.version).max().unwrap_or_default() })
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        let mut connection = self.connection().await?;
        sqlx::query("BEGIN").execute(&mut connection).await.map_err(failed)?;
        // The moment is that of the first read.
        sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_one(&mut connection).await.map_err(failed)?;
        Ok(Box::new(Moment(connection)))
    }

    async fn fill(&self, now: Timestamp) -> Result<Box<dyn Fill>> {
        let database = self.database.as_ref();
        let database = database.ok_or_else(|| StorageError::unavailable("the file was opened to be read"))?;
        let mut transaction = database.writer().begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let serving: i64 = sqlx::query_scalar("SELECT count(*) FROM replica WHERE seen_at > ?")
            .bind((now - ALIVE).millis())
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        if serving > 0 {
            return Err(ArchiveError::Served(usize::try_from(serving).unwrap_or(usize::MAX)));
        }
        for table in TABLES {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM \"{}\")", table.name);
            let any = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await;
            if any.map_err(failed)? {
                return Err(ArchiveError::NotEmpty(table.name));
            }
        }
        Ok(Box::new(Filling(transaction)))
    }
}

/// A transaction that only reads; it ends with its connection.
struct Moment(SqliteConnection);

#[async_trait]
impl Snapshot for Moment {
    fn rows<'a>(&'a mut self, table: &'static Table) -> BoxStream<'a, Result<Row>> {
        let columns: Vec<_> = table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let sql = format!("SELECT {} FROM \"{}\"", columns.join(", "), table.name);
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut self.0);
        rows.map(move |row| cells(&row.map_err(failed)?, table)).boxed()
    }

    async fn counter(&mut self, counter: Counter) -> Result<i64> {
        let sql = match counter {
            Counter::Revision => "SELECT last FROM key_value_revision",
            Counter::Change => "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'change'",
        };
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.0).await.map_err(failed)?)
    }
}

fn cells(row: &SqliteRow, table: &Table) -> Result<Row> {
    let damaged = |reason| StorageError::damaged(table.name, reason);
    let cell = |(at, kind)| {
        let cell = match kind {
            Kind::Id | Kind::Bytes | Kind::Sealed => row.try_get::<Option<_>, _>(at)?.map(Cell::Bytes),
            Kind::Text => row.try_get::<Option<_>, _>(at)?.map(Cell::Text),
            Kind::Integer | Kind::Flag => row.try_get::<Option<_>, _>(at)?.map(Cell::Integer),
        };
        Ok((kind, cell.unwrap_or(Cell::Null)))
    };
    let found = table.columns.iter().map(|column| column.kind).enumerate().map(cell);
    let found = found.collect::<sqlx::Result<Vec<_>>>().map_err(|_| damaged("a cell is of another type"))?;
    let flag = |(kind, cell)| match (kind, cell) {
        (Kind::Flag, Cell::Integer(0)) => Ok(Cell::Flag(false)),
        (Kind::Flag, Cell::Integer(1)) => Ok(Cell::Flag(true)),
        (Kind::Flag, Cell::Integer(_)) => Err(damaged("a flag is neither 0 nor 1").into()),
        (_, cell) => Ok(cell),
    };
    found.into_iter().map(flag).collect()
}

/// A transaction that fills the file.
struct Filling(Transaction<'static, sqlx::Sqlite>);

#[async_trait]
impl Fill for Filling {
    async fn insert(&mut self, table: &'static Table, rows: &[Row]) -> Result<()> {
        let columns: Vec<_> = table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let values = vec!["?"; columns.len()].join(", ");
        let sql = format!("INSERT INTO \"{}\" ({}) VALUES ({values})", table.name, columns.join(", "));
        for row in rows {
            let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
            for cell in row {
                query = match cell {
                    Cell::Null => query.bind(None::<i64>),
                    Cell::Bytes(bytes) => query.bind(bytes.clone()),
                    Cell::Text(text) => query.bind(text.clone()),
                    Cell::Integer(number) => query.bind(*number),
                    Cell::Flag(flag) => query.bind(*flag),
                };
            }
            query.execute(&mut *self.0).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn set(&mut self, counter: Counter, value: i64) -> Result<()> {
        let sql = match counter {
            Counter::Revision => "UPDATE key_value_revision SET last = ?",
            // What follows this row gets greater numbers (AUTOINCREMENT).
            Counter::Change => "INSERT INTO change (sequence, kind, subject) VALUES (?, 'signing-keys', zeroblob(16))",
        };
        sqlx::query(sql).bind(value).execute(&mut *self.0).await.map_err(failed)?;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        Ok(self.0.commit().await.map_err(failed)?)
    }
}

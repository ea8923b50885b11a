//! Archives of a database: the only SQL here that is put together when it runs. Its names are those of
//! [`TABLES`](storage::archive::TABLES) and no others.

mod copy;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream::BoxStream};
use model::Timestamp;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _, postgres::PgRow};
use storage::{
    ALIVE, StorageError,
    archive::{Archive, ArchiveError, Cell, Counter, Fill, Kind, Result, Row, Schema, Snapshot, TABLES, Table},
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{failed, migrating, options::PostgresOptions};

/// A database that is read into an archive or filled from one. It needs no keys: what is sealed stays sealed.
///
/// Each use has a connection of its own, and as long as it takes: no deadlines here.
#[derive(Clone, Debug)]
pub struct PostgresArchive(PostgresOptions);

impl PostgresArchive {
    /// A database whose schema is there. It may be served while it is read.
    pub fn of(options: &PostgresOptions) -> Self {
        Self(options.clone())
    }

    async fn connection(&self) -> Result<PgConnection> {
        // Who reads or writes the files may be slow, and while we wait for them the transaction is idle.
        let options = self.0.patient()?.options([("idle_in_transaction_session_timeout", "10min")]);
        let connection = timeout(self.0.acquire, options.connect()).await;
        Ok(connection.map_err(|_| failed(sqlx::Error::PoolTimedOut))?.map_err(failed)?)
    }
}

#[async_trait]
impl Archive for PostgresArchive {
    async fn schema(&self) -> Result<Schema> {
        let found = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&mut self.connection().await?)
            .await;
        let found = match found {
            // 42P01: no such table.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => 0,
            found => found.map_err(failed)?,
        };
        Ok(Schema { found, known: migrating::DATA.newest() })
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        let mut connection = self.connection().await?;
        run(&mut connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        // The moment is that of the first statement after BEGIN.
        run(&mut connection, "SELECT 1").await?;
        Ok(Box::new(Moment(connection)))
    }

    async fn fill(&self, now: Timestamp) -> Result<Box<dyn Fill>> {
        let mut connection = self.connection().await?;
        run(&mut connection, "BEGIN").await?;
        // Whoever serves it may read, and waits with every write until we are done.
        run(&mut connection, "SET LOCAL lock_timeout = '10s'").await?;
        let names: Vec<_> = TABLES.iter().map(|table| format!("\"{}\"", table.name)).collect();
        let lock = format!("LOCK TABLE {}, change IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
        sqlx::query(AssertSqlSafe(lock)).execute(&mut connection).await.map_err(failed)?;
        let serving: i64 = sqlx::query_scalar("SELECT count(*) FROM replica WHERE seen_at > $1")
            .bind((now - ALIVE).millis())
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        if serving > 0 {
            return Err(ArchiveError::Served(usize::try_from(serving).unwrap_or(usize::MAX)));
        }
        let any = |table: &Table| format!("EXISTS (SELECT FROM \"{}\")", table.name);
        let sql = format!("SELECT ARRAY[{}]", TABLES.iter().map(any).collect::<Vec<_>>().join(", "));
        let any: Vec<bool> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.map_err(failed)?;
        match TABLES.iter().zip(any).find(|(_, any)| *any) {
            Some((table, _)) => Err(ArchiveError::NotEmpty(table.name)),
            None => Ok(Box::new(Filling(connection))),
        }
    }
}

async fn run(connection: &mut PgConnection, sql: &'static str) -> Result<()> {
    sqlx::query(sql).execute(connection).await.map_err(failed)?;
    Ok(())
}

/// A transaction that only reads; it ends with its connection.
struct Moment(PgConnection);

#[async_trait]
impl Snapshot for Moment {
    fn rows<'a>(&'a mut self, table: &'static Table) -> BoxStream<'a, Result<Row>> {
        let column = |column: &storage::archive::Column| match column.kind {
            Kind::Integer => format!("\"{}\"::bigint", column.name),
            _ => format!("\"{}\"", column.name),
        };
        let columns: Vec<_> = table.columns.iter().map(column).collect();
        let sql = format!("SELECT {} FROM \"{}\"", columns.join(", "), table.name);
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch(&mut self.0);
        rows.map(move |row| cells(&row.map_err(failed)?, table)).boxed()
    }

    async fn counter(&mut self, counter: Counter) -> Result<i64> {
        // Sequences belong to no transaction: at least what it was at the moment.
        let sql = match counter {
            // The view shows it to a role that may only use it, as the one that serves.
            Counter::Revision => {
                "SELECT coalesce(last_value, 0)
                 FROM pg_sequences
                 WHERE schemaname = current_schema() AND sequencename = 'key_value_revision'"
            }
            Counter::Change => "SELECT coalesce(max(sequence), 0) FROM change",
        };
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.0).await.map_err(failed)?)
    }
}

fn cells(row: &PgRow, table: &Table) -> Result<Row> {
    let cell = |(at, kind)| {
        let cell = match kind {
            Kind::Id => row.try_get::<Option<Uuid>, _>(at)?.map(|id| Cell::Bytes(id.as_bytes().to_vec())),
            Kind::Bytes | Kind::Sealed => row.try_get::<Option<_>, _>(at)?.map(Cell::Bytes),
            Kind::Text => row.try_get::<Option<_>, _>(at)?.map(Cell::Text),
            Kind::Integer => row.try_get::<Option<_>, _>(at)?.map(Cell::Integer),
            Kind::Flag => row.try_get::<Option<_>, _>(at)?.map(Cell::Flag),
        };
        Ok(cell.unwrap_or(Cell::Null))
    };
    let row = table.columns.iter().map(|column| column.kind).enumerate().map(cell).collect::<sqlx::Result<_>>();
    Ok(row.map_err(|_| StorageError::damaged(table.name, "a cell is of another type"))?)
}

/// A transaction that fills the database. The connection is its own: closed, it rolls back.
struct Filling(PgConnection);

#[async_trait]
impl Fill for Filling {
    async fn insert(&mut self, table: &'static Table, rows: &[Row]) -> Result<()> {
        let columns: Vec<_> = table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let sql = format!("COPY \"{}\" ({}) FROM STDIN", table.name, columns.join(", "));
        let mut copy = self.0.copy_in_raw(&sql).await.map_err(failed)?;
        let mut lines = Vec::new();
        for row in rows {
            copy::append(table, row, &mut lines);
        }
        copy.send(lines).await.map_err(failed)?;
        copy.finish().await.map_err(failed)?;
        Ok(())
    }

    async fn set(&mut self, counter: Counter, value: i64) -> Result<()> {
        let set = match counter {
            Counter::Revision => "SELECT setval('key_value_revision', $1)",
            Counter::Change => "SELECT setval(pg_get_serial_sequence('change', 'sequence'), $1)",
        };
        sqlx::query(set).bind(value).execute(&mut self.0).await.map_err(failed)?;
        if counter == Counter::Change {
            sqlx::query("INSERT INTO change (sequence, kind, subject) VALUES ($1, 'signing-keys', $2)")
                .bind(value)
                .bind(Uuid::nil())
                .execute(&mut self.0)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        run(&mut self.0, "COMMIT").await
    }
}

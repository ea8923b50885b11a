//! The one place where deadlines are kept: everything that is sent to Postgres goes through here.

use std::{fmt, io, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _, StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    postgres::{PgDatabaseError, PgQueryResult, PgRow, PgSeverity, PgStatement, PgTypeInfo},
};
use tokio::{
    runtime::Handle,
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Database,
    pool::{Held, Pool},
};

/// How long a transaction that was given up may take to roll back.
const ROLLBACK: Duration = Duration::from_secs(1);

/// What statements answer: counts and rows.
type Answer = Vec<Either<PgQueryResult, PgRow>>;

/// A connection on loan, for one operation with one deadline.
///
/// Invariant: it goes back to the pool only when its last statement was answered to the end and no
/// transaction is open. One that broke or was late takes the connections of its time with it; one whose
/// caller went away in the middle of a statement is closed.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    /// Gone only while it is dropped.
    held: Option<Held>,
    permit: Option<OwnedSemaphorePermit>,
    deadline: Instant,
    state: State,
    /// Whether a transaction is open.
    open: bool,
    /// Whether a statement of the open transaction failed: Postgres would answer a commit with success,
    /// and roll back.
    failed: bool,
}

/// What is known of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its last statement was answered.
    Sound,
    /// A statement runs, or was given up by its caller.
    Busy,
    /// It broke, or did not answer in time.
    Broken,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, held: Held, permit: OwnedSemaphorePermit, deadline: Instant) -> Self {
        let (held, permit) = (Some(held), Some(permit));
        Self { pool, held, permit, deadline, state: State::Sound, open: false, failed: false }
    }

    pub(super) async fn begin(&mut self, sql: &'static str) -> sqlx::Result<()> {
        // Set first: a transaction may be open although its begin was not answered.
        self.open = true;
        self.all(sql).await.map(drop)
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        if self.failed {
            return Err(sqlx::Error::Protocol("a transaction of which a statement failed was to be committed".into()));
        }
        self.all("COMMIT").await?;
        self.open = false;
        Ok(())
    }

    /// Runs a statement to the end of its answer. Not just to the first row, as sqlx would for
    /// `fetch_one`: the row of an `INSERT … RETURNING` comes before the commit, and what it says may
    /// still be undone.
    async fn all<'q, E: Execute<'q, Postgres> + 'q>(&mut self, query: E) -> sqlx::Result<Answer> {
        self.guarded(|connection| connection.fetch_many(query).try_collect().boxed()).await
    }

    async fn guarded<'a, T: 'a>(
        &'a mut self,
        work: impl FnOnce(&'a mut PgConnection) -> BoxFuture<'a, sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let Self { held, state, failed, deadline, .. } = self;
        *state = State::Busy;
        let connection = &mut held.as_mut().expect("held until the drop").connection;
        let answer = timeout_at(*deadline, work(connection)).await.unwrap_or_else(|_| Err(late()));
        *failed |= answer.is_err();
        *state = match &answer {
            Err(error) if breaks(error) => State::Broken,
            _ => State::Sound,
        };
        answer
    }
}

fn late() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "Postgres did not answer in time"))
}

/// What a connection does not get over, although Postgres answered: it has become a replica that takes no
/// writes (25006), or the statements that it prepared are gone (26000) or answer with other columns (0A000).
const LASTING: [&str; 3] = ["25006", "26000", "0A000"];

/// Whether a connection cannot be used after this.
fn breaks(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>().is_none_or(|error| {
            matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic) || LASTING.contains(&error.code())
        }),
        // Refused before anything was sent.
        sqlx::Error::Encode(_) => false,
        _ => true,
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(held), permit) = (self.held.take(), self.permit.take()) else { return };
        match (self.state, self.open) {
            (State::Broken, _) => self.pool.distrust(&held),
            // Closing it is all that can be done; the server then rolls back.
            (State::Busy, _) => {}
            (State::Sound, false) => self.pool.give_back(held),
            (State::Sound, true) => {
                // Without a runtime it is closed, which also rolls back.
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(roll_back(self.pool.clone(), held, permit));
                }
            }
        }
    }
}

/// Ends a transaction that nobody committed.
async fn roll_back(pool: Arc<Pool>, mut held: Held, permit: Option<OwnedSemaphorePermit>) {
    let ended = timeout(ROLLBACK, (&mut held.connection).execute("ROLLBACK")).await;
    match ended {
        Ok(Ok(_)) => pool.give_back(held),
        _ => pool.distrust(&held),
    }
    // Only now may somebody else have a connection.
    drop(permit);
}

/// A row of an answer, the first if there are several.
fn first(answer: Answer) -> Option<PgRow> {
    answer.into_iter().find_map(Either::right)
}

fn items(answer: sqlx::Result<Answer>) -> BoxStream<'static, sqlx::Result<Either<PgQueryResult, PgRow>>> {
    match answer {
        Ok(answer) => stream::iter(answer.into_iter().map(Ok)).boxed(),
        Err(error) => stream::iter([Err(error)]).boxed(),
    }
}

impl<'c> Executor<'c> for &'c mut Lease {
    type Database = Postgres;

    fn fetch_many<'e, 'q, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        'q: 'e,
        E: Execute<'q, Postgres> + 'q,
    {
        stream::once(async move { items(self.all(query).await) }).flatten().boxed()
    }

    fn fetch_optional<'e, 'q, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        'q: 'e,
        E: Execute<'q, Postgres> + 'q,
    {
        async move { self.all(query).await.map(first) }.boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        async move { self.guarded(|connection| connection.prepare_with(sql, parameters)).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        async move { self.guarded(|connection| connection.describe(sql)).await }.boxed()
    }
}

impl<'c> Executor<'c> for &'c Database {
    type Database = Postgres;

    fn fetch_many<'e, 'q, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        'q: 'e,
        E: Execute<'q, Postgres> + 'q,
    {
        let answer = async move { self.lease().await?.all(query).await };
        stream::once(async move { items(answer.await) }).flatten().boxed()
    }

    fn fetch_optional<'e, 'q, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        'q: 'e,
        E: Execute<'q, Postgres> + 'q,
    {
        async move { self.lease().await?.all(query).await.map(first) }.boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        async move { (&mut self.lease().await?).prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        async move { (&mut self.lease().await?).describe(sql).await }.boxed()
    }
}

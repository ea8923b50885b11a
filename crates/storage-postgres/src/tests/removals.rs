//! Removing what has many rows, and cleaning up.

use std::time::Duration;

use model::{BatchId, Clock as _, SystemClock, UserId};
use storage::{
    Keep, KeyValue as _, Maintenance as _, Owner, StorageError,
    conformance::{self, Bulk},
    repo::{BATCH_MEMORY, UsageBatch},
};

use super::{Places, at, clock};
use crate::Postgres;

/// How many rows one statement makes.
const ROWS: u32 = 10_000;

/// Makes rows `1` to `count` with a statement that has the first and the last as `$1` and `$2`.
async fn rows<'q>(
    store: &Postgres,
    count: u32,
    insert: &'static str,
    bind: impl Fn(
        sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>,
) {
    for first in (1..=count).step_by(ROWS as usize) {
        let last = count.min(first + ROWS - 1);
        let query = sqlx::query(insert).bind(i64::from(first)).bind(i64::from(last));
        bind(query).execute(store.read()).await.unwrap();
    }
}

async fn fill(store: &Postgres, bulk: &Bulk) {
    let Bulk { tenant, server, user, .. } = bulk;
    let (tenant, server, user) = (tenant.uuid(), server.uuid(), user.uuid());
    let insert = r#"INSERT INTO "grant" (id, tenant, "user", server, method, client_id, resource, scopes, state, created_at,
                                       expires_at)
                    SELECT gen_random_uuid(), $3, $4, $5, $6, $7, $8, 'mcp:read', 'active', $9, $10
                    FROM generate_series($1, $2)"#;
    rows(store, bulk.grants, insert, |query| {
        let query = query.bind(tenant).bind(user).bind(server).bind(bulk.method.clone()).bind(bulk.client.clone());
        query.bind(bulk.resource.clone()).bind(bulk.at.millis()).bind(bulk.until.millis())
    })
    .await;
    let insert = "INSERT INTO usage (tenant, server, hour, calls, errors)
                  SELECT $3, $4, hour * 3600000, 1, 0 FROM generate_series($1, $2) AS hour";
    rows(store, bulk.hours, insert, |query| query.bind(tenant).bind(server)).await;
    let insert = "INSERT INTO key_value (owner, collection, key, value, revision, format)
                  SELECT $3, 'vault', number::text, '\\x01', number, 1 FROM generate_series($1, $2) AS number";
    rows(store, bulk.values, insert, |query| query.bind(Owner::Tenant(bulk.tenant).to_string())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_conform() {
    let places = Places::default();
    let make = async |clock| {
        let store = places.store(clock).await;
        (store.repos(), store)
    };
    conformance::removals(make, fill).await;
}

/// What can be cleaned up is, although something before it cannot.
#[tokio::test]
async fn clean_up_goes_on_when_a_part_fails() {
    let places = Places::default();
    let clock = clock();
    let store = places.store(clock.clone()).await;
    store.put(at("k"), b"v", Keep::Until(clock.now())).await.unwrap();
    let batch = UsageBatch { id: BatchId::new(&SystemClock, &model::OsEntropy), counts: Vec::new() };
    store.repos().usage.add(&batch, clock.now()).await.unwrap();
    let user = Owner::User(UserId::new(&SystemClock, &model::OsEntropy)).to_string();
    for owner in ["nobody", &user] {
        sqlx::query("INSERT INTO shredding (owner) VALUES ($1)")
            .bind(owner.to_owned())
            .execute(store.read())
            .await
            .unwrap();
    }
    clock.advance(BATCH_MEMORY + Duration::from_hours(1));
    let failed = store.purge(clock.now(), 100).await;
    assert!(matches!(failed, Err(StorageError::Damaged { .. })), "{failed:?}");
    let left = async |table: &'static str| sqlx::query_scalar::<_, i64>(table).fetch_one(store.read()).await.unwrap();
    assert_eq!(left("SELECT count(*) FROM key_value").await, 0, "what comes before it");
    assert_eq!(left("SELECT count(*) FROM usage_batch").await, 0, "what comes after it");
    assert_eq!(left("SELECT count(*) FROM shredding").await, 1, "what is beside it");
}

//! Removing what has many rows, and cleaning up.

use std::time::Duration;

use model::{BatchId, Clock as _, OsEntropy, SystemClock, UserId};
use storage::{
    Keep, KeyValue as _, Maintenance as _, Owner, StorageError,
    conformance::{self, Bulk},
    repo::{BATCH_MEMORY, UsageBatch},
};

use super::{Files, at, clock, open};
use crate::Sqlite;

/// What `count` rows are made from.
const NUMBERS: &str = "WITH RECURSIVE numbers (number) AS (
    SELECT 1 WHERE ?1 > 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?1)";

async fn fill(store: &Sqlite, bulk: &Bulk) {
    let Bulk { tenant, server, user, .. } = bulk;
    let (tenant, server) = (tenant.bytes().as_slice(), server.bytes().as_slice());
    let mut write = store.write().await.unwrap();
    let insert = r#"INSERT INTO "grant" (id, tenant, "user", server, method, client_id, resource, scopes, state, created_at,
                                       expires_at)
                    SELECT randomblob(16), ?2, ?3, ?4, ?5, ?6, ?7, 'mcp:read', 'active', ?8, ?9 FROM numbers"#;
    sqlx::query(sqlx::AssertSqlSafe(format!("{NUMBERS} {insert}")))
        .bind(bulk.grants)
        .bind(tenant)
        .bind(user.bytes().as_slice())
        .bind(server)
        .bind(&bulk.method)
        .bind(&bulk.client)
        .bind(&bulk.resource)
        .bind(bulk.at.millis())
        .bind(bulk.until.millis())
        .execute(write.on())
        .await
        .unwrap();
    let insert = "INSERT INTO usage (tenant, server, hour, calls, errors)
                  SELECT ?2, ?3, number * 3600000, 1, 0 FROM numbers";
    let query = sqlx::query(sqlx::AssertSqlSafe(format!("{NUMBERS} {insert}")));
    query.bind(bulk.hours).bind(tenant).bind(server).execute(write.on()).await.unwrap();
    let insert = "INSERT INTO key_value (owner, collection, key, value, revision, format)
                  SELECT ?2, 'vault', CAST(number AS TEXT), x'01', number, 1 FROM numbers";
    let query = sqlx::query(sqlx::AssertSqlSafe(format!("{NUMBERS} {insert}")));
    query.bind(bulk.values).bind(Owner::Tenant(bulk.tenant).to_string()).execute(write.on()).await.unwrap();
    write.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_conform() {
    let files = Files::new();
    let make = async |clock| {
        let store = open(&files.next(), conformance::sealer().await, clock).await.unwrap();
        (store.repos(), store)
    };
    conformance::removals(make, fill).await;
}

/// What can be cleaned up is, although something before it cannot.
#[tokio::test]
async fn clean_up_goes_on_when_a_part_fails() {
    let (files, clock) = (Files::new(), clock());
    let store = open(&files.next(), conformance::sealer().await, clock.clone()).await.unwrap();
    store.put(at("k"), b"v", Keep::Until(clock.now())).await.unwrap();
    let batch = UsageBatch { id: BatchId::new(&SystemClock, &OsEntropy), counts: Vec::new() };
    store.repos().usage.add(&batch, clock.now()).await.unwrap();
    let user = Owner::User(UserId::new(&SystemClock, &OsEntropy)).to_string();
    for owner in ["nobody", &user] {
        let mut write = store.write().await.unwrap();
        sqlx::query("INSERT INTO shredding (owner) VALUES (?)").bind(owner).execute(write.on()).await.unwrap();
        write.commit().await.unwrap();
    }
    clock.advance(BATCH_MEMORY + Duration::from_hours(1));
    let failed = store.purge(clock.now(), 100).await;
    assert!(matches!(failed, Err(StorageError::Damaged { .. })), "{failed:?}");
    let left = async |count: &'static str| sqlx::query_scalar::<_, i64>(count).fetch_one(store.read()).await.unwrap();
    assert_eq!(left("SELECT count(*) FROM key_value").await, 0, "what comes before it");
    assert_eq!(left("SELECT count(*) FROM usage_batch").await, 0, "what comes after it");
    assert_eq!(left("SELECT count(*) FROM shredding").await, 1, "what is beside it");
}

//! Who may do what, and over what connection: TLS, and a role that may run Portico but not change its schema.

use std::{borrow::Cow, fs, process};

use rcgen::{CertificateParams, KeyPair};
use services::Durability;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use storage::{Keep, KeyValue as _, StorageError, conformance};

use super::{
    Places, at, clock,
    place::{connect, observer, options},
};
use crate::{Postgres, PostgresKeys, PostgresOptions};

const GUIDE: &str = include_str!("../../../../docs/storage.md");

/// The statements of the guide, for a role of another name.
fn grants(role: &str) -> String {
    let (_, from) = GUIDE.split_once("```sql\n").expect("the guide says what to grant");
    let (sql, _) = from.split_once("```").expect("it ends");
    assert!(sql.contains("TO portico_run"));
    sql.replace("portico_run", role)
}

/// The same database, as a role that has what the guide grants.
async fn as_role(options: &PostgresOptions, role: &str) -> PostgresOptions {
    let mut database = observer(options).await;
    database.execute(AssertSqlSafe(grants(role))).await.unwrap();
    let url = options.url.expose().replace("postgres://postgres@", &format!("postgres://{role}@"));
    assert_ne!(url, options.url.expose());
    self::options(&url)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_guide_grants_is_enough_and_not_more() {
    let places = Places::default();
    let role = format!("portico_run_{}", process::id());
    let server = places.empty().await;
    observer(&server).await.execute(AssertSqlSafe(format!("CREATE ROLE {role} LOGIN"))).await.unwrap();
    let prepared = async || as_role(&places.migrated().await, &role).await;
    conformance::changes(async |clock, bus| {
        let options = prepared().await;
        Postgres::connect(&options, conformance::sealer().await, clock, Some(bus)).await.unwrap().repos()
    })
    .await;
    conformance::maintenance(async |clock| connect(&prepared().await, conformance::sealer().await, clock).await).await;
    conformance::wrapped_keys(async || PostgresKeys::connect(&prepared().await).await.unwrap()).await;

    let options = prepared().await;
    assert_eq!(Postgres::migrate(&options).await.unwrap().applied, 0, "nothing to do needs no rights");
    let mut limited = PgConnection::connect(options.url.expose()).await.unwrap();
    for forbidden in [
        "UPDATE audit SET action = 'nothing'",
        "DELETE FROM audit",
        "DELETE FROM _sqlx_migrations",
        "DELETE FROM portico_keys._sqlx_migrations",
        "CREATE TABLE mine (id INTEGER)",
        "DROP TABLE key_value",
        "TRUNCATE key_value",
    ] {
        let refused = limited.execute(forbidden).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code().map(Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {refused}");
    }
    limited.close().await.unwrap();
    drop(places);
    let mut database = observer(&super::place::options(&super::place::server())).await;
    database.execute(AssertSqlSafe(format!("DROP ROLE {role}"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let parameters = || CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, stranger) = (parameters().self_signed(&key).unwrap(), parameters().self_signed(&other).unwrap());
    let server = services::Postgres::tls(Durability::Fast, &certificate.pem(), &key.serialize_pem()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let (known, unknown) = (home.path().join("known.pem"), home.path().join("unknown.pem"));
    fs::write(&known, certificate.pem()).unwrap();
    fs::write(&unknown, stranger.pem()).unwrap();
    let over = |root: &std::path::Path| {
        options(&format!("{}?sslmode=verify-full&sslrootcert={}", server.url(), root.display()))
    };
    let refused = Postgres::migrate(&over(&unknown)).await;
    assert!(matches!(refused, Err(StorageError::Unavailable(_))), "{refused:?}");
    let options = over(&known);
    Postgres::migrate(&options).await.unwrap();
    let store = connect(&options, conformance::sealer().await, clock()).await;
    store.put(at("k"), b"v", Keep::Forever).await.unwrap();
    let sealed: bool = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .fetch_one(store.read())
        .await
        .unwrap();
    assert!(sealed);
}

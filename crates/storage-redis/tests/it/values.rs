//! The promises of `KeyValue`.

use storage::{Sealed, conformance};

use crate::world::{REDIS, Server, VALKEY, connect, prefix};

async fn conform(server: Server) {
    conformance::key_value(async |clock| connect(&server.url(), &prefix(), clock).await).await;
}

async fn conform_sealed(server: Server) {
    conformance::key_value(async |clock| {
        let store = connect(&server.url(), &prefix(), clock).await;
        Sealed::new(store, conformance::sealer().await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms() {
    conform(REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms_sealed() {
    conform_sealed(REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_conforms() {
    conform(VALKEY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_conforms_sealed() {
    conform_sealed(VALKEY).await;
}

async fn look_after(server: Server) {
    conformance::maintenance(async |clock| connect(&server.url(), &prefix(), clock).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_looked_after() {
    look_after(REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_is_looked_after() {
    look_after(VALKEY).await;
}

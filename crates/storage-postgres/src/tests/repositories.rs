//! The relational records.

use storage::conformance;

use super::Places;

#[tokio::test(flavor = "multi_thread")]
async fn repositories_conform() {
    let places = Places::default();
    conformance::repositories(async |clock, bus| places.with_bus(clock, bus).await.repos()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn races_conform() {
    let places = Places::default();
    conformance::races(async |clock, bus| places.with_bus(clock, bus).await.repos()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trimming_conforms() {
    let places = Places::default();
    conformance::trimming(async |clock, bus| {
        let store = places.with_bus(clock, bus).await;
        (store.repos(), store)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_conform() {
    let places = Places::default();
    conformance::changes(async |clock, bus| places.with_bus(clock, bus).await.repos()).await;
}

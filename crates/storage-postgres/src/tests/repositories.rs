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
async fn changes_conform() {
    let places = Places::default();
    conformance::changes(async |clock, bus| places.with_bus(clock, bus).await.repos()).await;
}

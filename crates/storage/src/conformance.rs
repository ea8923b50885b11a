//! The suites that every backend calls from its tests, so that all of them keep the same promises.
//!
//! Each suite gets a function that makes a new, empty store; it is called once per test. A backend's whole
//! test is a call of each suite with its own `make`. Run them on a runtime with several threads, or the
//! races are none.

#![expect(clippy::unwrap_used, reason = "these are tests, although other crates call them")]

mod admissions;
mod archive;
mod changes;
mod clients;
mod connections;
mod grants;
mod key_value;
mod keys;
mod lists;
mod maintenance;
mod people;
mod races;
mod removals;
mod replicas;
mod rotations;
mod servers;
mod tenants;
mod trimming;
mod usage;
mod world;

use std::sync::Arc;

use model::Clock;

pub use self::{
    archive::Home,
    keys::{MemoryKeys, sealer},
    removals::Bulk,
};
use self::{keys::HidingKeys, world::World};
use crate::{Bus, KeyValue, LocalBus, Maintenance, SealedColumns, WrappedKeys, repo::Repos};

/// How many callers race.
const CALLERS: usize = 64;

/// The promises of [`Archive`](crate::archive::Archive): backups `from` one kind of database are restored `to` the same or another.
pub async fn archives(from: impl AsyncFn() -> Box<dyn Home>, to: impl AsyncFn() -> Box<dyn Home>) {
    archive::come_back_as_they_were(from().await, to().await).await;
    archive::end_what_is_to_end(from().await, to().await).await;
    archive::are_of_one_moment(from().await, to().await).await;
    archive::leave_a_shredded_owner_closed(from().await, to().await).await;
    archive::are_read_of_older_schemas(from().await, to().await).await;
    archive::keep_damaged_rows_as_they_are(&from, to().await).await;
    archive::know_which_keys_were_gone(&from, to().await).await;
}

/// What a restore refuses, leaving everything as it was. Files are cut and changed at `trials` places.
pub async fn refused_archives(
    from: impl AsyncFn() -> Box<dyn Home>,
    to: impl AsyncFn() -> Box<dyn Home>,
    trials: usize,
) {
    archive::cut_and_changed_files(from().await, to().await, trials).await;
    archive::foreign_files_and_keys(&from, to().await).await;
    archive::other_versions(from().await, to().await).await;
    archive::what_is_not_empty(&from, to().await).await;
    archive::other_keys_in_the_target(from().await, to().await).await;
}

/// What has any number of rows is removed in steps. `fill` makes the rows.
pub async fn removals<M: KeyValue + Maintenance>(
    make: impl AsyncFn(Arc<dyn Clock>) -> (Repos, M),
    fill: impl AsyncFn(&M, &Bulk),
) {
    let world = World::new();
    let (repos, store) = make(world.clock.clone()).await;
    removals::a_large_tenant_goes_in_steps(&world, &repos, &store, &fill).await;
    removals::every_grant_ends_whatever_they_rest_on(&world, &repos, &store, &fill).await;
}

/// The promises of [`KeyValue`].
pub async fn key_value<K: KeyValue + 'static>(make: impl AsyncFn(Arc<dyn Clock>) -> K) {
    let world = World::new();
    let fresh = async || Arc::new(make(world.clock.clone()).await);
    key_value::reads_what_was_written(&world, &*fresh().await).await;
    key_value::places_are_apart(&*fresh().await, &world).await;
    key_value::what_expired_is_absent(&world, &*fresh().await).await;
    key_value::insert_does_not_overwrite(&world, &*fresh().await).await;
    key_value::replace_needs_the_revision(&world, &*fresh().await).await;
    key_value::one_insert_wins(&world, fresh().await).await;
    key_value::one_take_wins(&world, fresh().await).await;
    key_value::one_replace_wins(&world, fresh().await).await;
    key_value::no_revision_comes_twice(&world, fresh().await).await;
}

/// The promises of [`Maintenance`], but for clean-up of what only the backend knows.
pub async fn maintenance<K: KeyValue + Maintenance + 'static>(make: impl AsyncFn(Arc<dyn Clock>) -> K) {
    let world = World::new();
    let fresh = async || make(world.clock.clone()).await;
    maintenance::finds_every_value_once(&world, &fresh().await).await;
    maintenance::finds_what_stays_while_others_come_and_go(&world, &fresh().await).await;
    maintenance::rewrites_exactly_one_write(&world, &fresh().await).await;
}

/// What clean-up leaves of the change feed.
pub async fn trimming<M: Maintenance>(make: impl AsyncFn(Arc<dyn Clock>, Arc<dyn Bus>) -> (Repos, M)) {
    let world = World::new();
    let (repos, store) = make(world.clock.clone(), Arc::new(LocalBus::default())).await;
    trimming::old_changes_go_once_all_have_them(&world, repos, &store).await;
}

/// The promises of [`SealedColumns`].
pub async fn sealed_columns<C: SealedColumns>(make: impl AsyncFn(Arc<dyn Clock>, Arc<dyn Bus>) -> (Repos, C)) {
    let world = World::new();
    let (repos, columns) = make(world.clock.clone(), Arc::new(LocalBus::default())).await;
    maintenance::finds_and_rewrites_every_column(&world, repos, &columns).await;
}

/// The promises of the repositories.
pub async fn repositories(make: impl AsyncFn(Arc<dyn Clock>, Arc<dyn Bus>) -> Repos) {
    let world = World::new();
    let fresh = async || make(world.clock.clone(), Arc::new(LocalBus::default())).await;
    people::come_back_as_they_were(&world, fresh().await).await;
    people::taken_leaves_nothing_written(&world, fresh().await).await;
    people::set_up_once(&world, fresh().await).await;
    people::set_up_is_closed_by_anybody(&world, fresh().await).await;
    people::leave_nothing_behind(&world, fresh().await).await;
    tenants::slugs_are_never_given_again(&world, fresh().await).await;
    tenants::show_what_a_request_needs(&world, fresh().await).await;
    tenants::removing_a_member_revokes(&world, fresh().await).await;
    tenants::go_with_all_they_own(&world, fresh().await).await;
    servers::live_and_die(&world, fresh().await).await;
    servers::slugs_are_never_given_again(&world, fresh().await).await;
    servers::a_draft_gives_its_slug_back(&world, fresh().await).await;
    servers::do_not_cross_tenants(&world, fresh().await).await;
    admissions::rest_on_rules(&world, fresh().await).await;
    admissions::go_with_their_rule(&world, fresh().await).await;
    admissions::leave_an_owner(&world, fresh().await).await;
    admissions::are_accepted_once(&world, fresh().await).await;
    admissions::end_with_a_block(&world, fresh().await).await;
    connections::come_back_as_they_were(&world, fresh().await).await;
    connections::go_with_what_rests_on_them(&world, fresh().await).await;
    clients::expire(&world, fresh().await).await;
    clients::hold_their_name(&world, fresh().await).await;
    clients::never_outgrow_the_cap(&world, fresh().await).await;
    clients::are_replaced_by_one(&world, fresh().await).await;
    clients::end_with_their_grants(&world, fresh().await).await;
    clients::of_a_tenant_are_its_own(&world, fresh().await).await;
    grants::one_redemption_wins(&world, fresh().await).await;
    grants::a_bad_code_is_no_code(&world, fresh().await).await;
    grants::rest_on_what_is_there(&world, fresh().await).await;
    grants::end_once(&world, fresh().await).await;
    grants::are_cleaned_up(&world, fresh().await).await;
    rotations::one_is_first(&world, fresh().await).await;
    rotations::siblings_are_few_and_soon(&world, fresh().await).await;
    rotations::an_ended_family_has_no_children(&world, fresh().await).await;
    rotations::a_lost_answer_is_given_again(&world, fresh().await).await;
    rotations::what_was_seen_was_not_lost(&world, fresh().await).await;
    rotations::unused_siblings_go(&world, fresh().await).await;
    grants::end_together(&world, fresh().await).await;
    grants::single_tokens_are_revoked_once(&world, fresh().await).await;
    grants::resource_servers_have_few_credentials(&world, fresh().await).await;
    keys::one_signing_key_is_first(&world, fresh().await).await;
    keys::one_rotation_wins(&world, fresh().await).await;
    lists::of_tenants_and_people_come_in_pages(&world, fresh().await).await;
    lists::of_servers_come_in_pages(&world, fresh().await).await;
    lists::of_grants_and_events_come_in_pages(&world, fresh().await).await;
    changes::the_log_is_apart_by_tenant(&world, fresh().await).await;
    usage::adds_up_once(&world, fresh().await).await;
    usage::of_one_batch_is_added_by_one(&world, fresh().await).await;
    usage::does_not_cross_tenants(&world, fresh().await).await;
    usage::goes_with_its_server_and_with_time(&world, fresh().await).await;
    replicas::are_seen_while_they_live(&world, fresh().await).await;
}

/// What the repositories promise of calls of different kinds that come at the same moment.
pub async fn races(make: impl AsyncFn(Arc<dyn Clock>, Arc<dyn Bus>) -> Repos) {
    let world = World::new();
    let fresh = async || make(world.clock.clone(), Arc::new(LocalBus::default())).await;
    races::a_revoked_grant_stays_revoked(&world, fresh().await).await;
    races::a_revoked_family_gets_no_child(&world, fresh().await).await;
    races::a_removed_member_has_no_grant(&world, fresh().await).await;
    races::what_a_grant_rests_on_goes_with_it(&world, fresh().await).await;
    races::one_tenant_gets_a_slug(&world, fresh().await).await;
    races::one_server_gets_a_slug(&world, fresh().await).await;
    races::a_deleted_tenant_gets_nothing_new(&world, fresh().await).await;
    races::set_up_and_a_person_of_the_same_name(&world, fresh().await).await;
    races::removals_do_not_wait_in_a_ring(&world, fresh().await).await;
}

/// The promises of the change feed.
pub async fn changes(make: impl AsyncFn(Arc<dyn Clock>, Arc<dyn Bus>) -> Repos) {
    let world = World::new();
    let bus = Arc::new(LocalBus::default());
    let fresh = async || make(world.clock.clone(), bus.clone()).await;
    changes::whatever_matters_is_in_the_feed(&world, fresh().await).await;
    changes::a_reader_misses_nothing(&world, fresh().await).await;
    changes::a_hint_follows_the_commit(&world, fresh().await, &*bus).await;
    changes::changed_keys_name_their_owner(&world, fresh().await).await;
    changes::what_fails_is_not_in_the_feed(&world, fresh().await).await;
}

/// The promises of [`WrappedKeys`].
pub async fn wrapped_keys<W: WrappedKeys + 'static>(make: impl AsyncFn() -> W) {
    let world = World::new();
    keys::come_back_in_order(&world, &make().await).await;
    keys::one_insert_wins(Arc::new(make().await)).await;
    keys::are_shredded_for_one_owner(&world, &make().await).await;
    keys::are_rewrapped_by_one(&world, Arc::new(make().await)).await;
    keys::are_counted_and_removed(&world, &make().await).await;
    keys::a_ring_survives_a_restart(Arc::new(make().await)).await;
}

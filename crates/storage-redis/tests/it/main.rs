//! The backend against real servers: a Redis at `TEST_REDIS`, a Valkey at `TEST_VALKEY`, and servers of its own
//! where one has to fail or to be special.

#![expect(clippy::unwrap_used, reason = "these are tests, and their helpers")]

mod hints;
mod observer;
mod outages;
mod races;
mod shapes;
mod usage;
mod values;
mod world;

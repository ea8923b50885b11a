//! The backend against real servers: a Redis at `TEST_REDIS` and a Valkey at `TEST_VALKEY`.

mod values;
mod world;

//! Real servers for tests and developer commands: Postgres, Redis, Valkey.

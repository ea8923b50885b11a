//! The binary's parts: command line, configuration, wiring, lifecycle. A library, so that tests drive the
//! same [`App`] without a socket.
//!
//! Invariants:
//! - Only [`config`] reads the environment.
//! - Only [`store`] names a backend, and only [`wiring`] says what is built from what.
//! - Nothing listens before everything is built.

mod app;
pub mod backup;
pub mod cli;
pub mod config;
mod counting;
mod data_dir;
mod draft;
mod health;
mod lifecycle;
mod listen;
mod master_file;
mod presence;
pub mod store;
mod telemetry;
mod timely;
mod waiting;
pub mod wiring;

pub use crate::{app::App, data_dir::DataDir, health::Health, store::Store};

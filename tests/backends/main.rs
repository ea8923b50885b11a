//! The real binary on real servers: races, crashes, outages, several replicas. `cargo xtask backends` builds it and
//! starts the servers.
#![expect(clippy::print_stdout, reason = "what was measured, and how to repeat it")]

mod crash;
mod installation;
mod instances;
mod load;
mod outages;
mod races;
mod replicas;
mod restore;
mod rotation;
mod settings;
mod stopping;
mod usage;

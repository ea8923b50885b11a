//! Declared state: what `portico apply` reads, compares and brings about.
//!
//! Invariants:
//! - Applying twice plans nothing the second time.
//! - Nothing is deleted without `prune`, and `prune` takes only what a file could have declared: people
//!   without a handle, and tenants they are in, stay; so does the last operator.
//! - Declared servers are live at once, without being contacted.

mod execute;
mod file;
mod plan;
mod step;

pub use self::{
    execute::ExecuteError,
    file::{DeclaredConnection, DeclaredRule, DeclaredServer, DeclaredTenant, DeclaredUser, File, FileError},
    plan::PlanError,
    step::{Plan, Step},
};

//! Formatting, clippy, rustdoc, the checked queries and the dependency policy.

mod licence;
mod policy;

use anyhow::Result;
use services::passes;

use crate::{command::cargo, machine::Machine, sqlx, tally::Tally};

/// Runs every check, also after one failed.
pub(crate) fn run(machine: &Machine) -> Result<Tally> {
    let clippy = ["clippy", "--locked", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    let mut doc = cargo(machine, &["doc", "--locked", "--quiet", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let mut tally = Tally::check(passes(&mut cargo(machine, &["fmt", "--all", "--check"]))?);
    tally += Tally::check(passes(&mut cargo(machine, &clippy))?);
    tally += Tally::check(passes(&mut doc)?);
    tally += Tally::check(sqlx::run(machine, true)?);
    tally += Tally::check(policy::holds(machine)?);
    Ok(tally)
}

//! `cargo xtask test`: everything that must pass before a change is merged.

use std::{fs, process::Stdio};

use anyhow::{Context as _, Result};
use services::{
    CHROMEDRIVER, CHROMIUM, FIREFOX, GECKODRIVER, POSTGRES, PYTHON, REDIS, VALKEY, WEBKIT, XVFB, answer, install, must,
    passes,
};

use crate::{
    backends,
    command::cargo,
    e2e, lint,
    machine::Machine,
    servers::{self, Servers},
    tally::Tally,
};

/// The version that the configuration in `.config/nextest.toml` was tried with.
const NEXTEST: &str = "0.9.143";

/// Installs what is missing, runs everything even after failures, closes with counts.
pub(crate) fn run(machine: &Machine) -> Result<bool> {
    install(&[PYTHON, POSTGRES, REDIS, VALKEY, CHROMIUM, CHROMEDRIVER, FIREFOX, GECKODRIVER, WEBKIT, XVFB])?;
    let mut tally = lint::run(machine)?;
    let servers = Servers::start()?;
    tally += nextest(machine, "ci", &[], |command| {
        command.envs(servers.environment());
    })?;
    drop(servers);
    tally += backends::run(machine, "backends", &[])?;
    tally += documentation(machine)?;
    tally += servers::check()?;
    tally += e2e::run(machine, &[])?;
    Ok(tally.close())
}

/// Runs tests under a profile of `.config/nextest.toml` and counts them from its report.
pub(crate) fn nextest(
    machine: &Machine,
    profile: &str,
    arguments: &[&str],
    with: impl FnOnce(&mut std::process::Command),
) -> Result<Tally> {
    if answer(&mut cargo(machine, &["nextest", "--version"])).is_none() {
        must(&mut cargo(machine, &["install", "--locked", "--quiet", "cargo-nextest", "--version", NEXTEST]))?;
    }
    // nextest keeps reports in the checkout, wherever cargo builds.
    let report = machine.root.join("target/nextest").join(profile).join("junit.xml");
    // A report of an earlier run must not be counted when this one does not compile.
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let mut command = cargo(machine, &["nextest", "run", "--locked", "--workspace", "--profile", profile]);
    with(command.args(arguments));
    let succeeded = passes(&mut command)?;
    let counted = fs::read_to_string(&report).ok().and_then(|report| Tally::junit(&report));
    // No report: nothing ran, because it did not compile or because no test matches.
    Ok(counted.unwrap_or_default().or_failed(succeeded && counted.is_some()))
}

/// The examples in the documentation, which nextest does not run.
fn documentation(machine: &Machine) -> Result<Tally> {
    let mut command = cargo(machine, &["test", "--locked", "--quiet", "--workspace", "--doc"]);
    println!("$ cargo test --workspace --doc");
    let output = command.stderr(Stdio::inherit()).output().context("cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        println!("{text}");
    }
    Ok(Tally::libtest(&text).or_failed(output.status.success()))
}

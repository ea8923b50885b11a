//! `cargo xtask backends` and `cargo xtask soak`: the real binary on real servers.

use anyhow::Result;
use services::{CADDY, DOCKER_COMPOSE, NGINX, SHELLCHECK, install, passes};

use crate::{command::cargo, machine::Machine, servers::Servers, suite, tally::Tally};

/// Builds the binary, starts the servers and runs those tests of a profile that match.
pub(crate) fn run(machine: &Machine, profile: &str, filter: &[String]) -> Result<Tally> {
    // Of the tests of the deployment.
    install(&[DOCKER_COMPOSE, SHELLCHECK, CADDY, NGINX])?;
    if !passes(&mut cargo(machine, &["build", "--locked", "--quiet", "--workspace", "--bin", "portico"]))? {
        return Ok(Tally::check(false));
    }
    let servers = Servers::start()?;
    let mut arguments = vec!["--test", "backends", "--test", "deployment", "--test", "it"];
    if profile == "soak" {
        arguments.extend(["--run-ignored", "ignored-only", "--no-capture"]);
    }
    arguments.extend(filter.iter().map(String::as_str));
    suite::nextest(machine, profile, &arguments, |command| {
        command.envs(servers.environment());
        command.env("TEST_BINARY", machine.target.join("debug/portico"));
        // What runs without a socket keeps its data there too.
        command.env("TEST_STORE", "postgres");
    })
}

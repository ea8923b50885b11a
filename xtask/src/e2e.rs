//! `cargo xtask e2e`: what the end-to-end tests need, then the tests.

use anyhow::Result;
use services::{
    CHROMEDRIVER, CHROMIUM, FIREFOX, GECKODRIVER, PYTHON, WEBKIT, XVFB, chromedriver, geckodriver, install, passes,
    webkitdriver,
};

use crate::{command::cargo, environments, machine::Machine, node, suite, tally::Tally};

/// Installs environments, builds the binary, starts a WebDriver server and runs the tests that match.
pub(crate) fn run(machine: &Machine, filter: &[String]) -> Result<Tally> {
    install(&[PYTHON, CHROMIUM, CHROMEDRIVER, FIREFOX, GECKODRIVER, WEBKIT, XVFB])?;
    let environments = environments::install_all(machine)?;
    let node = node::program(machine)?;
    if !passes(&mut cargo(machine, &["build", "--locked", "--quiet", "--workspace", "--bin", "portico"]))? {
        return Ok(Tally::check(false));
    }
    let (_chromedriver, webdriver) = chromedriver()?;
    let (_geckodriver, firefox) = geckodriver()?;
    let (_webkitdriver, webkit) = webkitdriver()?;
    let arguments: Vec<&str> = ["--test", "e2e"].into_iter().chain(filter.iter().map(String::as_str)).collect();
    suite::nextest(machine, "e2e", &arguments, |command| {
        command.env("E2E_BINARY", machine.target.join("debug/portico"));
        command.env("E2E_NODE", &node);
        command.env("E2E_WEBDRIVER", webdriver);
        command.env("E2E_FIREFOX", firefox);
        command.env("E2E_WEBKIT", webkit);
        // Errors say what was tried; where in the test they came from adds pages.
        command.env("RUST_LIB_BACKTRACE", "0");
        for (name, environment) in environments {
            command.env(format!("E2E_ENV_{}", name.replace('-', "_").to_uppercase()), environment);
        }
    })
}

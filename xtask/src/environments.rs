//! Python and Node environments for the end-to-end tests, one per client or server.
//!
//! Each folder below `tests` with a `requirements.txt` or a `package-lock.json` gets a directory in the
//! cache, named after the folder and a hash of what is pinned: a changed pin is a new environment, an
//! unchanged one is installed once per machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use services::must;
use sha2::{Digest as _, Sha256};

use crate::{machine::Machine, node};

/// A folder of the checkout that describes an environment.
enum Kind {
    Python,
    Node,
}

/// Every environment, as (name, folder below `tests`).
const ALL: [(&str, &str, Kind); 9] = [
    ("fastmcp-client", "clients/fastmcp", Kind::Python),
    ("python-sdk", "clients/python-sdk", Kind::Python),
    ("ts-client", "clients/ts-client", Kind::Node),
    ("ts-sdk", "clients/ts-sdk", Kind::Node),
    ("mcp-remote", "clients/mcp-remote", Kind::Node),
    ("fastmcp-server", "servers/fastmcp", Kind::Python),
    ("everything", "servers/everything", Kind::Node),
    ("oidc-provider", "idp/oidc-provider", Kind::Node),
    ("conformance", "conformance", Kind::Node),
];

/// The environments, installed: what the end-to-end tests need to know of each.
pub(crate) fn install_all(machine: &Machine) -> Result<Vec<(&'static str, PathBuf)>> {
    let install = |(name, folder, kind): &(&'static str, &'static str, Kind)| {
        let folder = machine.root.join("tests").join(folder);
        let environment = match kind {
            Kind::Python => python(machine, name, &folder),
            Kind::Node => npm(machine, name, &folder),
        };
        Ok((*name, environment.with_context(|| format!("the environment {name}"))?))
    };
    ALL.iter().map(install).collect()
}

/// A virtual environment with what `requirements.txt` pins.
pub(crate) fn python(machine: &Machine, name: &str, folder: &Path) -> Result<PathBuf> {
    let requirements = folder.join("requirements.txt");
    once(machine, name, &[&requirements], |environment| {
        must(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
        must(
            Command::new(environment.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
                .arg(&requirements),
        )
    })
}

/// A directory with the `node_modules` that `package-lock.json` pins.
///
/// Lock files are made with `npm install --omit-lockfile-registry-resolved`: they hold versions and
/// hashes and leave the registry to the machine.
fn npm(machine: &Machine, name: &str, folder: &Path) -> Result<PathBuf> {
    let (manifest, lock) = (folder.join("package.json"), folder.join("package-lock.json"));
    let environment = once(machine, name, &[&manifest, &lock], |environment| {
        for file in [&manifest, &lock] {
            let name = file.file_name().context("a file has a name")?;
            fs::copy(file, environment.join(name)).with_context(|| file.display().to_string())?;
        }
        let node = node::directory(machine)?;
        must(
            Command::new(node.join("npm"))
                .args(["ci", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=5"])
                .env("PATH", machine.path_with(&node)?)
                .current_dir(environment),
        )
    })?;
    // Node looks for packages next to the program that imports them, so the folder's programs go there.
    for entry in fs::read_dir(folder)? {
        let program = entry?.path();
        if program.extension().is_some_and(|extension| extension == "mjs") {
            fs::copy(&program, environment.join(program.file_name().context("a program has a name")?))?;
        }
    }
    Ok(environment)
}

/// Makes an environment unless the same pins were installed before.
fn once(machine: &Machine, name: &str, pins: &[&Path], make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for pin in pins {
        hash.update(fs::read(pin).with_context(|| pin.display().to_string())?);
    }
    let hash = hash.finalize().iter().take(6).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let environment = machine.cache.join("environments").join(format!("{name}-{hash}"));
    let complete = environment.join(".complete");
    if !complete.exists() {
        // Whatever an interrupted installation left behind is not trusted.
        if environment.exists() {
            fs::remove_dir_all(&environment)?;
        }
        fs::create_dir_all(&environment)?;
        make(&environment)?;
        fs::write(&complete, "")?;
    }
    Ok(environment)
}

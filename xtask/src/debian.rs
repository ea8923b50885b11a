//! Debian packages, through apt-get as root or with sudo.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    command::{answer, must},
    machine::Machine,
};

/// A program the tests run, and the package it comes in.
pub(crate) struct Program {
    /// The package to install.
    pub(crate) package: &'static str,
    found: fn(&Machine) -> bool,
}

/// The browser.
pub(crate) const CHROMIUM: Program =
    Program { package: "chromium", found: |machine| machine.program("chromium").is_some() };
/// What drives the browser.
pub(crate) const CHROMEDRIVER: Program =
    Program { package: "chromium-driver", found: |machine| machine.program("chromedriver").is_some() };
/// The database server.
pub(crate) const POSTGRES: Program =
    Program { package: "postgresql", found: |machine| postgres_programs(machine).is_some() };
/// The cache server.
pub(crate) const REDIS: Program =
    Program { package: "redis-server", found: |machine| machine.program("redis-server").is_some() };
/// The proxy that benchmarks compare with.
pub(crate) const NGINX: Program = Program { package: "nginx-light", found: |machine| nginx_program(machine).is_some() };
/// The load of benchmarks.
pub(crate) const WRK: Program = Program { package: "wrk", found: |machine| machine.program("wrk").is_some() };
/// Python with what makes virtual environments.
pub(crate) const PYTHON: Program = Program {
    package: "python3-venv",
    found: |_| answer(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_some(),
};

/// Installs the packages of those programs that are missing.
pub(crate) fn install(machine: &Machine, programs: &[Program]) -> Result<()> {
    let missing: Vec<_> = programs.iter().filter(|program| !(program.found)(machine)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if machine.program("apt-get").is_none() {
        let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
        bail!("not a Debian machine: please install what Debian has as {}", packages.join(", "));
    }
    must(apt(machine)?.arg("update").arg("--quiet=2"))?;
    let packages = missing.iter().map(|program| program.package);
    must(apt(machine)?.args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(packages))?;
    match missing.iter().find(|program| !(program.found)(machine)) {
        Some(program) => bail!("{} is installed, but its program is not found", program.package),
        None => Ok(()),
    }
}

/// Where `initdb` and `postgres` are. Debian keeps them off the path, one directory per version.
pub(crate) fn postgres_programs(machine: &Machine) -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let on_path = machine.program("initdb").and_then(|program| program.parent().map(PathBuf::from));
    versions.into_iter().rev().chain(on_path).find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
}

/// Where nginx is. Debian keeps it off the path of ordinary users.
pub(crate) fn nginx_program(machine: &Machine) -> Option<PathBuf> {
    machine.program("nginx").or_else(|| Some(PathBuf::from("/usr/sbin/nginx")).filter(|program| program.is_file()))
}

fn apt(machine: &Machine) -> Result<Command> {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let Some(sudo) = machine.program("sudo") else { bail!("packages are missing: run as root or install sudo") };
        let mut command = Command::new(sudo);
        command.arg("env");
        command
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    Ok(command)
}

/// Whether this process may install packages by itself.
pub(crate) fn is_root() -> bool {
    answer(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

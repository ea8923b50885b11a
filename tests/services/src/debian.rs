//! Debian packages, through apt-get as root or with sudo.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{
    caddy::{self, caddy_program},
    command::{answer, must},
    host::program,
    valkey, webdriver,
};

/// A program that tests run, and the package it comes in.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// The package to install.
    pub name: &'static str,
    found: fn() -> bool,
    /// How it is installed, when not by its name.
    by: Option<fn() -> Result<()>>,
}

/// The browser.
pub const CHROMIUM: Package = Package::of("chromium", || program("chromium").is_some());
/// What drives the browser.
pub const CHROMEDRIVER: Package = Package::of("chromium-driver", || program("chromedriver").is_some());
/// The second browser.
pub const FIREFOX: Package = Package::of("firefox-esr", || program("firefox-esr").is_some());
/// What drives it.
pub const GECKODRIVER: Package = Package {
    name: "geckodriver",
    found: || webdriver::geckodriver_program().is_some(),
    by: Some(webdriver::build_geckodriver),
};
/// The third browser, and what drives it.
pub const WEBKIT: Package =
    Package::of("webkit2gtk-driver", || program("WebKitWebDriver").is_some() && webdriver::mini_browser().is_some());
/// The screen that it needs.
pub const XVFB: Package = Package::of("xvfb", || program("Xvfb").is_some());
/// The database server.
pub const POSTGRES: Package = Package::of("postgresql", || postgres_programs().is_some());
/// The cache server.
pub const REDIS: Package = Package::of("redis-server", || program("redis-server").is_some());
/// The other cache server. Comes after [`REDIS`], whose libraries it uses.
pub const VALKEY: Package =
    Package { name: "valkey-server", found: || valkey::program().is_some(), by: Some(valkey::unpack) };
/// The proxy that benchmarks compare with.
pub const NGINX: Package = Package::of("nginx-light", || nginx_program().is_some());
/// The load of benchmarks.
pub const WRK: Package = Package::of("wrk", || program("wrk").is_some());
/// What reads a Compose file, with the Python that reads YAML.
pub const DOCKER_COMPOSE: Package = Package::of("docker-compose", || program("docker-compose").is_some());
/// What reads shell scripts.
pub const SHELLCHECK: Package = Package::of("shellcheck", || program("shellcheck").is_some());
/// The TLS front.
pub const CADDY: Package = Package { name: "caddy", found: || caddy_program().is_some(), by: Some(caddy::unpack) };
/// Python with what makes virtual environments.
pub const PYTHON: Package =
    Package::of("python3-venv", || answer(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_some());

impl Package {
    const fn of(name: &'static str, found: fn() -> bool) -> Self {
        Self { name, found, by: None }
    }
}

/// Installs those packages whose programs are missing.
pub fn install(packages: &[Package]) -> Result<()> {
    let missing: Vec<_> = packages.iter().filter(|package| !(package.found)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if program("apt-get").is_none() {
        let names: Vec<_> = missing.iter().map(|package| package.name).collect();
        bail!("not a Debian machine: please install what Debian has as {}", names.join(", "));
    }
    let names: Vec<_> = missing.iter().filter(|package| package.by.is_none()).map(|package| package.name).collect();
    if !names.is_empty() {
        must(apt()?.arg("update").arg("--quiet=2"))?;
        must(apt()?.args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(names))?;
    }
    for by in missing.iter().filter_map(|package| package.by) {
        by()?;
    }
    match missing.iter().find(|package| !(package.found)()) {
        Some(package) => bail!("{} is installed, but its program is not found", package.name),
        None => Ok(()),
    }
}

/// Where `initdb` and `postgres` are. Debian keeps them off the path, one directory per version.
pub fn postgres_programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let on_path = program("initdb").and_then(|program| program.parent().map(PathBuf::from));
    versions.into_iter().rev().chain(on_path).find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
}

/// Where nginx is. Debian keeps it off the path of ordinary users.
pub fn nginx_program() -> Option<PathBuf> {
    program("nginx").or_else(|| Some(PathBuf::from("/usr/sbin/nginx")).filter(|program| program.is_file()))
}

fn apt() -> Result<Command> {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let Some(sudo) = program("sudo") else { bail!("packages are missing: run as root or install sudo") };
        let mut command = Command::new(sudo);
        command.arg("env");
        command
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    Ok(command)
}

/// Whether this process may install packages by itself.
pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

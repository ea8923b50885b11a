//! Valkey 8: in Debian 12 only as a backport, so it is unpacked into the cache and the system is left alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    Redis,
    command::{answer, quietly},
    host,
};

/// Starts a Valkey, which is asked and handled as a Redis.
#[derive(Clone, Copy, Debug)]
pub struct Valkey;

impl Valkey {
    /// One that writes nothing to the disk.
    pub fn start() -> Result<Redis> {
        Self::with(&[])
    }

    /// One with further arguments of `valkey-server`.
    pub fn with(arguments: &[&str]) -> Result<Redis> {
        let program = program().context("no Valkey here: `cargo xtask test` fetches it")?;
        Redis::start_valkey(&program, arguments)
    }
}

/// On the path, or where [`unpack`] has put it.
pub(crate) fn program() -> Option<PathBuf> {
    let unpacked = || Some(directory().ok()?.join("usr/bin/valkey-server"));
    host::program("valkey-server").or_else(|| unpacked().filter(|program| program.is_file()))
}

fn directory() -> Result<PathBuf> {
    Ok(host::cache()?.join("valkey"))
}

/// Fetches the packages from the machine's own Debian mirror, with lists and a cache of apt's that only this uses,
/// and unpacks them. Their libraries are those of Debian's `redis-server`, which is installed before.
pub(crate) fn unpack() -> Result<()> {
    let directory = directory()?;
    fs::create_dir_all(directory.parent().context("below the cache")?)?;
    let work = tempfile::Builder::new().prefix("valkey").tempdir_in(directory.parent().context("below the cache")?)?;
    let at = work.path();
    for dir in ["lists/partial", "cache/archives/partial", "root"] {
        fs::create_dir_all(at.join(dir))?;
    }
    fs::write(at.join("sources.list"), sources()?)?;
    quietly(apt(at).args(["update", "--quiet=2"]))?;
    quietly(apt(at).args(["download", "--quiet=2", "valkey-server", "valkey-tools"]))?;
    for entry in fs::read_dir(at)? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            quietly(Command::new("dpkg").arg("-x").arg(&package).arg(at.join("root")))?;
        }
    }
    let program = at.join("root/usr/bin/valkey-server");
    if answer(Command::new(&program).arg("--version")).is_none() {
        bail!("{} does not run here", program.display());
    }
    // Whole or not at all; another process may have been faster.
    let _ = fs::rename(at.join("root"), &directory);
    Ok(())
}

/// The release of this machine and its backports, from where the machine gets its packages.
fn sources() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).context("a codename")?;
    let targets = answer(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(CODENAME) $(COMPONENT)",
        "Created-By: Packages",
    ]));
    let targets = targets.context("apt-get indextargets")?;
    let wanted = format!(" {codename} main");
    let mirror = targets.lines().find_map(|line| line.strip_suffix(&wanted)).context("no Debian mirror")?;
    Ok(format!("deb {mirror} {codename} main\ndeb {mirror} {codename}-backports main\n"))
}

fn apt(at: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let settings = [
        ("Dir::Etc::SourceList", at.join("sources.list")),
        ("Dir::Etc::SourceParts", PathBuf::from("/dev/null")),
        ("Dir::State::Lists", at.join("lists")),
        ("Dir::Cache", at.join("cache")),
        // As root, apt would fetch as a user who cannot write here.
        ("APT::Sandbox::User", PathBuf::from("root")),
    ];
    for (name, value) in settings {
        command.arg("-o").arg(format!("{name}={}", value.display()));
    }
    command.current_dir(at);
    command
}

//! Programs of Debian packages that are unpacked into the cache instead of installed, so that the system is left
//! alone: no newer version of what it has, no service that starts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    command::{answer, quietly},
    host,
};

/// A program, and the packages that have it and what it needs besides the system's libraries.
pub(crate) struct Unpacked {
    /// The name of its directory in the cache.
    pub(crate) name: &'static str,
    /// What is fetched.
    pub(crate) packages: &'static [&'static str],
    /// Its path in the packages.
    pub(crate) program: &'static str,
}

impl Unpacked {
    /// On the path, or in the cache.
    pub(crate) fn found(&self) -> Option<PathBuf> {
        let name = self.program.rsplit('/').next().unwrap_or(self.program);
        let unpacked = || Some(self.directory().ok()?.join(self.program));
        host::program(name).or_else(|| unpacked().filter(|program| program.is_file()))
    }

    fn directory(&self) -> Result<PathBuf> {
        Ok(host::cache()?.join(self.name))
    }

    /// Fetches the packages from the machine's own Debian mirror, with lists and a cache of apt's that only this
    /// uses, and unpacks them.
    pub(crate) fn fetch(&self) -> Result<()> {
        let directory = self.directory()?;
        let cache = directory.parent().context("below the cache")?;
        fs::create_dir_all(cache)?;
        let work = tempfile::Builder::new().prefix(self.name).tempdir_in(cache)?;
        let at = work.path();
        for dir in ["lists/partial", "cache/archives/partial", "root"] {
            fs::create_dir_all(at.join(dir))?;
        }
        fs::write(at.join("sources.list"), sources()?)?;
        quietly(apt(at).args(["update", "--quiet=2"]))?;
        quietly(apt(at).args(["download", "--quiet=2"]).args(self.packages))?;
        for entry in fs::read_dir(at)? {
            let package = entry?.path();
            if package.extension().is_some_and(|extension| extension == "deb") {
                quietly(Command::new("dpkg").arg("-x").arg(&package).arg(at.join("root")))?;
            }
        }
        let program = at.join("root").join(self.program);
        // Each of them understands one of the two.
        if ["--version", "version"].iter().all(|asked| answer(Command::new(&program).arg(asked)).is_none()) {
            bail!("{} does not run here", program.display());
        }
        // Whole or not at all; another process may have been faster.
        let _ = fs::rename(at.join("root"), &directory);
        Ok(())
    }
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

//! The real binary, started as in its container: nobody's user, nothing that it could write, and exactly the
//! variables it is given.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use services::{Port, Service};
use tempfile::TempDir;

use crate::{
    documents::{run, text},
    image::USER,
};

/// A directory where the container's user finds the program and the files it is given.
pub(crate) struct Container {
    home: TempDir,
    environment: Vec<(String, String)>,
}

/// The binary under test.
#[expect(clippy::disallowed_methods, reason = "how cargo xtask passes on what it built")]
fn binary() -> PathBuf {
    std::env::var_os("TEST_BINARY").expect("TEST_BINARY is not set: run `cargo xtask backends`").into()
}

impl Container {
    /// Without files.
    pub(crate) fn new(environment: Vec<(String, String)>) -> Self {
        let home = tempfile::Builder::new().prefix("container").tempdir_in("/tmp").expect("a directory");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let new = Self { home, environment };
        fs::copy(binary(), new.path("portico")).expect("the binary");
        new
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Changes what variables say, as the mounts and the names of a network would make it come true.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        let mut changed = 0;
        for (_, value) in &mut self.environment {
            changed += value.matches(from).count();
            *value = value.replace(from, to);
        }
        assert!(changed > 0, "no variable has {from}");
    }

    /// Gives it a file as Compose mounts it: with the mode that it has.
    pub(crate) fn mount(&self, file: &Path, change: impl FnOnce(String) -> String) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let content = change(fs::read_to_string(file).expect("a secret"));
        fs::write(self.path(name), content).expect("it is ours");
        fs::set_permissions(self.path(name), fs::metadata(file).expect("it is there").permissions())
            .expect("it is ours");
    }

    /// Gives it a directory that it may write, as a new volume is; says where.
    pub(crate) fn volume(&mut self, variable: &str) {
        let at = self.path("volume");
        fs::create_dir(&at).expect("it is ours");
        if we_are_root() {
            let (user, group) = user();
            std::os::unix::fs::chown(&at, Some(user), Some(group)).expect("root may");
        }
        self.environment.push((variable.to_owned(), at.display().to_string()));
    }

    /// A command of the binary. Only root can become another user; everybody else is nobody's enough.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.arg("--no-new-privs");
        if we_are_root() {
            let (user, group) = user();
            command.args(["--bounding-set=-all", "--inh-caps=-all", "--clear-groups"]);
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
        }
        command.args(["--", "env", "--ignore-environment", "--chdir=/"]);
        command.args(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(self.path("portico")).args(arguments);
        command
    }

    /// Runs a command of it to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// Starts it on a port, and waits until its own health check says that it is ready.
    pub(crate) fn serve(&self) -> Service {
        let home = tempfile::Builder::new().prefix("portico").tempdir_in("/tmp").expect("a directory");
        let service = Service::start("portico", home, "TERM", &self.command(&["serve"])).expect("it starts");
        let service = service.await_ready(|| self.output(&["healthcheck", "--ready"]).status.success());
        service.unwrap_or_else(|error| panic!("{error:#}"))
    }
}

fn we_are_root() -> bool {
    text(&run(Command::new("id").arg("-u")).stdout).trim() == "0"
}

/// The image's user and group.
fn user() -> (u32, u32) {
    let (user, group) = USER.split_once(':').expect("both");
    (user.parse().expect("a number"), group.parse().expect("a number"))
}

/// A port for something to listen on.
pub(crate) fn port() -> Port {
    Port::free().expect("a port")
}

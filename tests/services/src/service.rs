//! A server that runs in the background for as long as its starter.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::processes;

/// Runs a command until it ends or until the standard input does, which it does when the starter ends, in
/// whatever way: then `$STOP` goes to the whole process group, and whatever was frozen goes on, to be able to
/// obey. The first `wait` may end with that signal.
const GUARD: &str = r#"
trap : TERM INT
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{
  read -r _ <&3
  kill -s "$STOP" 0
  kill -s CONT 0 $(cat /proc/$child/task/*/children 2>/dev/null)
} &
wait "$child"
wait "$child"
"#;

/// How often, and how many times, a server is asked whether it is ready: 20 s in all.
const POLL: (Duration, u32) = (Duration::from_millis(20), 1000);

/// For how many of these pauses processes may linger before they are killed: 2 s.
const GRACE: u32 = 100;

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct Service {
    /// What it is, for messages.
    pub name: &'static str,
    stop: String,
    command: Vec<OsString>,
    /// None while it is down.
    guard: Option<Child>,
    log: PathBuf,
    home: TempDir,
}

impl Service {
    /// Starts `command` below `home`, which is removed afterwards. `stop` is the signal that ends it. Of the
    /// command, the program and its arguments count: for variables, start `env`.
    pub fn start(name: &'static str, home: TempDir, stop: &str, command: &Command) -> Result<Self> {
        let log = home.path().join("log");
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let command = words.map(OsString::from).collect();
        let mut service = Self { name, stop: stop.to_owned(), command, guard: None, log, home };
        service.start_again()?;
        Ok(service)
    }

    /// Starts it after it was killed, with the same command in the same directory.
    pub fn start_again(&mut self) -> Result<()> {
        use std::os::unix::process::CommandExt as _;
        assert!(self.guard.is_none(), "{} runs", self.name);
        let output = fs::File::options().create(true).append(true).open(&self.log)?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .args(&self.command)
            .env("STOP", &self.stop)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Interrupting the starter at a terminal must not reach the server before its guard.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        self.guard = Some(guard);
        Ok(())
    }

    /// Waits until `ready` says so.
    pub fn await_ready(mut self, ready: impl FnMut() -> bool) -> Result<Self> {
        self.wait(ready)?;
        Ok(self)
    }

    /// Waits until `ready` says so; an error if it ends instead, or takes more than 20 s.
    pub fn wait(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        for _ in 0..POLL.1 {
            if ready() {
                return Ok(());
            }
            if self.guard.as_mut().map(Child::try_wait).transpose()?.flatten().is_some() {
                break;
            }
            thread::sleep(POLL.0);
        }
        bail!("{} did not become ready:\n{}", self.name, self.output())
    }

    /// Whether it runs: it may have ended by itself.
    pub fn runs(&mut self) -> bool {
        self.guard.as_mut().is_some_and(|guard| guard.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// Its directory; gone when it has stopped.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it printed.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends all its processes as a power cut would, and waits until they are gone. Nothing if it is down.
    pub fn kill9(&mut self) {
        let Some(mut guard) = self.guard.take() else { return };
        // None of them can start another while it is stopped.
        processes::kill(&processes::stop_below(guard.id()));
        // It ends by itself, after it has waited for its child: as a zombie that would still have its number, and
        // Postgres would take it for a living one. Nothing is left to do about a guard that cannot be waited for.
        let _ = guard.wait();
    }

    /// Stops all its processes where they are: connections stay, nothing answers.
    pub fn freeze(&self) {
        if let Some(guard) = &self.guard {
            processes::stop_below(guard.id());
        }
    }

    /// Lets it go on after [`Service::freeze`].
    pub fn thaw(&self) {
        let Some(guard) = &self.guard else { return };
        for process in processes::below(guard.id()) {
            processes::signal(process, Signal::CONT);
        }
    }

    /// Tells it to end the way it wants to be ended, without waiting for it.
    pub fn begin_stop(&mut self) {
        drop(self.guard.as_mut().and_then(|guard| guard.stdin.take()));
    }

    /// Ends it the way it wants to be ended, and waits. Nothing if it is down.
    pub fn stop(&mut self) {
        self.thaw();
        let Some(mut guard) = self.guard.take() else { return };
        drop(guard.stdin.take());
        let _ = guard.wait();
        // A browser's processes outlive their driver for a moment; none may outlive the starter.
        let group = guard.id();
        for _ in 0..GRACE {
            if processes::members(group) == 0 {
                return;
            }
            thread::sleep(POLL.0);
        }
        if let Some(group) = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::members;

    #[test]
    fn a_service_ends_when_it_is_dropped_and_leaves_no_directory() {
        let home = tempfile::tempdir().unwrap();
        let (path, mark): (PathBuf, PathBuf) = (home.path().into(), home.path().join("started"));
        let script = format!("touch {}; sleep 60", mark.display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let service = Service::start("sleep", home, "TERM", &command).unwrap();
        let service = service.await_ready(|| mark.exists()).unwrap();
        let group = service.guard.as_ref().unwrap().id();
        drop(service);
        assert!(!path.exists());
        assert_eq!(members(group), 0);
    }

    #[test]
    fn a_service_that_ends_early_is_an_error_with_its_log() {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo oh no; exit 3"]);
        let service = Service::start("broken", home, "TERM", &command).unwrap();
        let Err(error) = service.await_ready(|| false) else { panic!("it never was ready") };
        assert!(error.to_string().contains("oh no"), "{error}");
    }

    #[test]
    fn what_is_killed_starts_again_in_its_directory() {
        let home = tempfile::tempdir().unwrap();
        let starts = home.path().join("starts");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("echo x >>{}; sleep 60 & sleep 60", starts.display())]);
        let count = || fs::read_to_string(&starts).unwrap_or_default().len() / 2;
        let mut service = Service::start("sleeps", home, "TERM", &command).unwrap();
        service.wait(|| count() == 1).unwrap();
        let group = service.guard.as_ref().unwrap().id();
        service.kill9();
        assert_eq!(members(group), 0);
        service.start_again().unwrap();
        service.wait(|| count() == 2).unwrap();
    }

    #[test]
    fn what_is_frozen_does_nothing_until_it_thaws_and_ends_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let ticks = home.path().join("ticks");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("while :; do echo x >>{}; sleep 0.01; done", ticks.display())]);
        let count = || fs::read_to_string(&ticks).unwrap_or_default().len() / 2;
        let mut service = Service::start("ticks", home, "TERM", &command).unwrap();
        service.wait(|| count() > 2).unwrap();
        service.freeze();
        let then = count();
        thread::sleep(Duration::from_millis(100));
        assert_eq!(count(), then);
        service.thaw();
        service.wait(|| count() > then).unwrap();
        service.freeze();
        let group = service.guard.as_ref().unwrap().id();
        drop(service);
        assert_eq!(members(group), 0);
    }
}

//! A server that runs in the background for as long as its task.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// Runs a command until it ends or until the standard input does, which it does when the task ends, in
/// whatever way: then `$STOP` goes to the whole process group. The first `wait` may end with that signal.
const GUARD: &str = r#"
trap : TERM INT
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; kill -s "$STOP" 0; } &
wait "$child"
wait "$child"
"#;

/// How often, and how many times, a server is asked whether it is ready: 20 s in all.
const POLL: (Duration, u32) = (Duration::from_millis(50), 400);

/// For how many of these pauses processes may linger before they are killed: 2 s.
const GRACE: u32 = 40;

/// A running server; it stops when this is dropped.
pub(crate) struct Service {
    /// What it is, for messages.
    pub(crate) name: &'static str,
    guard: Child,
    log: PathBuf,
    /// Its directory; gone when it has stopped.
    pub(crate) home: TempDir,
}

impl Service {
    /// Starts `command` below `home`, which is removed afterwards. `stop` is the signal that ends it.
    pub(crate) fn start(name: &'static str, home: TempDir, stop: &str, command: &Command) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let log = home.path().join("log");
        let output = fs::File::create(&log)?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("STOP", stop)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Interrupting the task at a terminal must not reach the server before its guard.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name, guard, log, home })
    }

    /// Waits until `ready` says so.
    pub(crate) fn await_ready(mut self, mut ready: impl FnMut() -> bool) -> Result<Self> {
        for _ in 0..POLL.1 {
            if ready() {
                return Ok(self);
            }
            if self.guard.try_wait()?.is_some() {
                break;
            }
            thread::sleep(POLL.0);
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        bail!("{} did not become ready:\n{log}", self.name)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Nothing is left to do about a guard that cannot be waited for.
        let _ = self.guard.wait();
        // A browser's processes outlive their driver for a moment; none may outlive the task.
        let group = self.guard.id();
        for _ in 0..GRACE {
            if members(group) == 0 {
                return;
            }
            thread::sleep(POLL.0);
        }
        let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{group}")]).status();
    }
}

/// How many processes of a group live, as `/proc/*/stat` has it: name in brackets, state, parent, group.
fn members(group: u32) -> usize {
    let group = group.to_string();
    let lives = |process: fs::DirEntry| -> Option<bool> {
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let (state, _parent, of) = (fields.next()?, fields.next()?, fields.next()?);
        Some(state != "Z" && of == group)
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(lives).filter(|lives| *lives).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_ends_when_it_is_dropped_and_leaves_no_directory() {
        let home = tempfile::tempdir().unwrap();
        let (path, mark): (PathBuf, PathBuf) = (home.path().into(), home.path().join("started"));
        let script = format!("touch {}; sleep 60", mark.display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let service = Service::start("sleep", home, "TERM", &command).unwrap();
        let service = service.await_ready(|| mark.exists()).unwrap();
        let group = service.guard.id();
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
}

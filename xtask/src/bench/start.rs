//! `cargo xtask bench start`: what an installation costs before anybody uses it.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// Odd, so that there is a median.
const RUNS: usize = 5;
/// From ready to measuring memory.
const SETTLE: Duration = Duration::from_secs(3);

/// One start on an empty directory.
struct Start {
    ready: Duration,
    /// Of resident memory.
    kibibytes: u64,
}

/// Starts the binary on empty directories, and prints the medians.
pub(crate) fn run(binary: &Path) -> Result<()> {
    let starts = (0..RUNS).map(|_| start(binary)).collect::<Result<Vec<_>>>()?;
    let mut ready: Vec<_> = starts.iter().map(|start| start.ready).collect();
    let mut memory: Vec<_> = starts.iter().map(|start| start.kibibytes).collect();
    ready.sort();
    memory.sort_unstable();
    println!("from `portico up` on an empty directory to ready, median of {RUNS}: {} ms", ready[RUNS / 2].as_millis());
    println!("resident memory {} s later, median of {RUNS}: {} KiB", SETTLE.as_secs(), memory[RUNS / 2]);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "measures a process in real time")]
fn start(binary: &Path) -> Result<Start> {
    let home = tempfile::tempdir()?;
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let begin = Instant::now();
    let child = Command::new(binary)
        .args(["up", "--listen", &format!("127.0.0.1:{port}"), "--data"])
        .arg(home.path().join("data"))
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| binary.display().to_string())?;
    let mut child = Running(child);
    // It listens only when it can answer.
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = child.0.try_wait()? {
            bail!("portico up ended with {status}");
        }
        thread::sleep(Duration::from_millis(1));
    }
    let ready = begin.elapsed();
    thread::sleep(SETTLE);
    let status = fs::read_to_string(format!("/proc/{}/status", child.0.id()))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kibibytes = resident.trim().trim_end_matches(" kB").parse().context("VmRSS")?;
    Ok(Start { ready, kibibytes })
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

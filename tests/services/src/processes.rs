//! Processes below one that we started, as `/proc` knows them.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

/// One process: `/proc/PID/stat` has the name in brackets, then state, parent and group.
#[derive(Clone, Copy, Debug)]
struct Process {
    id: u32,
    parent: u32,
    group: u32,
}

/// Every process that is not a zombie.
fn all() -> Vec<Process> {
    let read = |entry: fs::DirEntry| -> Option<Process> {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (state != "Z").then_some(Process { id, parent, group })
    };
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(read).collect()
}

/// How many processes of a group live.
pub(crate) fn members(group: u32) -> usize {
    all().iter().filter(|process| process.group == group).count()
}

/// The processes below `root`, parents before their children.
pub(crate) fn below(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process.id);
    }
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(parent) = next.pop() {
        let of = children.remove(&parent).unwrap_or_default();
        found.extend(&of);
        next.extend(of);
    }
    found
}

/// Sends a signal; a process that is gone already is none of our business.
pub(crate) fn signal(process: u32, signal: Signal) {
    let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return };
    let _ = kill_process(process, signal);
}

/// Stops everything below `root`, in a way that nothing new starts meanwhile; what was stopped.
pub(crate) fn stop_below(root: u32) -> Vec<u32> {
    let mut stopped: Vec<u32> = Vec::new();
    loop {
        let new: Vec<_> = below(root).into_iter().filter(|process| !stopped.contains(process)).collect();
        if new.is_empty() {
            return stopped;
        }
        for process in new {
            signal(process, Signal::STOP);
            stopped.push(process);
        }
    }
}

/// Kills processes and waits until they are gone.
pub(crate) fn kill(processes: &[u32]) {
    for process in processes {
        signal(*process, Signal::KILL);
    }
    // A killed process cannot refuse; it is only a matter of the kernel's time.
    while all().iter().any(|process| processes.contains(&process.id)) {
        thread::sleep(Duration::from_millis(1));
    }
}

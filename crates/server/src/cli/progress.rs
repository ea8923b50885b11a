//! How far a long command is: a bar on a terminal, lines elsewhere.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use storage::Progress;
use tokio::time::Instant;

/// How often a bar moves.
const BAR: Duration = Duration::from_millis(100);
/// How often a line is written.
const LINE: Duration = Duration::from_secs(2);
/// How wide a bar is, in characters.
const WIDTH: usize = 30;

/// Writes to standard error, so that standard output has only the result.
#[derive(Debug)]
pub(super) struct Reporter {
    what: &'static str,
    terminal: bool,
    written: Option<Instant>,
    last: Option<Progress>,
    /// Whether the last one was not written yet.
    behind: bool,
}

impl Reporter {
    /// For work that goes through so many of `what`.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, terminal: io::stderr().is_terminal(), written: None, last: None, behind: false }
    }

    /// Takes note, and writes if the last time is long enough ago.
    pub(super) fn note(&mut self, progress: &Progress) {
        self.last = Some(progress.clone());
        let pause = if self.terminal { BAR } else { LINE };
        self.behind = self.written.is_some_and(|written| written.elapsed() < pause);
        if !self.behind {
            self.written = Some(Instant::now());
            self.write(progress);
        }
    }

    /// Where the work stands; nowhere, if nothing was done.
    pub(super) fn position(&self) -> Option<&str> {
        self.last.as_ref().map(|last| last.position.as_str()).filter(|position| !position.is_empty())
    }

    /// Writes the last one, if that was not done, and leaves the line of the bar.
    pub(super) fn end(&mut self) {
        if let Some(last) = self.last.as_ref().filter(|_| self.behind) {
            self.write(last);
            self.behind = false;
        }
        if self.terminal && self.written.is_some() {
            let _ = writeln!(io::stderr());
        }
    }

    fn write(&self, progress: &Progress) {
        let text = if self.terminal {
            format!("\r{}", bar(progress, self.what))
        } else {
            format!("{}\n", line(progress, self.what))
        };
        // Nobody may be reading; the work goes on.
        let _ = io::stderr().write_all(text.as_bytes()).and_then(|()| io::stderr().flush());
    }
}

/// Of a thing of which it is not quite known how many there are.
fn share(progress: &Progress) -> u64 {
    (progress.done * 100).checked_div(progress.total).unwrap_or(100).min(100)
}

fn bar(progress: &Progress, what: &str) -> String {
    let share = share(progress);
    let filled = usize::try_from(share).unwrap_or(100) * WIDTH / 100;
    let (done, left) = ("#".repeat(filled), ".".repeat(WIDTH - filled));
    format!("[{done}{left}] {share:>3} %  {} of about {} {what} ", progress.done, progress.total)
}

/// Says the position as it is given back: whoever kills the command finds it in what it wrote.
fn line(progress: &Progress, what: &str) -> String {
    let Progress { done, total, position } = progress;
    format!("{done} of about {total} {what} ({} %); if it stops here, go on with --from '{position}'", share(progress))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_end_and_never_longer() {
        let at = |done, total| Progress { done, total, position: "0:platform/a/b".to_owned() };
        assert_eq!(bar(&at(0, 4), "values"), "[..............................]   0 %  0 of about 4 values ");
        assert_eq!(bar(&at(3, 4), "values"), "[######################........]  75 %  3 of about 4 values ");
        // More came while it ran; or there was nothing to do.
        assert!(bar(&at(9, 4), "values").starts_with("[##############################] 100 %"));
        assert!(bar(&at(0, 0), "values").starts_with("[##############################] 100 %"));
        let told = "1 of about 3 values (33 %); if it stops here, go on with --from '0:platform/a/b'";
        assert_eq!(line(&at(1, 3), "values"), told);
    }

    #[test]
    fn the_end_is_written_once() {
        let at = |done| Progress { done, total: 2, position: "platform".to_owned() };
        let mut reporter = Reporter::new("owners");
        reporter.note(&at(1));
        assert!(!reporter.behind, "the first is written at once");
        reporter.note(&at(2));
        assert!(reporter.behind, "and the next a while later");
        reporter.end();
        assert!(!reporter.behind && reporter.position() == Some("platform"));
    }
}

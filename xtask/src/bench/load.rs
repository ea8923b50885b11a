//! Load from wrk, and what it cost the process under it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use services::answer;
use tempfile::TempDir;

use super::{
    http::Request,
    place::{Cores, Place, Spent, pinned},
};

/// How many connections are kept busy.
pub(crate) const CONNECTIONS: u32 = 32;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Microseconds of processor time per request.
    pub(crate) cpu: f64,
    /// The part of it in the program.
    pub(crate) user: f64,
    /// Requests per second.
    pub(crate) rate: f64,
}

/// A load generator with its scripts.
pub(crate) struct Load {
    wrk: std::path::PathBuf,
    cores: Cores,
    scripts: TempDir,
}

impl Load {
    pub(crate) fn new(wrk: &Path, cores: Cores) -> Result<Self> {
        Ok(Self { wrk: wrk.to_owned(), cores, scripts: tempfile::tempdir()? })
    }

    /// Sends one request over and over for so many seconds. Any answer that is not 2xx, and any error of a
    /// connection, is an error.
    pub(crate) fn run(&self, place: &Place, request: &Request, seconds: u32) -> Result<Cost> {
        let script = self.scripts.path().join("request.lua");
        fs::write(&script, lua(request))?;
        let mut wrk = pinned(self.cores.other, &self.wrk);
        wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "-s"]).arg(&script);
        wrk.arg(format!("http://127.0.0.1:{}{}", place.port, request.path));
        let before = Spent::by(place.pid)?;
        let report = answer(&mut wrk).context("wrk failed")?;
        let after = Spent::by(place.pid)?;
        ensure!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{}: {report}", request.path);
        let (requests, rate) = read(&report).with_context(|| format!("not a report of wrk: {report}"))?;
        ensure!(requests > 0.0, "nothing was answered: {report}");
        let (user, system) = (after.user - before.user, after.system - before.system);
        Ok(Cost { cpu: (user + system) * 1e6 / requests, user: user * 1e6 / requests, rate })
    }
}

/// Requests and requests per second.
fn read(report: &str) -> Option<(f64, f64)> {
    let requests = report.split_once(" requests in ")?.0.split_whitespace().last()?.parse().ok()?;
    let rate = report.split_once("Requests/sec:")?.1.split_whitespace().next()?.parse().ok()?;
    Some((requests, rate))
}

fn lua(request: &Request) -> String {
    let headers = request.headers.iter().map(|(name, value)| format!("wrk.headers[\"{name}\"] = \"{value}\"\n"));
    let headers: String = headers.collect();
    format!("wrk.method = \"{}\"\n{headers}wrk.body = [[{}]]\n", request.method, request.body)
}

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[half - 1], values[half]) } else { values[half] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let report = "Running 2s test\n  65432 requests in 2.10s, 12.34MB read\nRequests/sec:  31158.10\n";
        assert_eq!(read(report), Some((65432.0, 31158.1)));
        assert_eq!(read("unable to connect"), None);
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}

//! Counting what passed and what failed, over tools that report in different ways.

use std::ops::AddAssign;

/// How many checks and tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
}

impl Tally {
    /// One check.
    pub(crate) fn check(passed: bool) -> Self {
        Self { passed: passed.into(), failed: (!passed).into() }
    }

    /// The totals of a JUnit report, which nextest writes. `None` when it is not one.
    pub(crate) fn junit(report: &str) -> Option<Self> {
        let totals = report.split_once("<testsuites ")?.1.split_once('>')?.0;
        let attribute = |name: &str| -> Option<u32> {
            totals.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.parse().ok()
        };
        let failed = attribute("failures")? + attribute("errors")?;
        Some(Self { passed: attribute("tests")?.checked_sub(failed)?, failed })
    }

    /// The sum of the `test result:` lines that rustdoc's and cargo's own runner print.
    pub(crate) fn libtest(output: &str) -> Self {
        let mut sum = Self::default();
        for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
            let count = |word: &str| -> u32 {
                let before = line.split([';', '.']).find_map(|part| part.trim().strip_suffix(word));
                before.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
            };
            sum += Self { passed: count("passed"), failed: count("failed") };
        }
        sum
    }

    /// At least one failure; for a tool that failed without saying which test did.
    pub(crate) fn or_failed(self, succeeded: bool) -> Self {
        Self { failed: if succeeded { self.failed } else { self.failed.max(1) }, ..self }
    }

    /// Prints the closing line; whether nothing failed.
    pub(crate) fn close(self) -> bool {
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_totals_of_a_junit_report() {
        let report = r#"<?xml version="1.0"?><testsuites name="nextest-run" tests="5" failures="1" errors="1" uuid="x">
            <testsuite name="a" tests="5" failures="9"></testsuite></testsuites>"#;
        assert_eq!(Tally::junit(report), Some(Tally { passed: 3, failed: 2 }));
        assert_eq!(Tally::junit("<testsuites name=\"x\">"), None);
    }

    #[test]
    fn sums_what_rustdoc_prints() {
        let output = "running 2 tests\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(Tally::libtest(output), Tally { passed: 5, failed: 1 });
    }

    #[test]
    fn a_tool_that_failed_counts_even_without_a_failed_test() {
        assert_eq!(Tally::default().or_failed(false), Tally::check(false));
        assert_eq!(Tally::check(true).or_failed(true), Tally::check(true));
    }
}

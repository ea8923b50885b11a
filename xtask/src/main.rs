//! Developer commands, `cargo xtask …`: the one place for what a script would otherwise do.
//!
//! Everything they install goes to the machine's package manager or to `$HOME/.cache/portico`, never
//! into the checkout. Everything they start is stopped when they end, however they end.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks on both")]

mod backends;
mod bench;
mod command;
mod e2e;
mod environments;
mod lint;
mod machine;
mod node;
mod servers;
mod sqlx;
mod suite;
mod tally;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::machine::Machine;

/// Developer commands of Portico.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need, run lint and every test, close with counts.
    Test,
    /// Formatting, clippy, rustdoc and the dependency policy, with warnings denied.
    Lint,
    /// Start a private Postgres, Redis and Valkey, print their addresses, stop them at end of input.
    Services {
        /// Run this with the addresses in its environment instead of waiting.
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Ask a database about the checked queries and write down its answers, after changing SQL.
    Sqlx {
        /// Change nothing; fail if an answer would change.
        #[arg(long)]
        check: bool,
    },
    /// The tests of the real binary on Postgres, Redis and Valkey: races, crashes, outages, several replicas.
    Backends {
        /// Passed to the test runner; for instance part of a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// The same at length: thirty crashes where `backends` has a few.
    Soak,
    /// The end-to-end tests: the real binary, real clients, a real browser.
    E2e {
        /// Passed to the test runner; for instance part of a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// A part of the conformance suite of MCP against the real binary; it is part of `e2e` too.
    Conformance {
        /// Which part.
        part: Conformance,
    },
    /// Benchmarks, on loopback, on a quiet machine; `docs/benchmarks.md` says what the figures mean.
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
}

/// A part of the conformance suite.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Conformance {
    /// The authorization server: its metadata and the code grant, in both versions of the protocol.
    Authorization,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything passed; an error is a task that could not be carried out.
fn run(task: Task) -> Result<bool> {
    let machine = Machine::find()?;
    match task {
        Task::Test => suite::run(&machine),
        Task::Lint => Ok(lint::run(&machine)?.close()),
        Task::Services { command } => servers::run(&command),
        Task::Sqlx { check } => sqlx::run(&machine, check),
        Task::Bench { bench } => bench::run(&machine, bench),
        Task::Backends { filter } => Ok(backends::run(&machine, "backends", &filter)?.close()),
        Task::Soak => Ok(backends::run(&machine, "soak", &[])?.close()),
        Task::Conformance { part: Conformance::Authorization } => {
            Ok(e2e::run(&machine, &["conformance::authorization".to_owned()])?.close())
        }
        Task::E2e { filter } => Ok(e2e::run(&machine, &filter)?.close()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}

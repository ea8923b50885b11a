//! `cargo xtask bench storage`: servers as production has them, and the program that uses them.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};
use services::{
    Durability, POSTGRES, Postgres, REDIS, Redis, VALKEY, Valkey, answer, install, must, postgres_programs,
};

use super::load_average;
use crate::{command::cargo, machine::Machine};

/// What the servers of `docker-compose.yml` have.
const REDIS_ARGUMENTS: [&str; 8] =
    ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory", "512mb", "--maxmemory-policy", "noeviction"];

/// Measures every store, or with `only_here` those that need no server.
pub(super) fn run(machine: &Machine, millis: u64, only_here: bool) -> Result<()> {
    must(&mut cargo(machine, &["build", "--locked", "--release", "--package", "bench-storage"]))?;
    let mut bench = Command::new(machine.target.join("release/bench-storage"));
    bench.arg("--millis").arg(millis.to_string());
    if only_here {
        println!("{}; load before: {}\n", here()?, load_average());
        return must(&mut bench);
    }
    install(&[POSTGRES, REDIS, VALKEY])?;
    let postgres = Postgres::start(Durability::Safe)?;
    let (redis, valkey) = (Redis::with(&REDIS_ARGUMENTS)?, Valkey::with(&REDIS_ARGUMENTS)?);
    let versions = [version_of_postgres()?, version(&redis, "redis_version")?, version(&valkey, "valkey_version")?];
    println!(
        "{}; Postgres {}, Redis {}, Valkey {}; load before: {}\n",
        here()?,
        versions[0],
        versions[1],
        versions[2],
        load_average()
    );
    bench.args(["--postgres", &postgres.url(), "--redis", &redis.url(), "--valkey", &valkey.url()]);
    must(&mut bench)?;
    println!("\nload after: {}", load_average());
    Ok(())
}

/// The machine: processor, cores, memory, kernel.
fn here() -> Result<String> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| path.to_owned());
    let (processors, memory, kernel) = (read("/proc/cpuinfo")?, read("/proc/meminfo")?, read("/proc/version")?);
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = kernel.split_whitespace().nth(2).unwrap_or("unknown").to_owned();
    let kib: u64 = value(&memory, "MemTotal").split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
    Ok(format!("{cores} × {}, {} GiB, Linux {kernel}", value(&processors, "model name"), kib >> 20))
}

fn version_of_postgres() -> Result<String> {
    let program = postgres_programs().context("postgres is not found")?.join("postgres");
    let said = answer(Command::new(program).arg("--version")).context("postgres --version")?;
    Ok(said.split_whitespace().nth(2).unwrap_or("unknown").to_owned())
}

fn version(server: &Redis, name: &str) -> Result<String> {
    let said = server.command(&["INFO", "server"])?;
    let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}

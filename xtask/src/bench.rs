//! `cargo xtask bench`: what the gateway costs, beside nginx in the same sitting, and what the stores cost.
//! `docs/benchmarks.md` says what the figures mean.

mod http;
mod load;
mod memory;
mod person;
mod place;
mod rows;
mod start;
mod storage;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use services::{NGINX, WRK, install, must};

use self::{
    load::{Cost, Load, median},
    place::{Cores, Place},
    rows::Row,
};
use crate::{command::cargo, machine::Machine};

/// What is measured.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Start-up time and idle memory of a fresh installation.
    Start {
        /// Measure this binary instead of building one.
        #[arg(long)]
        binary: Option<PathBuf>,
    },
    /// That, and processor time per request and memory per client, beside nginx.
    Gateway(Gateway),
    /// Each verb on each store, plain and sealed, one caller and 64; and what sealing costs alone.
    Storage {
        /// For how many milliseconds each verb is measured each time.
        #[arg(long, default_value_t = 700, value_parser = clap::value_parser!(u64).range(20..=5000))]
        millis: u64,
        /// Only what needs no server: memory and SQLite.
        #[arg(long)]
        embedded: bool,
    },
}

#[derive(Args)]
pub(crate) struct Gateway {
    /// How often each kind of request is measured; the medians are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// For how many seconds each time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=5))]
    seconds: u32,
    /// Measure this binary instead of building one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Only rows whose name has this in it, and no memory.
    #[arg(long)]
    only: Option<String>,
}

/// Runs one; whether it could be measured.
pub(crate) fn run(machine: &Machine, bench: Bench) -> Result<bool> {
    match bench {
        Bench::Start { binary } => start::run(&built(machine, binary.as_deref())?)?,
        Bench::Gateway(arguments) => gateway(machine, &arguments)?,
        Bench::Storage { millis, embedded } => storage::run(machine, millis, embedded)?,
    }
    Ok(true)
}

/// The binary that is given, or the release build.
fn built(machine: &Machine, binary: Option<&Path>) -> Result<PathBuf> {
    if let Some(binary) = binary {
        return Ok(std::path::absolute(binary)?);
    }
    must(&mut cargo(machine, &["build", "--locked", "--release", "--package", "server", "--bin", "portico"]))?;
    Ok(machine.target.join("release/portico"))
}

fn gateway(machine: &Machine, arguments: &Gateway) -> Result<()> {
    install(&[NGINX, WRK])?;
    let program = built(machine, arguments.binary.as_deref())?;
    // Apart from the product, whose features must not depend on it.
    must(&mut cargo(machine, &["build", "--locked", "--release", "--package", "bench-upstream"]))?;
    let cores = Cores::find();
    println!("cores: {cores:?}; load before: {}", load_average());
    if arguments.only.is_none() {
        start::run(&program)?;
    }
    let upstream = place::upstream(&machine.target.join("release/bench-upstream"), cores)?;
    let nginx = place::nginx(&upstream, cores)?;
    let home = place::Home::declared(&upstream)?;
    let (tools, demo) = rows::tokens(&place::portico(&program, &home, cores)?)?;
    // Afresh, and without what checking a password leaves in memory.
    let portico = place::portico(&program, &home, cores)?;
    let mut rows = rows::all(&portico, &upstream, &tools, &demo)?;
    rows::check(&rows, &portico, &nginx, &upstream)?;
    if arguments.only.is_none() {
        memory(&rows[0], &tools, &portico, &nginx)?;
    }
    rows.retain(|row| arguments.only.as_deref().is_none_or(|only| row.name.contains(only)));
    let load = Load::new(&services::program("wrk").context("wrk is not found")?, cores)?;
    let measured = measure(&load, &rows, [&portico, &nginx], arguments)?;
    show(&rows, &measured);
    println!("load after: {}", load_average());
    Ok(())
}

/// Costs of Portico, and of nginx in the same round.
#[derive(Default)]
struct Measured {
    ours: Vec<Cost>,
    nginx: Vec<Cost>,
}

/// Round after round, row after row, one directly after the other: what disturbs, disturbs both.
fn measure(load: &Load, rows: &[Row], [portico, nginx]: [&Place; 2], arguments: &Gateway) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = rows.iter().map(|_| Measured::default()).collect();
    for row in rows {
        load.run(portico, &row.request, 1).context("warming up")?;
    }
    for round in 1..=arguments.rounds {
        println!("round {round} of {}", arguments.rounds);
        for (row, measured) in rows.iter().zip(&mut measured) {
            if let Some(request) = &row.to_nginx {
                measured.nginx.push(load.run(nginx, request, arguments.seconds)?);
            }
            measured.ours.push(load.run(portico, &row.request, arguments.seconds)?);
        }
    }
    Ok(measured)
}

fn show(rows: &[Row], measured: &[Measured]) {
    println!("\nµs of processor time per request: median (lowest to highest; user part), requests per second\n");
    println!("| request | Portico | nginx | ratio | target |\n|---|---|---|---|---|");
    for (row, Measured { ours, nginx }) in rows.iter().zip(measured) {
        // Of pairs, so that a slow minute does not count on one side only.
        let ratio = || median(ours.iter().zip(nginx).map(|(ours, nginx)| ours.cpu / nginx.cpu));
        let ratio = if nginx.is_empty() { "–".to_owned() } else { format!("{:.2}", ratio()) };
        let target = row.target.map_or("–".to_owned(), |target| format!("≤ {target}"));
        println!("| {} | {} | {} | {ratio} | {target} |", row.name, cell(ours), cell(nginx));
    }
}

fn cell(costs: &[Cost]) -> String {
    if costs.is_empty() {
        return "–".to_owned();
    }
    let all = || costs.iter().map(|cost| cost.cpu);
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let (user, rate) = (median(costs.iter().map(|cost| cost.user)), median(costs.iter().map(|cost| cost.rate)));
    format!("{:.1} ({low:.1} to {high:.1}; {user:.1}), {rate:.0}/s", median(all()))
}

fn memory(call: &Row, token: &str, portico: &Place, nginx: &Place) -> Result<()> {
    let listen = rows::listen(token);
    for (name, place) in [("nginx", nginx), ("Portico", portico)] {
        let held = memory::held(place, &call.request, &listen)?;
        println!("{name}: {:.1} KiB per idle client, {:.1} with an open stream", held.idle, held.stream);
    }
    Ok(())
}

fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

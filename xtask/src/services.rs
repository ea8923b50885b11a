//! Private servers on free loopback ports, for as long as a task runs.

use std::{
    fs,
    io::{BufRead as _, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    command::{answer, must, passes},
    debian::{self, POSTGRES, REDIS},
    machine::Machine,
    service::Service,
    tally::Tally,
};

/// A Postgres without durability, with its connection URL.
pub(crate) fn postgres(machine: &Machine) -> Result<(Service, String)> {
    debian::install(machine, &[POSTGRES])?;
    let programs = debian::postgres_programs(machine).context("postgres is not found")?;
    // A short path: a Unix socket's may have 107 bytes.
    let home = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp")?;
    let (data, port) = (home.path().join("data"), free_port()?.to_string());
    // Postgres refuses to run as root.
    let root = debian::is_root();
    if root {
        must(Command::new("chown").arg("postgres:postgres").arg(home.path()))?;
    }
    let program = |name: &str| {
        let program = programs.join(name);
        if !root {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
        command
    };
    let mut init = program("initdb");
    init.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions", "-D"])
        .arg(&data)
        .env("LC_ALL", "C")
        .current_dir("/");
    answer(&mut init).context("initdb failed")?;

    let mut server = program("postgres");
    server.arg("-D").arg(&data).arg("-k").arg(home.path()).args(["-h", "127.0.0.1", "-p", &port, "-F"]);
    for setting in ["synchronous_commit=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB"] {
        server.args(["-c", setting]);
    }
    // INT is Postgres' fast shutdown: it does not wait for clients.
    let service = Service::start("postgres", home, "INT", &server)?;
    // The eighth line of its pid file is its state.
    let pid_file = data.join("postmaster.pid");
    let service = service.await_ready(|| {
        fs::read_to_string(&pid_file).is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
    })?;
    Ok((service, format!("postgres://postgres@127.0.0.1:{port}/postgres")))
}

/// A Redis that keeps nothing, with its URL.
pub(crate) fn redis(machine: &Machine) -> Result<(Service, String)> {
    debian::install(machine, &[REDIS])?;
    let home = tempfile::Builder::new().prefix("redis").tempdir_in("/tmp")?;
    let port = free_port()?;
    let mut server = Command::new("redis-server");
    server.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"]);
    server.arg(home.path());
    let service = Service::start("redis", home, "TERM", &server)?.await_ready(|| pong(port).unwrap_or(false))?;
    Ok((service, format!("redis://127.0.0.1:{port}/0")))
}

/// A WebDriver server, with its URL. Browsers that its sessions leave behind end with it.
pub(crate) fn chromedriver() -> Result<(Service, String)> {
    let home = tempfile::Builder::new().prefix("chrome").tempdir_in("/tmp")?;
    let port = free_port()?;
    let mut server = Command::new("env");
    server.arg(format!("HOME={}", home.path().display())).arg("chromedriver").arg(format!("--port={port}"));
    let service = Service::start("chromedriver", home, "TERM", &server)?
        .await_ready(|| TcpStream::connect(("127.0.0.1", port)).is_ok())?;
    Ok((service, format!("http://127.0.0.1:{port}")))
}

/// `cargo xtask services`: with a command, runs it; without, waits for the end of the standard input.
pub(crate) fn run(machine: &Machine, command: &[String]) -> Result<bool> {
    let (_postgres, postgres) = postgres(machine)?;
    let (_redis, redis) = redis(machine)?;
    println!("TEST_POSTGRES={postgres}\nTEST_REDIS={redis}");
    let Some((program, arguments)) = command.split_first() else {
        println!("running until Enter, or the end of the standard input");
        std::io::stdout().flush()?;
        std::io::stdin().lock().read_line(&mut String::new())?;
        return Ok(true);
    };
    let mut command = Command::new(program);
    command.args(arguments).env("TEST_POSTGRES", postgres).env("TEST_REDIS", redis);
    passes(&mut command)
}

/// That both start, answer, stop, and leave nothing behind.
pub(crate) fn check(machine: &Machine) -> Result<Tally> {
    let mut tally = Tally::default();
    for start in [postgres, redis] {
        let (service, url) = start(machine)?;
        let (name, home): (_, PathBuf) = (service.name, service.home.path().into());
        let listening = connects(&url);
        drop(service);
        let stopped = !connects(&url) && !home.exists();
        println!("{name}: answered {listening}, stopped {stopped}");
        tally += Tally::check(listening && stopped);
    }
    Ok(tally)
}

/// Whether something listens at the host and port of a URL.
fn connects(url: &str) -> bool {
    let authority = url.split("//").nth(1).and_then(|rest| rest.split('/').next());
    let address = authority.and_then(|authority| authority.rsplit('@').next());
    address.is_some_and(|address| TcpStream::connect(address).is_ok())
}

fn pong(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG")
}

/// A port that nothing listened on a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{Port, Service, command::quietly, debian};

/// What a server survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is forced to the disk: for tests that do not crash it.
    Fast,
    /// As in production: what it has acknowledged survives `kill -9` and a power cut.
    Safe,
}

/// A Postgres with databases of its own, where `postgres` may do everything without a password.
#[derive(Debug)]
pub struct Postgres {
    service: Service,
    port: Port,
    data: PathBuf,
}

impl Postgres {
    /// Starts one.
    pub fn start(durability: Durability) -> Result<Self> {
        Self::with(durability, &[], &[])
    }

    /// Starts one that also takes TLS, with this certificate and key (PEM).
    pub fn tls(durability: Durability, certificate: &str, key: &str) -> Result<Self> {
        Self::with(durability, &["ssl=on"], &[("server.crt", certificate), ("server.key", key)])
    }

    /// Starts one with further settings (`name=value`) and files in its data directory.
    pub fn with(durability: Durability, settings: &[&str], files: &[(&str, &str)]) -> Result<Self> {
        let programs = debian::postgres_programs().context("no PostgreSQL here: `cargo xtask test` installs it")?;
        // A short path: a Unix socket's may have 107 bytes.
        let home = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp")?;
        let (data, port) = (home.path().join("data"), Port::free()?);
        // Postgres refuses to run as root.
        if debian::is_root() {
            quietly(Command::new("chown").arg("postgres:postgres").arg(home.path()))?;
        }
        let program = |name: &str| as_postgres(&programs.join(name).to_string_lossy());
        let mut init = program("initdb");
        init.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "--no-instructions",
            "-D",
        ])
        .arg(&data)
        .env("LC_ALL", "C")
        .current_dir("/");
        quietly(&mut init)?;
        for (name, text) in files {
            let file = data.join(name);
            fs::write(&file, text)?;
            quietly(Command::new("chmod").arg("600").arg(&file))?;
            if debian::is_root() {
                quietly(Command::new("chown").arg("postgres:postgres").arg(&file))?;
            }
        }

        let mut server = program("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(home.path());
        server.args(["-h", "127.0.0.1", "-p", &port.number().to_string()]);
        let durable: &[&str] = match durability {
            Durability::Fast => &["fsync=off", "synchronous_commit=off", "full_page_writes=off"],
            Durability::Safe => &["fsync=on", "synchronous_commit=on", "full_page_writes=on"],
        };
        let own = ["max_connections=400", "shared_buffers=64MB"];
        for setting in own.iter().chain(durable).chain(settings) {
            server.args(["-c", setting]);
        }
        // INT is Postgres' fast shutdown: it does not wait for clients.
        let service = Service::start("postgres", home, "INT", &server)?;
        let mut postgres = Self { service, port, data };
        postgres.await_ready("")?;
        Ok(postgres)
    }

    /// The URL of its database `postgres`.
    pub fn url(&self) -> String {
        self.database("postgres")
    }

    /// The URL of another of its databases, which may not exist.
    pub fn database(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port.number())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its files, and what can be done to any service.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// `kill -9` of all its processes.
    pub fn kill9(&mut self) {
        self.service.kill9();
    }

    /// Starts it again after [`Postgres::kill9`], on the same port and data; waits until it is ready.
    pub fn restart(&mut self) -> Result<()> {
        let before = self.state().unwrap_or_default();
        self.service.start_again()?;
        self.await_ready(before.lines().next().unwrap_or_default())
    }

    /// Stops it where it is, with `SIGSTOP`: connections stay, nothing answers.
    pub fn freeze(&self) {
        self.service.freeze();
    }

    /// Lets it go on after [`Postgres::freeze`].
    pub fn thaw(&self) {
        self.service.thaw();
    }

    /// The pid file of a server that was killed stays; `not` is the process it is about.
    fn await_ready(&mut self, not: &str) -> Result<()> {
        let file = self.data.join("postmaster.pid");
        self.service.wait(|| {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut lines = text.lines();
            // The first line is the process, the eighth its state.
            lines.next().is_some_and(|process| process != not)
                && lines.nth(6).is_some_and(|state| state.trim() == "ready")
        })
    }

    fn state(&self) -> Option<String> {
        fs::read_to_string(self.data.join("postmaster.pid")).ok()
    }
}

/// A program that is not run as root.
fn as_postgres(program: &str) -> Command {
    if !debian::is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--", program]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(postgres: &Postgres, sql: &str) -> Option<String> {
        let psql = debian::postgres_programs().unwrap().join("psql");
        crate::answer(Command::new(psql).args(["-X", "-A", "-t", "-d", &postgres.url(), "-c", sql]))
    }

    #[test]
    fn comes_back_with_what_it_acknowledged() {
        let mut postgres = Postgres::start(Durability::Safe).unwrap();
        assert_eq!(ask(&postgres, "SHOW fsync").as_deref(), Some("on\n"));
        ask(&postgres, "CREATE TABLE kept AS SELECT 7 AS number").unwrap();
        for _ in 0..3 {
            postgres.kill9();
            assert_eq!(ask(&postgres, "SELECT 1"), None);
            postgres.restart().unwrap();
            assert_eq!(ask(&postgres, "SELECT number FROM kept").as_deref(), Some("7\n"));
        }
    }

    #[test]
    fn freezes_with_its_backends() {
        let postgres = Postgres::start(Durability::Fast).unwrap();
        postgres.freeze();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], postgres.port()));
        // The kernel takes the connection; nobody answers the request for TLS.
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        std::io::Write::write_all(&mut stream, &[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
        assert!(std::io::Read::read(&mut stream, &mut [0]).is_err());
        postgres.thaw();
        assert_eq!(ask(&postgres, "SELECT 1").as_deref(), Some("1\n"));
    }
}

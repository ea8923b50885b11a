//! A Postgres, a Redis and a Valkey of its own for a task, and where tests find them.

use std::{
    io::{BufRead as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::Command,
};

use anyhow::Result;
use services::{Durability, POSTGRES, Postgres, REDIS, Redis, Service, VALKEY, Valkey, install, passes};

use crate::tally::Tally;

/// Running servers; they stop when this is dropped.
pub(crate) struct Servers {
    postgres: Postgres,
    redis: Redis,
    valkey: Redis,
}

impl Servers {
    /// Installs and starts all of them.
    pub(crate) fn start() -> Result<Self> {
        install(&[POSTGRES, REDIS, VALKEY])?;
        Ok(Self { postgres: Postgres::start(Durability::Fast)?, redis: Redis::start()?, valkey: Valkey::start()? })
    }

    /// Where tests look for them: names and values of variables.
    pub(crate) fn environment(&self) -> [(&'static str, String); 3] {
        [("TEST_POSTGRES", self.postgres.url()), ("TEST_REDIS", self.redis.url()), ("TEST_VALKEY", self.valkey.url())]
    }

    fn each(&self) -> [(&Service, u16); 3] {
        [
            (self.postgres.service(), self.postgres.port()),
            (self.redis.service(), self.redis.port()),
            (self.valkey.service(), self.valkey.port()),
        ]
    }
}

/// `cargo xtask services`: with a command, runs it; without, waits for the end of the standard input.
pub(crate) fn run(command: &[String]) -> Result<bool> {
    let servers = Servers::start()?;
    for (name, value) in servers.environment() {
        println!("{name}={value}");
    }
    let Some((program, arguments)) = command.split_first() else {
        println!("running until Enter, or the end of the standard input");
        std::io::stdout().flush()?;
        std::io::stdin().lock().read_line(&mut String::new())?;
        return Ok(true);
    };
    passes(Command::new(program).args(arguments).envs(servers.environment()))
}

/// That all of them start, listen, stop, and leave nothing behind.
pub(crate) fn check() -> Result<Tally> {
    let servers = Servers::start()?;
    let each = servers.each().map(|(service, port)| {
        let home: PathBuf = service.home().into();
        (service.name, home, port, listens(port))
    });
    drop(servers);
    let mut tally = Tally::default();
    for (name, home, port, listening) in each {
        let stopped = !listens(port) && !home.exists();
        println!("{name}: answered {listening}, stopped {stopped}");
        tally += Tally::check(listening && stopped);
    }
    Ok(tally)
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

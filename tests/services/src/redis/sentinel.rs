use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Result, bail};

use super::{Redis, home, program, resp::Connection};
use crate::{Port, Service};

/// The name that the sentinel knows its master by.
const NAME: &str = "portico";

/// A master, a replica, and a sentinel that makes the one the other when the master is away for half a second.
#[derive(Debug)]
pub struct Sentinel {
    /// The master at the start.
    pub master: Redis,
    /// The replica at the start.
    pub replica: Redis,
    port: Port,
    _service: Service,
}

impl Sentinel {
    /// Starts all three, and waits until the sentinel knows the others.
    pub fn start() -> Result<Self> {
        let master = Redis::start()?;
        let of = master.port().to_string();
        let replica = Redis::with(&["--replicaof", "127.0.0.1", &of])?;
        let (home, port) = (home("sentinel")?, Port::free()?);
        let (file, socket) = (home.path().join("conf"), home.path().join("s"));
        let conf = format!(
            "bind 127.0.0.1\nport {}\nunixsocket {}\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {of} 1\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 3000\n",
            port.number(),
            socket.display(),
            home.path().display(),
        );
        fs::write(&file, conf)?;
        let mut server = Command::new(program()?);
        server.arg(&file).arg("--sentinel");
        let service = Service::start("sentinel", home, "TERM", &server)?;
        let knows = || {
            let answer = Connection::open(&socket).and_then(|mut it| it.ask(&["INFO", "sentinel"]));
            answer.is_ok_and(|answer| answer.contains("status=ok") && answer.contains("slaves=1"))
        };
        for _ in 0..400 {
            if knows() {
                return Ok(Self { master, replica, port, _service: service });
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the sentinel does not find its servers:\n{}", service.output())
    }

    /// Its URL, in the form that `portico` takes.
    pub fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}/0?sentinelServiceName={NAME}", self.port.number())
    }
}

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Result, bail};

use super::{Redis, Shape, home, program, resp::Connection};
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
    scheme: &'static str,
    _service: Service,
}

impl Sentinel {
    /// Starts all three, and waits until the sentinel knows the others.
    pub fn start() -> Result<Self> {
        Self::watch(None)
    }

    /// All three take only TLS, from each other too, with this certificate and key (PEM).
    pub fn tls(certificate: &str, key: &str) -> Result<Self> {
        Self::watch(Some([("server.crt", certificate), ("server.key", key)]))
    }

    fn watch(certified: Option<[(&str, &str); 2]>) -> Result<Self> {
        let (program, tls) = (program()?, certified.is_some());
        let (files, secure) = (certified.as_ref().map_or(&[][..], |files| files), if tls { "yes" } else { "no" });
        let run = |more: &[&str]| {
            let arguments = &[&["--tls-replication", secure], more].concat();
            Redis::run("redis", &program, &Shape { arguments, files, tls, ..Shape::default() })
        };
        let master = run(&[])?;
        let of = master.port().to_string();
        let replica = run(&["--replicaof", "127.0.0.1", &of])?;
        let (home, port) = (home("sentinel")?, Port::free()?);
        for (file, text) in files {
            fs::write(home.path().join(file), text)?;
        }
        let listens = if tls {
            "port 0\ntls-auth-clients no\ntls-replication yes\ntls-cert-file server.crt\ntls-key-file server.key\n\
             tls-ca-cert-file server.crt\ntls-port"
        } else {
            "port"
        };
        let (file, socket) = (home.path().join("conf"), home.path().join("s"));
        let conf = format!(
            "dir {}\nbind 127.0.0.1\n{listens} {}\nunixsocket {}\nsentinel monitor {NAME} 127.0.0.1 {of} 1\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 3000\n",
            home.path().display(),
            port.number(),
            socket.display(),
        );
        fs::write(&file, conf)?;
        let mut server = Command::new(program);
        server.arg(&file).arg("--sentinel");
        let service = Service::start("sentinel", home, "TERM", &server)?;
        let knows = || {
            let answer = Connection::open(&socket).and_then(|mut it| it.ask(&["INFO", "sentinel"]));
            answer.is_ok_and(|answer| answer.contains("status=ok") && answer.contains("slaves=1"))
        };
        for _ in 0..400 {
            if knows() {
                let scheme = if tls { "rediss-sentinel" } else { "redis-sentinel" };
                return Ok(Self { master, replica, port, scheme, _service: service });
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the sentinel does not find its servers:\n{}", service.output())
    }

    /// Its URL, in the form that `portico` takes.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/0?sentinelServiceName={NAME}", self.scheme, self.port.number())
    }
}

//! `portico healthcheck`: asks a running portico of this machine, for images that have no other program
//! that could.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::config::{Config, Overrides};

/// Longer than any healthy answer takes; orchestrators give up after a few seconds themselves.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is read of an answer: its head and the one sentence that says what is wrong.
const ANSWER: u64 = 8 * 1024;

#[derive(Args, Debug)]
pub(super) struct Healthcheck {
    /// Ask whether it may be sent requests, too, which it may not while a store is away
    #[arg(long)]
    ready: bool,
    /// The configuration file, if the running portico has one
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Fails unless the portico that listens where the configuration says answers with 200.
pub(super) fn run(args: &Healthcheck) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref(), &Overrides::default())?;
    let path = if args.ready { "/readyz" } else { "/healthz" };
    ask(reachable(config.listen), path)
}

/// Where a listener on every address is reached from the same machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr, path: &str) -> anyhow::Result<()> {
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("nothing answers at {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.take(ANSWER).read_to_end(&mut answer))
        .with_context(|| format!("{address} does not answer"))?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        let said = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
        bail!("{address}{path} answers {status}: {said}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// A server that answers one request; what it was asked.
    fn once(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        (address, thread)
    }

    #[test]
    fn only_200_is_healthy() {
        let (address, asked) = once("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n");
        ask(address, "/readyz").unwrap();
        assert!(asked.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        let (address, _) = once("HTTP/1.1 503 Service Unavailable\r\n\r\nPostgres is away");
        let refused = ask(address, "/readyz").unwrap_err().to_string();
        assert!(refused.ends_with("/readyz answers 503: Postgres is away"), "{refused}");
        let (address, _) = once("");
        assert!(ask(address, "/healthz").is_err());
    }

    #[test]
    fn nothing_there_is_said() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(address, "/healthz").unwrap_err().to_string().contains("nothing answers"));
    }

    #[test]
    fn every_address_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("127.0.0.2:80", "127.0.0.2:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}

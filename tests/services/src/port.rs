//! Ports for servers that come back to the same one.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

/// Clients get the ports from 32768 (`ip_local_port_range`) when they connect. A server that is away must
/// not find its port taken by one of them, and a client that asks for it must not meet itself.
const FIRST: u16 = 10_000;
const COUNT: u32 = 20_000;

/// A loopback port that nobody else gets for as long as this lives, whether or not somebody listens there.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Locked; the lock goes with the process, however it ends.
    _claim: File,
}

impl Port {
    /// A free one.
    pub fn free() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let claims = std::env::temp_dir().join(format!("portico-ports-{}", rustix::process::getuid().as_raw()));
        fs::create_dir_all(&claims).with_context(|| claims.display().to_string())?;
        // Processes that start together begin far from each other; the lock decides.
        let start = std::process::id().wrapping_mul(7919);
        for _ in 0..COUNT {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let number = FIRST + u16::try_from(offset).expect("below 20,000");
            let claim = File::options().create(true).append(true).open(claims.join(number.to_string()))?;
            if claim.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _claim: claim });
            }
        }
        anyhow::bail!("no port is free")
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_while_it_is_held() {
        let ports: Vec<_> = (0..20).map(|_| Port::free().unwrap()).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
    }
}

use std::{thread, time::Duration};

use anyhow::{Result, bail, ensure};

use super::{Redis, Shape, program};
use crate::Port;

/// How many slots the keys of a cluster hash to.
const SLOTS: usize = 16_384;

/// A Redis Cluster of masters without replicas.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
    scheme: &'static str,
    _buses: Vec<Port>,
}

impl Cluster {
    /// Starts that many nodes, gives each its share of the slots, and waits until all agree.
    pub fn start(size: usize) -> Result<Self> {
        Self::form(size, None)
    }

    /// One that takes only TLS, from its own nodes too, with this certificate and key (PEM).
    pub fn tls(size: usize, certificate: &str, key: &str) -> Result<Self> {
        Self::form(size, Some([("server.crt", certificate), ("server.key", key)]))
    }

    fn form(size: usize, certified: Option<[(&str, &str); 2]>) -> Result<Self> {
        let (program, tls) = (program()?, certified.is_some());
        let (files, secure) = (certified.as_ref().map_or(&[][..], |files| files), if tls { "yes" } else { "no" });
        let (mut nodes, mut buses) = (Vec::new(), Vec::new());
        for _ in 0..size {
            let bus = Port::free()?;
            let number = bus.number().to_string();
            let arguments = ["--cluster-enabled", "yes", "--cluster-port", &number, "--cluster-node-timeout", "2000"];
            let arguments = &[&arguments[..], &["--tls-cluster", secure]].concat();
            nodes.push(Redis::run("redis-node", &program, &Shape { arguments, files, tls, ..Shape::default() })?);
            buses.push(bus);
        }
        for (at, node) in nodes.iter().enumerate() {
            let (first, last) = (at * SLOTS / size, (at + 1) * SLOTS / size - 1);
            ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()])?;
            ok(node, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            let (port, bus) = (nodes[0].port().to_string(), buses[0].number().to_string());
            if at > 0 {
                ok(node, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        let scheme = if tls { "rediss-cluster" } else { "redis-cluster" };
        let cluster = Self { nodes, scheme, _buses: buses };
        for _ in 0..400 {
            if cluster.nodes.iter().all(|node| agrees(node, size)) {
                return Ok(cluster);
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the cluster does not form: {}", cluster.nodes[0].command(&["CLUSTER", "INFO"])?)
    }

    /// The URL of the first node; clients find the others through it.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.nodes[0].port())
    }

    /// Its nodes.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }
}

fn ok(node: &Redis, words: &[&str]) -> Result<()> {
    let answer = node.command(words)?;
    ensure!(answer.starts_with("+OK"), "{words:?}: {answer}");
    Ok(())
}

fn agrees(node: &Redis, size: usize) -> bool {
    let info = node.command(&["CLUSTER", "INFO"]).unwrap_or_default();
    info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{size}\r"))
}

use async_trait::async_trait;
use fred::{
    error::{Error, ErrorKind},
    interfaces::{ClientLike as _, KeysInterface as _},
    types::{InfoKind, Key, config::Server},
};
use futures_util::future::try_join_all;
use model::Timestamp;
use storage::{Cursor, Found, Maintenance, Result, Scan, StorageError};

use crate::{Redis, entry, key_value::bytes, pool::Line, script::Script};

/// How many keys a server looks at before it serves others again, at least.
const POLITE: u32 = 10;

static REWRITE: Script = Script::new(include_str!("scripts/rewrite.lua"));

/// A server that has some of the keys.
struct Node {
    /// What it calls itself since it started. Each start orders the keys anew, so a cursor is good for one.
    run: String,
    /// Where it is, in a cluster.
    server: Option<Server>,
}

/// Where a look stands: a node, and the node's own cursor.
struct At {
    node: usize,
    cursor: String,
}

impl Node {
    /// A line to exactly this node.
    fn line(&self, line: &Line) -> Line {
        let mut options = line.options().clone();
        options.cluster_node.clone_from(&self.server);
        (**line).with_options(&options)
    }
}

impl At {
    /// At the beginning, or where a cursor says. When its node is gone, or has started again, others may
    /// have its keys by now, in any order: then at the beginning.
    fn of(cursor: Option<&Cursor>, nodes: &[Node]) -> Result<Self> {
        let first = Self { node: 0, cursor: "0".to_owned() };
        let Some(cursor) = cursor else { return Ok(first) };
        let parts = cursor.as_str().split_once('/').filter(|(_, cursor)| cursor.parse::<u64>().is_ok());
        let (run, cursor) = parts.ok_or(StorageError::damaged("a cursor", "it is none of this store"))?;
        let node = nodes.iter().position(|node| node.run == run);
        Ok(node.map_or(first, |node| Self { node, cursor: cursor.to_owned() }))
    }

    /// Behind a page, if anything is.
    fn behind(self, next: String, nodes: &[Node]) -> Option<Self> {
        if next != "0" {
            return Some(Self { cursor: next, ..self });
        }
        let node = self.node + 1;
        (node < nodes.len()).then_some(Self { node, cursor: next })
    }
}

impl Redis {
    /// All nodes that have keys, in an order that stays.
    async fn nodes(&self) -> Result<Vec<Node>> {
        let mut nodes = self
            .0
            .pool
            .run(async |line| {
                let servers = line.is_clustered().then(|| line.active_connections());
                let mut nodes = Vec::new();
                for server in servers.map_or_else(|| vec![None], |servers| servers.into_iter().map(Some).collect()) {
                    let mut node = Node { run: String::new(), server };
                    node.run = run_id(&node.line(line)).await?;
                    nodes.push(node);
                }
                Ok(nodes)
            })
            .await?;
        nodes.sort_by(|a, b| a.run.cmp(&b.run));
        Ok(nodes)
    }

    /// The keys on a page, and where it ends.
    async fn page(&self, at: &At, nodes: &[Node], limit: u32) -> Result<(String, Vec<String>)> {
        let (pattern, node) = (self.0.keys.values(), &nodes[at.node]);
        let page = async |line: &Line| {
            node.line(line).scan_page(at.cursor.as_str(), pattern, Some(limit.max(POLITE)), None).await
        };
        let (next, keys): (String, Vec<Key>) = self.0.pool.run(page).await?;
        Ok((next, keys.into_iter().filter_map(Key::into_string).collect()))
    }

    /// What is at the keys. One that went meanwhile is left out, and so is one that is damaged: what looks
    /// after all values must not stop at it.
    async fn values(&self, keys: &[String]) -> Result<Vec<Found>> {
        let values: Vec<Option<Vec<u8>>> =
            try_join_all(keys.iter().map(|key| self.0.pool.run(async move |line| line.get(key.as_str()).await)))
                .await?;
        let found = keys.iter().zip(values).filter_map(|(name, value)| {
            let (owner, collection, key) = self.0.keys.place(name)?;
            match entry::parse(&value?, collection) {
                Ok(entry) => Some(Found { owner, collection: collection.to_owned(), key: key.to_owned(), entry }),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a value was passed over");
                    None
                }
            }
        });
        Ok(found.collect())
    }
}

/// What a server calls itself since it started.
async fn run_id(line: &Line) -> std::result::Result<String, Error> {
    let info: String = line.info(Some(InfoKind::Server)).await?;
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    run.map(ToOwned::to_owned).ok_or_else(|| Error::new(ErrorKind::Protocol, "a server does not say its run_id"))
}

#[async_trait]
impl Maintenance for Redis {
    /// Nothing is left to do: Redis removes what has expired, some minutes later.
    async fn purge(&self, _now: Timestamp, _limit: u32) -> Result<u64> {
        Ok(0)
    }

    async fn count(&self) -> Result<u64> {
        let nodes = self.nodes().await?;
        let (mut count, mut at) = (0, Some(At::of(None, &nodes)?));
        while let Some(here) = at {
            let (next, keys) = self.page(&here, &nodes, 100 * POLITE).await?;
            count += keys.len() as u64;
            at = here.behind(next, &nodes);
        }
        Ok(count)
    }

    async fn scan(&self, after: Option<&Cursor>, limit: u32) -> Result<Scan> {
        let nodes = self.nodes().await?;
        let mut at = At::of(after, &nodes)?;
        loop {
            let (next, keys) = self.page(&at, &nodes, limit).await?;
            let found = self.values(&keys).await?;
            let Some(behind) = at.behind(next, &nodes) else { return Ok(Scan { found, next: None }) };
            if !found.is_empty() {
                let next = Cursor::new(format!("{}/{}", nodes[behind.node].run, behind.cursor));
                return Ok(Scan { found, next: Some(next) });
            }
            at = behind;
        }
    }

    async fn rewrite(&self, found: &Found, value: &[u8]) -> Result<bool> {
        let key = self.0.keys.name(found.owner, &found.collection, &found.key);
        let arguments = vec![bytes(&found.entry.revision.0.to_be_bytes()), bytes(value)];
        self.0.pool.run(async |line| REWRITE.run(line, key.as_str(), arguments).await).await
    }
}

//! What a client costs that does nothing.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    http::{Connection, Request},
    place::{Place, resident},
};

/// How many clients are held.
const CLIENTS: usize = 1000;
/// How long everything gets to come to rest.
const REST: Duration = Duration::from_secs(1);

/// KiB per client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Connected, has called, calls no more.
    pub(crate) idle: f64,
    /// The same, and a stream is open over it that says nothing.
    pub(crate) stream: f64,
}

/// Connects clients that call once, then lets each open a stream.
pub(crate) fn held(place: &Place, call: &Request, listen: &Request) -> Result<Held> {
    let before = resident(place.pid)?;
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let mut client = Connection::open(place.port)?;
        client.send(call)?.expect(200)?;
        clients.push(client);
    }
    thread::sleep(REST);
    let idle = resident(place.pid)?;
    for client in &mut clients {
        client.open_stream(listen)?.expect(200).context("opening a stream")?;
    }
    thread::sleep(REST);
    let stream = resident(place.pid)?;
    let per_client = |now: f64| (now - before) / f64::from(u32::try_from(CLIENTS).unwrap_or(u32::MAX));
    Ok(Held { idle: per_client(idle), stream: per_client(stream) })
}

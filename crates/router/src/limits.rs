use std::time::Duration;

use upstream::http::Drain;

/// How much, how long and how many.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message that a client may post, in bytes.
    pub body: usize,
    /// How long a client may take to send it.
    pub receive: Duration,
    /// How far exchanges may run on whose legacy client has gone.
    pub drain: Drain,
    /// How long a legacy session id of ours is good, whatever the upstream thinks.
    pub session: Duration,
    /// How old the snapshots may be. Beyond that nothing is answered: revocations might be missing.
    pub stale: Duration,
    /// How often a stream looks at what no change tells: whether the snapshots are too old. Whether whom it goes to
    /// may still have it is looked at when something changed.
    pub recheck: Duration,
    /// How often a silent stream of ours gets a comment, so that nothing in between closes it.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            receive: Duration::from_secs(30),
            drain: Drain::default(),
            session: Duration::from_hours(7 * 24),
            stale: Duration::from_mins(10),
            recheck: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
        }
    }
}

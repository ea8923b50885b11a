//! Server-sent events (HTML standard §9.2), as MCP uses them: one JSON-RPC message in each event.

use std::collections::VecDeque;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty means `message`.
    pub event: Vec<u8>,
    /// Its data; several `data` lines are joined by line feeds.
    pub data: Vec<u8>,
    /// Its id, when it sets one.
    pub id: Option<Vec<u8>>,
}

impl Event {
    /// Whether it carries a message of the protocol, rather than something of another type.
    pub fn is_message(&self) -> bool {
        self.event.is_empty() || self.event == b"message"
    }
}

/// An event is longer than the decoder's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is too long")]
pub struct TooLong;

/// Reads events from bytes that come in pieces of any size.
///
/// Invariant: holds at most `limit` bytes of an unfinished event, and the events that the last
/// [`push`](Self::push) finished.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    event: Event,
    /// Whether a `data` line was seen: an empty one makes an event too.
    has_data: bool,
    /// The last byte ended a line with CR, so a LF that follows belongs to it.
    after_cr: bool,
    /// No line was finished yet: a byte order mark may stand first.
    first: bool,
    ready: VecDeque<Event>,
}

impl Decoder {
    /// A decoder that refuses events of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            event: Event::default(),
            has_data: false,
            after_cr: false,
            first: true,
            ready: VecDeque::new(),
        }
    }

    /// Takes in bytes. After an error the stream is of no more use.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')) {
            self.hold(&bytes[..end])?;
            self.end_line();
            let rest = &bytes[end + 1..];
            let cr = bytes[end] == b'\r';
            self.after_cr = cr && rest.is_empty();
            bytes = if cr { rest.strip_prefix(b"\n").unwrap_or(rest) } else { rest };
        }
        self.hold(bytes)
    }

    /// The next finished event. What is unfinished when the stream ends is dropped, as the standard says.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let id = self.event.id.as_ref().map_or(0, Vec::len);
        let held = self.line.len() + self.event.data.len() + self.event.event.len() + id;
        if held + bytes.len() > self.limit {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) {
        let taken = std::mem::take(&mut self.line);
        let mut line = taken.as_slice();
        if std::mem::take(&mut self.first) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back(event);
            }
        } else {
            let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
            let value = line.get(colon + 1..).unwrap_or_default();
            self.field(&line[..colon], value.strip_prefix(b" ").unwrap_or(value));
        }
        // The buffer is kept for the next line.
        self.line = taken;
        self.line.clear();
    }

    /// A comment has an empty name; it and unknown fields are passed over, and so is `retry`: nothing here
    /// reconnects.
    fn field(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.event = value.to_vec(),
            b"id" if !value.contains(&0) => self.event.id = Some(value.to_vec()),
            _ => {}
        }
    }
}

/// A comment that keeps an idle connection open.
pub const KEEP_ALIVE: &[u8] = b": \n\n";

/// Ends whatever event a broken stream left unfinished in a way that readers ignore it: it becomes an
/// event of a type that nobody listens to, or none at all if nothing was unfinished. The colon makes a line
/// of whatever stands before it, or a comment: an empty line would finish the event instead.
pub const ABORT: &[u8] = b":\nevent: aborted\n\n";

/// Writes one message as an event. Line ends can only be whitespace between JSON tokens; each begins a
/// new `data` line.
pub fn write_message(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(b"event: message\n");
    for line in json.split(|b| matches!(b, b'\r' | b'\n')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests;

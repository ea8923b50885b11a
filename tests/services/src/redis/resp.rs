//! As much of the protocol of Redis as it takes to ask a server something.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};

pub(crate) struct Connection(BufReader<UnixStream>);

impl Connection {
    /// To a server's Unix socket.
    pub(crate) fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command; the answer with its type in front, the text of a bulk string after its first line.
    pub(crate) fn ask(&mut self, words: &[&str]) -> Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            let _ = write!(request, "${}\r\n{word}\r\n", word.len());
        }
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        if let Some(length) = answer.strip_prefix('$').map(str::trim).filter(|length| *length != "-1") {
            let mut bulk = vec![0; length.parse::<usize>().context("a length")? + 2];
            self.0.read_exact(&mut bulk)?;
            answer += &String::from_utf8_lossy(&bulk);
        }
        Ok(answer)
    }
}

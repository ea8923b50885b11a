//! As much of an HTTP/1.1 client as the benchmarks need: one connection, one request at a time.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request without its body's length and its host, which the connection knows.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Request {
    /// Opens a page.
    pub(crate) fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), headers: Vec::new(), body: String::new() }
    }

    /// Sends a body of this media type.
    pub(crate) fn post(path: &str, media_type: &str, body: String) -> Self {
        let headers = vec![("content-type", media_type.to_owned())];
        Self { method: "POST", path: path.to_owned(), headers, body }
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The values of a header, by its name in small letters.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The answer, if it has this status.
    pub(crate) fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}: {self:?}");
        Ok(self)
    }
}

/// A kept connection to a port of this machine.
pub(crate) struct Connection {
    port: u16,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // Little of what is read is kept here while a connection is only held.
        Ok(Self { port, stream: BufReader::with_capacity(1024, stream) })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn send(&mut self, request: &Request) -> Result<Answer> {
        self.write(request)?;
        let mut answer = self.head()?;
        answer.body = String::from_utf8(self.body(&answer)?).context("the answer is not text")?;
        Ok(answer)
    }

    /// Sends a request and reads the answer's head and the first bytes of its stream.
    pub(crate) fn open_stream(&mut self, request: &Request) -> Result<Answer> {
        self.write(request)?;
        let answer = self.head()?;
        ensure!(answer.header("transfer-encoding") == Some("chunked"), "not a stream: {answer:?}");
        self.chunk()?;
        Ok(answer)
    }

    fn write(&mut self, request: &Request) -> Result<()> {
        let Request { method, path, headers, body } = request;
        // In one piece, so that it is one segment.
        let mut text = Vec::new();
        write!(text, "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n", self.port)?;
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n")?;
        }
        write!(text, "content-length: {}\r\n\r\n{body}", body.len())?;
        Ok(self.stream.get_mut().write_all(&text)?)
    }

    fn head(&mut self) -> Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("not an answer: {line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Answer { status, headers, body: String::new() });
            }
            let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line:?}"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, head: &Answer) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    return Ok(body);
                }
                body.extend(chunk);
            }
        }
        let length: usize = head.header("content-length").map_or(Ok(0), str::parse)?;
        body.resize(length, 0);
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn chunk(&mut self) -> Result<Vec<u8>> {
        let size = self.line()?;
        let size = usize::from_str_radix(&size, 16).with_context(|| format!("not a chunk: {size:?}"))?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        self.line()?;
        Ok(chunk)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        ensure!(line.ends_with("\r\n"), "the connection ended: {line:?}");
        Ok(line.trim_end().to_owned())
    }
}

/// One request over a connection of its own.
pub(crate) fn once(port: u16, request: &Request) -> Result<Answer> {
    Connection::open(port)?.send(request)
}

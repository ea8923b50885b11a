//! Reading and writing lines, with a digest of them.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{ArchiveError, Result, error::File};

/// The format of both files.
pub(super) const FORMAT: u32 = 1;
/// The longest line that is read: far above any row of ours.
const LONGEST: usize = 64 * 1024 * 1024;
/// How much is collected before it is written.
const CHUNK: usize = 64 * 1024;

/// Where a file comes from.
pub type Source<'a> = &'a mut (dyn AsyncBufRead + Send + Unpin);
/// Where a file goes to.
pub type Sink<'a> = &'a mut (dyn AsyncWrite + Send + Unpin);

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// `data` or `keys`.
    pub(super) portico: String,
    pub(super) format: u32,
    /// The id that both files of a backup have.
    pub(super) backup: String,
    /// The newest migration.
    pub(super) schema: i64,
    /// When, in milliseconds.
    pub(super) taken_at: i64,
    /// What wrote it.
    pub(super) version: String,
}

/// What every version's first line has.
#[derive(Deserialize)]
struct AnyHeader {
    portico: String,
    format: u32,
}

pub(super) fn word(file: File) -> &'static str {
    match file {
        File::Data => "data",
        File::Keys => "keys",
    }
}

/// A file that is written.
pub(super) struct Writer<'a> {
    to: Sink<'a>,
    file: File,
    digest: Sha256,
    collected: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(to: Sink<'a>, file: File) -> Self {
        Self { to, file, digest: Sha256::new(), collected: Vec::with_capacity(CHUNK) }
    }

    /// Writes a value as a line.
    pub(super) async fn line(&mut self, value: &(impl Serialize + Sync)) -> Result<()> {
        self.with(|line| {
            serde_json::to_writer(&mut *line, value).expect("a line is plain JSON");
            line.push(b'\n');
        })
        .await
    }

    /// Writes what is appended to a buffer: whole lines.
    pub(super) async fn with(&mut self, append: impl FnOnce(&mut Vec<u8>) + Send) -> Result<()> {
        let from = self.collected.len();
        append(&mut self.collected);
        self.digest.update(&self.collected[from..]);
        if self.collected.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    /// The digest of all that was written.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// Hands everything on.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let fail = |error| ArchiveError::Write(self.file, error);
        self.to.write_all(&self.collected).await.map_err(fail)?;
        self.collected.clear();
        self.to.flush().await.map_err(fail)
    }
}

/// A file that is read.
pub(super) struct Reader<'a> {
    from: Source<'a>,
    file: File,
    digest: Sha256,
    line: Vec<u8>,
    number: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(from: Source<'a>, file: File) -> Self {
        Self { from, file, digest: Sha256::new(), line: Vec::new(), number: 0 }
    }

    /// Reads the first line, of a format that this version reads.
    pub(super) async fn header(&mut self) -> Result<Header> {
        let file = self.file;
        // Whatever it is, a first line without an end is none of ours.
        let first = match self.next().await {
            Err(ArchiveError::CutOff(_) | ArchiveError::Damaged { .. }) | Ok(None) => {
                return Err(ArchiveError::Foreign(file));
            }
            first => first?.unwrap_or_default(),
        };
        let any: AnyHeader = serde_json::from_slice(first).map_err(|_| ArchiveError::Foreign(file))?;
        match (&*any.portico, file) {
            ("data", File::Data) | ("keys", File::Keys) => {}
            ("data", File::Keys) => return Err(ArchiveError::Exchanged(File::Data)),
            ("keys", File::Data) => return Err(ArchiveError::Exchanged(File::Keys)),
            _ => return Err(ArchiveError::Foreign(file)),
        }
        if any.format != FORMAT {
            return Err(ArchiveError::Format { file, found: any.format, known: FORMAT });
        }
        serde_json::from_slice(first).map_err(|_| ArchiveError::damaged(file, 1, "the header does not parse"))
    }

    /// The next line, without its end; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>> {
        self.digest.update(&self.line);
        if self.number > 0 {
            self.digest.update(b"\n");
        }
        self.line.clear();
        self.number += 1;
        loop {
            let part = self.from.fill_buf().await.map_err(|error| ArchiveError::Read(self.file, error))?;
            if part.is_empty() {
                // A line without an end is one that was cut.
                return if self.line.is_empty() { Ok(None) } else { Err(ArchiveError::CutOff(self.file)) };
            }
            let end = part.iter().position(|&byte| byte == b'\n');
            let length = end.unwrap_or(part.len());
            self.line.extend_from_slice(&part[..length]);
            self.from.consume(end.map_or(length, |end| end + 1));
            if self.line.len() > LONGEST {
                return Err(self.damaged("the line is too long"));
            }
            if end.is_some() {
                return Ok(Some(&self.line));
            }
        }
    }

    /// The line that was read last.
    pub(super) fn last(&self) -> &[u8] {
        &self.line
    }

    /// The digest of all lines before the one that was read last.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// What is wrong with the line that was read last.
    pub(super) fn damaged(&self, reason: &'static str) -> ArchiveError {
        ArchiveError::damaged(self.file, self.number, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_digests_of_writer_and_reader_are_of_the_same_bytes() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, File::Data);
        writer.line(&"one").await.unwrap();
        writer.with(|line| line.extend_from_slice(b"[\"two\"]\n")).await.unwrap();
        let digest = writer.digest();
        writer.line(&"end").await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(bytes, b"\"one\"\n[\"two\"]\n\"end\"\n");
        // With a buffer that is shorter than a line.
        let mut source = tokio::io::BufReader::with_capacity(3, bytes.as_slice());
        let mut reader = Reader::new(&mut source, File::Data);
        assert_eq!(reader.next().await.unwrap(), Some(b"\"one\"".as_slice()));
        assert_eq!(reader.next().await.unwrap(), Some(b"[\"two\"]".as_slice()));
        assert_eq!(reader.next().await.unwrap(), Some(b"\"end\"".as_slice()));
        assert_eq!(reader.digest(), digest);
        assert_eq!(reader.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_line_without_an_end_was_cut() {
        let mut source = b"one\ntw".as_slice();
        let mut reader = Reader::new(&mut source, File::Keys);
        assert!(reader.next().await.unwrap().is_some());
        assert!(matches!(reader.next().await, Err(ArchiveError::CutOff(File::Keys))));
    }

    #[tokio::test]
    async fn other_files_are_named() {
        let header = async |text: &str| {
            let mut source = text.as_bytes();
            Reader::new(&mut source, File::Data).header().await.unwrap_err().to_string()
        };
        for foreign in ["", "\n", "SQLite format 3\0", "{}\n", "{\"portico\":\"other\",\"format\":1}\n"] {
            assert_eq!(header(foreign).await, "the data file is not one that `portico backup` made", "{foreign:?}");
        }
        let exchanged = header("{\"portico\":\"keys\",\"format\":1}\n").await;
        assert_eq!(exchanged, "the keys file of a backup was given where its other file is wanted");
        let newer = header("{\"portico\":\"data\",\"format\":7,\"more\":true}\n").await;
        assert!(newer.contains("format 7") && newer.contains("reads 1"), "{newer}");
    }
}

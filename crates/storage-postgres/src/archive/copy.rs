//! Rows in the text form of `COPY`.

use storage::archive::{Cell, Kind, Row, Table};
use uuid::Uuid;

/// Appends the line of a row.
pub(super) fn append(table: &Table, row: &Row, to: &mut Vec<u8>) {
    for (at, (cell, column)) in row.iter().zip(table.columns).enumerate() {
        if at > 0 {
            to.push(b'\t');
        }
        match (cell, column.kind) {
            (Cell::Null, _) => to.extend_from_slice(b"\\N"),
            (Cell::Bytes(id), Kind::Id) => {
                let id = Uuid::from_slice(id).unwrap_or_default();
                to.extend_from_slice(id.to_string().as_bytes());
            }
            (Cell::Bytes(bytes), _) => append_hex(bytes, to),
            (Cell::Text(text), _) => append_text(text, to),
            (Cell::Integer(number), _) => to.extend_from_slice(number.to_string().as_bytes()),
            (Cell::Flag(flag), _) => to.push(if *flag { b't' } else { b'f' }),
        }
    }
    to.push(b'\n');
}

/// `\x…`, its backslash escaped.
fn append_hex(bytes: &[u8], to: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    to.extend_from_slice(b"\\\\x");
    to.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}

fn append_text(text: &str, to: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\t' => to.extend_from_slice(b"\\t"),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            other => to.push(other),
        }
    }
}

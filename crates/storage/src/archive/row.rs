//! One row as one line: a JSON array, bytes in it as base64.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;

use super::{Column, Kind, hex};

/// How many characters of a text are in a name.
const LONGEST: usize = 80;

/// One cell of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `NULL`.
    Null,
    /// Bytes, sealed or not, and the bytes of ids.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Flag(bool),
}

impl Cell {
    /// As it stands in messages: on one line, and not longer than any name is.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Null => "-".to_owned(),
            Self::Bytes(id) => hex(&id[..id.len().min(LONGEST / 2)]),
            Self::Text(text) => {
                let mut escaped = text.escape_debug();
                let name: String = escaped.by_ref().take(LONGEST).collect();
                if escaped.next().is_some() { format!("{name}…") } else { name }
            }
            Self::Integer(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// One row, with a cell for each column of its table.
pub type Row = Vec<Cell>;

/// Appends the line of a row, with its end.
pub(super) fn write(row: &[Cell], line: &mut Vec<u8>) {
    line.push(b'[');
    for (at, cell) in row.iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        match cell {
            Cell::Null => line.extend_from_slice(b"null"),
            Cell::Bytes(bytes) => {
                line.push(b'"');
                line.extend_from_slice(BASE64.encode(bytes).as_bytes());
                line.push(b'"');
            }
            Cell::Text(text) => serde_json::to_writer(&mut *line, text).expect("a text is JSON"),
            Cell::Integer(number) => line.extend_from_slice(number.to_string().as_bytes()),
            Cell::Flag(flag) => line.extend_from_slice(if *flag { b"true" } else { b"false" }),
        }
    }
    line.extend_from_slice(b"]\n");
}

/// Reads a line of a table with these columns; `None` if it is none.
pub(super) fn read(line: &[u8], columns: &[Column]) -> Option<Row> {
    let cells: Vec<Value> = serde_json::from_slice(line).ok()?;
    if cells.len() != columns.len() {
        return None;
    }
    cells.into_iter().zip(columns).map(|(cell, column)| parse(cell, column.kind)).collect()
}

fn parse(cell: Value, kind: Kind) -> Option<Cell> {
    Some(match (kind, cell) {
        (_, Value::Null) => Cell::Null,
        (Kind::Id, Value::String(text)) => Cell::Bytes(bytes(&text).filter(|id| id.len() == 16)?),
        (Kind::Bytes | Kind::Sealed, Value::String(text)) => Cell::Bytes(bytes(&text)?),
        (Kind::Text, Value::String(text)) => Cell::Text(text),
        (Kind::Integer, Value::Number(number)) => Cell::Integer(number.as_i64()?),
        (Kind::Flag, Value::Bool(flag)) => Cell::Flag(flag),
        _ => return None,
    })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell() -> impl Strategy<Value = (Kind, Cell)> {
        let kinds = [Kind::Id, Kind::Bytes, Kind::Sealed, Kind::Text, Kind::Integer, Kind::Flag];
        // Any character there is: NUL, controls, quotes, surrogates' neighbours, what is beyond 16 bits.
        let text = proptest::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter);
        prop_oneof![
            proptest::sample::select(kinds.to_vec()).prop_map(|kind| (kind, Cell::Null)),
            any::<[u8; 16]>().prop_map(|id| (Kind::Id, Cell::Bytes(id.to_vec()))),
            any::<Vec<u8>>().prop_map(|bytes| (Kind::Bytes, Cell::Bytes(bytes))),
            any::<Vec<u8>>().prop_map(|bytes| (Kind::Sealed, Cell::Bytes(bytes))),
            text.prop_map(|text| (Kind::Text, Cell::Text(text))),
            any::<i64>().prop_map(|number| (Kind::Integer, Cell::Integer(number))),
            any::<bool>().prop_map(|flag| (Kind::Flag, Cell::Flag(flag))),
        ]
    }

    fn of(kinds: &[Kind]) -> Vec<Column> {
        kinds.iter().map(|&kind| Column { name: "a", kind, added: None }).collect()
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_was(cells in proptest::collection::vec(cell(), 0..20)) {
            let (kinds, row): (Vec<Kind>, Row) = cells.into_iter().unzip();
            let mut line = Vec::new();
            write(&row, &mut line);
            let first_end = line.iter().position(|&byte| byte == b'\n');
            prop_assert_eq!(first_end, Some(line.len() - 1), "one line");
            prop_assert_eq!(read(&line, &of(&kinds)), Some(row));
        }

        #[test]
        fn nothing_that_is_read_panics(line in any::<Vec<u8>>(), kinds in proptest::collection::vec(cell(), 0..4)) {
            let kinds: Vec<Kind> = kinds.into_iter().map(|(kind, _)| kind).collect();
            let _ = read(&line, &of(&kinds));
        }
    }

    #[test]
    fn large_cells_come_back() {
        let row = vec![Cell::Text("ü\0".repeat(1_000_000)), Cell::Bytes((0..=255).cycle().take(4_000_001).collect())];
        let mut line = Vec::new();
        write(&row, &mut line);
        assert_eq!(read(&line, &of(&[Kind::Text, Kind::Bytes])), Some(row));
    }

    #[test]
    fn cells_of_another_kind_are_no_row() {
        for (line, kind) in [
            ("[\"AA==\"]", Kind::Id),
            ("[\"AA=\"]", Kind::Bytes),
            ("[7]", Kind::Text),
            ("[1.5]", Kind::Integer),
            ("[9223372036854775808]", Kind::Integer),
            ("[1]", Kind::Flag),
            ("[]", Kind::Text),
            ("[\"a\",\"b\"]", Kind::Text),
            ("{}", Kind::Text),
        ] {
            assert_eq!(read(line.as_bytes(), &of(&[kind])), None, "{line}");
        }
    }
}

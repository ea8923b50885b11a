//! What a table of an archive is.

use model::{TenantId, UserId};

use super::row::Cell;
use crate::Owner;

/// What the cells of a column are, where they are not `NULL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An id: 16 bytes. A UUID where the database has those.
    Id,
    /// Bytes.
    Bytes,
    /// Bytes that were sealed with a key of the row's owner.
    Sealed,
    /// Text; JSON is text, too.
    Text,
    /// A whole number; times are milliseconds.
    Integer,
    /// True or false. 1 or 0 where the database has nothing better.
    Flag,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its cells are.
    pub kind: Kind,
    /// What rows get that are older than the column; `None` for columns that are in every archive.
    pub added: Option<Added>,
}

/// A column that came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// Older rows have nothing there.
    Empty,
    /// Older rows have this number there.
    Number(i64),
    /// Older rows have this there.
    Flag(bool),
    /// Older rows have this text there.
    Text(&'static str),
}

impl Added {
    pub(super) fn cell(self) -> Cell {
        match self {
            Self::Empty => Cell::Null,
            Self::Number(number) => Cell::Integer(number),
            Self::Flag(flag) => Cell::Flag(flag),
            Self::Text(text) => Cell::Text(text.to_owned()),
        }
    }
}

/// A table.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// The column that names the owner of what is sealed.
    owner: OwnedBy,
}

/// How a row names the owner whose key sealed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnedBy {
    /// Nothing is sealed, or with the platform's key.
    Platform,
    /// A column with the id of a tenant; empty for the platform's.
    Tenant(usize),
    /// A column with the id of a person.
    User(usize),
    /// A column with an owner's name.
    Name(usize),
}

impl Table {
    /// Where a column is.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.name == column)
    }

    /// Whose key sealed a row's secrets; `None` if the row does not say.
    pub(super) fn owner(&self, row: &[Cell]) -> Option<Owner> {
        match (self.owner, row) {
            (OwnedBy::Platform, _) => Some(Owner::Platform),
            (OwnedBy::Tenant(at), row) => match row.get(at)? {
                Cell::Null => Some(Owner::Platform),
                Cell::Bytes(id) => TenantId::from_bytes(id).map(Owner::Tenant),
                _ => None,
            },
            (OwnedBy::User(at), row) => match row.get(at)? {
                Cell::Bytes(id) => UserId::from_bytes(id).map(Owner::User),
                _ => None,
            },
            (OwnedBy::Name(at), row) => match row.get(at)? {
                Cell::Text(name) => name.parse().ok(),
                _ => None,
            },
        }
    }
}

impl Table {
    /// What a row is called in messages: its key, and nothing else of what it holds. All keys stand in front; that
    /// of values has three parts.
    pub(super) fn name_of(&self, row: &[Cell]) -> String {
        let parts = if matches!(self.owner, OwnedBy::Name(_)) { 3 } else { 1 };
        let names: Vec<_> = row.iter().take(parts).map(Cell::name).collect();
        names.join(" ")
    }
}

pub(super) const fn id(name: &'static str) -> Column {
    Column { name, kind: Kind::Id, added: None }
}

pub(super) const fn bytes(name: &'static str) -> Column {
    Column { name, kind: Kind::Bytes, added: None }
}

pub(super) const fn sealed(name: &'static str) -> Column {
    Column { name, kind: Kind::Sealed, added: None }
}

pub(super) const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, added: None }
}

pub(super) const fn number(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer, added: None }
}

pub(super) const fn flag(name: &'static str) -> Column {
    Column { name, kind: Kind::Flag, added: None }
}

pub(super) const fn later(name: &'static str, kind: Kind, older_rows: Added) -> Column {
    Column { name, kind, added: Some(older_rows) }
}

pub(super) const fn of(name: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, owner: OwnedBy::Platform }
}

pub(super) const fn sealed_by(owner: OwnedBy, name: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, owner }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tables::{TABLES, table},
        *,
    };

    #[test]
    fn names_need_no_escapes() {
        for table in TABLES {
            let names = table.columns.iter().map(|column| column.name).chain([table.name]);
            for name in names {
                assert!(!name.is_empty() && name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()), "{name}");
            }
        }
    }

    /// A row is called by what stands in front: a secret, or a person's address, must not.
    #[test]
    fn a_row_with_a_secret_has_its_key_in_front() {
        let sealed = |table: &&Table| table.columns.iter().any(|column| column.kind == Kind::Sealed);
        for table in TABLES.iter().filter(sealed) {
            let (first, kind) = (table.columns[0].name, table.columns[0].kind);
            let keys = [("id", Kind::Id), ("user", Kind::Id), ("kid", Kind::Text), ("only", Kind::Integer)];
            assert!(keys.contains(&(first, kind)) || table.name == "key_value", "{}: {first}", table.name);
        }
        let values = table("key_value").unwrap();
        let text = |text: &str| Cell::Text(text.to_owned());
        let row = [text("no\tbody"), text("vault"), text(&"k".repeat(200)), Cell::Bytes(vec![1, 2])];
        assert_eq!(values.name_of(&row), format!("no\\tbody vault {}…", "k".repeat(80)));
        let row = [Cell::Bytes(vec![0x1a; 16]), text("acme"), Cell::Bytes(vec![1, 2])];
        assert_eq!(table("connection").unwrap().name_of(&row), "1a".repeat(16));
    }

    #[test]
    fn an_owner_is_named_by_the_right_column() {
        for table in TABLES {
            let (at, kind, name) = match table.owner {
                OwnedBy::Platform => continue,
                OwnedBy::Tenant(at) => (at, Kind::Id, "tenant"),
                OwnedBy::User(at) => (at, Kind::Id, "user"),
                OwnedBy::Name(at) => (at, Kind::Text, "owner"),
            };
            assert_eq!((table.columns[at].kind, table.columns[at].name), (kind, name), "{}", table.name);
        }
    }
}

//! What an archive holds: every table of the data, once, in an order in which rows can be added.
//!
//! Invariant: these names are all that archives put into SQL. Tests of the backends compare them with the
//! schemas, so that a migration that adds a table or a column has to say here whether it is backed up.

use model::{TenantId, UserId};

use super::row::Cell;
use crate::Owner;

/// The schema of the first archives. Since then migrations have only added, so that every archive can be
/// restored: what it does not have gets a default. A migration that takes something away moves this.
pub const OLDEST: i64 = 20_261_120_000_900;

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
enum OwnedBy {
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

/// The table of a name.
pub(super) fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

const fn id(name: &'static str) -> Column {
    Column { name, kind: Kind::Id, added: None }
}

const fn bytes(name: &'static str) -> Column {
    Column { name, kind: Kind::Bytes, added: None }
}

const fn sealed(name: &'static str) -> Column {
    Column { name, kind: Kind::Sealed, added: None }
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, added: None }
}

const fn number(name: &'static str) -> Column {
    Column { name, kind: Kind::Integer, added: None }
}

const fn flag(name: &'static str) -> Column {
    Column { name, kind: Kind::Flag, added: None }
}

const fn later(name: &'static str, kind: Kind, older_rows: Added) -> Column {
    Column { name, kind, added: Some(older_rows) }
}

const fn of(name: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, owner: OwnedBy::Platform }
}

const fn sealed_by(owner: OwnedBy, name: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, owner }
}

/// The tables that no archive has: what is true only of one running installation. The change feed tells
/// running processes what is new, and none runs when it is restored; its number goes on (see
/// [`Counter::Change`](super::Counter::Change)).
pub const LEFT_OUT: &[&str] =
    &["_sqlx_migrations", "change", "change_mark", "key_value_revision", "replica", "sqlite_sequence"];

/// All tables of an archive. What refers to another table comes after it. The canary is first: it shows at
/// once whether data and keys belong together.
pub static TABLES: &[Table] = &[
    of("canary", &[number("only"), sealed("sealed")]),
    of(
        "user",
        &[
            id("id"),
            text("handle"),
            text("name"),
            text("email"),
            flag("operator"),
            text("state"),
            number("created_at"),
            Column { name: "session_epoch", kind: Kind::Integer, added: Some(Added::Number(0)) },
        ],
    ),
    sealed_by(OwnedBy::User(0), "local_account", &[id("user"), text("email"), sealed("password")]),
    of("setup", &[number("only"), number("completed_at")]),
    of("tenant", &[id("id"), text("name"), text("state"), number("created_at")]),
    of("tenant_slug", &[text("slug"), id("tenant"), text("state")]),
    of("member", &[id("tenant"), id("user"), text("role")]),
    sealed_by(
        OwnedBy::Tenant(1),
        "connection",
        &[
            id("id"),
            id("tenant"),
            text("slug"),
            text("callback"),
            text("kind"),
            text("name"),
            text("client_id"),
            sealed("client_secret"),
            text("endpoints"),
            number("created_at"),
            Column { name: "enabled", kind: Kind::Flag, added: Some(Added::Flag(true)) },
            Column { name: "declared", kind: Kind::Flag, added: Some(Added::Flag(true)) },
        ],
    ),
    of("identity", &[id("connection"), text("subject"), id("user"), text("email"), flag("email_verified")]),
    of(
        "access_rule",
        &[
            id("id"),
            id("tenant"),
            id("connection"),
            text("kind"),
            text("value"),
            text("role"),
            number("created_at"),
            flag("declared"),
        ],
    ),
    of("admission", &[id("tenant"), id("user"), id("rule")]),
    of(
        "invitation",
        &[
            id("id"),
            id("tenant"),
            bytes("hash"),
            text("role"),
            text("email"),
            id("created_by"),
            number("created_at"),
            number("expires_at"),
        ],
    ),
    of("server", &[id("tenant"), id("id"), text("name"), text("state"), id("live"), number("created_at")]),
    of(
        "server_revision",
        &[id("tenant"), id("id"), id("server"), text("source"), text("offer"), id("created_by"), number("created_at")],
    ),
    of("server_slug", &[id("tenant"), text("slug"), id("server"), text("state")]),
    of(
        "client",
        &[
            text("client_id"),
            id("id"),
            text("origin"),
            id("tenant"),
            text("name"),
            text("uri"),
            text("redirect_uris"),
            text("auth_method"),
            bytes("secret_hash"),
            text("scopes"),
            flag("may_refresh"),
            text("application_type"),
            number("created_at"),
            number("last_used_at"),
            number("expires_at"),
            later("jwks", Kind::Text, Added::Empty),
            later("jwks_uri", Kind::Text, Added::Empty),
            later("metadata", Kind::Text, Added::Text("{}")),
            later("registration_hash", Kind::Bytes, Added::Empty),
            later("blocked_at", Kind::Integer, Added::Empty),
        ],
    ),
    of("client_block", &[id("tenant"), text("client_id"), number("blocked_at")]),
    of("client_policy", &[id("tenant"), text("dcr"), text("dcr_allow"), text("cimd"), text("cimd_allow")]),
    of(
        "grant",
        &[
            id("id"),
            id("tenant"),
            id("user"),
            id("server"),
            text("method"),
            text("client_id"),
            text("client_name"),
            text("resource"),
            text("scopes"),
            text("state"),
            number("revoked_at"),
            number("created_at"),
            number("last_used_at"),
            number("expires_at"),
            later("version", Kind::Integer, Added::Number(1)),
            later("raised_at", Kind::Integer, Added::Empty),
        ],
    ),
    of(
        "code",
        &[
            bytes("hash"),
            id("grant"),
            text("redirect_uri"),
            flag("redirect_uri_sent"),
            text("challenge"),
            number("expires_at"),
            number("used_at"),
            number("failures"),
        ],
    ),
    of(
        "refresh",
        &[
            bytes("hash"),
            id("grant"),
            bytes("parent"),
            number("generation"),
            text("scopes"),
            number("issued_at"),
            number("expires_at"),
            number("rotated_at"),
            later("token", Kind::Id, Added::Empty),
            later("used_at", Kind::Integer, Added::Empty),
            later("superseded_at", Kind::Integer, Added::Empty),
        ],
    ),
    of("revoked_token", &[id("id"), id("tenant"), number("expires_at")]),
    of(
        "signing_key",
        &[
            text("kid"),
            text("algorithm"),
            sealed("private"),
            text("state"),
            number("created_at"),
            later("changed_at", Kind::Integer, Added::Number(0)),
            later("ends_at", Kind::Integer, Added::Empty),
        ],
    ),
    of(
        "resource_credential",
        &[id("id"), id("tenant"), id("server"), text("name"), bytes("secret_hash"), number("created_at")],
    ),
    of("token_policy", &[id("tenant"), number("access"), number("refresh_grace")]),
    of(
        "audit",
        &[id("id"), id("tenant"), number("at"), text("actor"), text("action"), text("subject"), text("details")],
    ),
    sealed_by(
        OwnedBy::Name(0),
        "key_value",
        &[
            text("owner"),
            text("collection"),
            text("key"),
            sealed("value"),
            number("revision"),
            number("expires_at"),
            later("format", Kind::Integer, Added::Number(1)),
        ],
    ),
    of("usage", &[id("tenant"), id("server"), number("hour"), number("calls"), number("errors")]),
    of("usage_batch", &[id("id"), number("at")]),
    of("shredding", &[text("owner")]),
];

#[cfg(test)]
mod tests {
    use super::*;

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

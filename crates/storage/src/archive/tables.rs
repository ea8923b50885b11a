//! What an archive holds: every table of the data, once, in an order in which rows can be added.
//!
//! Invariant: these names are all that archives put into SQL. Tests of the backends compare them with the
//! schemas, so that a migration that adds a table or a column has to say here whether it is backed up.

use super::table::{Added, Column, Kind, OwnedBy, Table, bytes, flag, id, later, number, of, sealed, sealed_by, text};

/// The schema of the first archives. Since then migrations have only added, so that every archive can be
/// restored: what it does not have gets a default. A migration that takes something away moves this.
pub const OLDEST: i64 = 20_261_120_000_900;

/// The tables that no archive has: what is true only of one running installation. The change feed tells
/// running processes what is new, and none runs when it is restored; its number goes on (see
/// [`Counter::Change`](super::Counter::Change)).
pub const LEFT_OUT: &[&str] =
    &["_sqlx_migrations", "change", "change_mark", "key_value_revision", "replica", "sqlite_sequence"];

/// The table of a name.
pub(super) fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

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

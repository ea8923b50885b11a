//! The locks of writes, in the order in which they are taken.
//!
//! Many transactions write at once, each seeing what was committed before its current statement. So what
//! decides over a write is locked first and looked at then, and everybody locks in one order, so that
//! nobody waits in a ring:
//!
//! 1. the advisory locks of [`Turn`];
//! 2. rows of tenant, then user, server, member, connection: `FOR KEY SHARE` by writes that only need them
//!    to stay, more strongly by writes that change or remove them;
//! 3. slugs, accounts, identities, revisions, clients;
//! 4. grants, several in order of id; then their codes and refresh tokens;
//! 5. the lock of the change feed, at the very end of the transaction.

use model::{ConnectionId, ServerId, TenantId, UserId};
use storage::{Result, StorageError};

use crate::{database::Write, row::failed};

/// What only one transaction does at a time, in this order.
#[derive(Clone, Copy, Debug)]
#[repr(i64)]
pub(crate) enum Turn {
    /// Removing something with all that rests on it. Such transactions touch rows of many others in an
    /// order that Postgres chooses; they are rare, so they wait for each other.
    Remove = 0x706f_7274_6963_6f01,
    /// Giving a tenant a slug: two tenants that want each other's would wait for each other.
    TenantSlug = 0x706f_7274_6963_6f02,
    /// Making the first signing key.
    SigningKey = 0x706f_7274_6963_6f03,
    /// A client that registers itself: the cap counts those that are there.
    Registration = 0x706f_7274_6963_6f04,
}

impl Write {
    /// Waits for its turn, which lasts until the end of the transaction.
    pub(crate) async fn turn(&mut self, turn: Turn) -> Result<()> {
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", turn as i64).execute(self.on()).await.map_err(failed)?;
        Ok(())
    }

    /// Looks now at the constraints that are looked at late. Left to the commit, they would wait for rows
    /// under the lock of the change feed, for which the holders of those rows may be waiting.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        sqlx::query!("SET CONSTRAINTS ALL IMMEDIATE").execute(self.on()).await.map_err(failed)?;
        Ok(())
    }

    /// Keeps a tenant from being removed.
    pub(crate) async fn hold_tenant(&mut self, tenant: TenantId) -> Result<()> {
        let held = sqlx::query_scalar!("SELECT id FROM tenant WHERE id = $1 FOR KEY SHARE", tenant.uuid())
            .fetch_optional(self.on())
            .await
            .map_err(failed)?;
        held.map(drop).ok_or(StorageError::Missing("the tenant"))
    }

    /// Waits for the turn at a tenant's servers and their slugs, and keeps the tenant from being removed.
    pub(crate) async fn hold_servers_of(&mut self, tenant: TenantId) -> Result<()> {
        let held = sqlx::query_scalar!("SELECT id FROM tenant WHERE id = $1 FOR NO KEY UPDATE", tenant.uuid())
            .fetch_optional(self.on())
            .await
            .map_err(failed)?;
        held.map(drop).ok_or(StorageError::Missing("the tenant"))
    }

    /// Keeps a person from being removed.
    pub(crate) async fn hold_user(&mut self, user: UserId) -> Result<()> {
        let held = sqlx::query_scalar!(r#"SELECT id FROM "user" WHERE id = $1 FOR KEY SHARE"#, user.uuid())
            .fetch_optional(self.on())
            .await
            .map_err(failed)?;
        held.map(drop).ok_or(StorageError::Missing("the person"))
    }

    /// Keeps a connection from being removed.
    pub(crate) async fn hold_connection(&mut self, connection: ConnectionId) -> Result<()> {
        let held = sqlx::query_scalar!("SELECT id FROM connection WHERE id = $1 FOR KEY SHARE", connection.uuid())
            .fetch_optional(self.on())
            .await
            .map_err(failed)?;
        held.map(drop).ok_or(StorageError::Missing("the connection"))
    }

    /// Keeps a person, a server and the person's membership in its tenant from being removed.
    pub(crate) async fn hold_access(&mut self, tenant: TenantId, user: UserId, server: ServerId) -> Result<()> {
        let held = sqlx::query_scalar!(
            r#"SELECT member.role
               FROM tenant
               JOIN "user" ON "user".id = $2
               JOIN server ON server.tenant = tenant.id AND server.id = $3
               JOIN member ON member.tenant = tenant.id AND member."user" = "user".id
               WHERE tenant.id = $1
               FOR KEY SHARE OF tenant, "user", server, member"#,
            tenant.uuid(),
            user.uuid(),
            server.uuid(),
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        held.map(drop).ok_or(StorageError::Missing("the member or the server"))
    }
}

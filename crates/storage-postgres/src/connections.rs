use async_trait::async_trait;
use model::{ConnectionId, TenantId};
use storage::{
    ChangeKind, ColumnPlace, Owner, Result, StorageError,
    repo::{AuditEvent, Connection, ConnectionOwner, Connections, GrantsOf},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    locks::Turn,
    row::{failed, from_json, or_taken, time, to_json, word},
};

struct ConnectionRow {
    id: Uuid,
    tenant: Option<Uuid>,
    slug: String,
    callback: String,
    kind: String,
    name: String,
    client_id: String,
    client_secret: Vec<u8>,
    endpoints: String,
    created_at: i64,
    enabled: bool,
    declared: bool,
}

fn tenant_of(owner: ConnectionOwner) -> Option<TenantId> {
    match owner {
        ConnectionOwner::Platform => None,
        ConnectionOwner::Tenant(tenant) => Some(tenant),
    }
}

fn secret_place(id: &ConnectionId, owner: ConnectionOwner) -> ColumnPlace<'_> {
    let owner = tenant_of(owner).map_or(Owner::Platform, Owner::Tenant);
    ColumnPlace { owner, table: "connection", column: "client_secret", row: id.bytes() }
}

impl Postgres {
    async fn open_connection(&self, row: ConnectionRow) -> Result<Connection> {
        let tenant = row.tenant.map(TenantId::from_uuid);
        let owner = tenant.map_or(ConnectionOwner::Platform, ConnectionOwner::Tenant);
        let id = ConnectionId::from_uuid(row.id);
        Ok(Connection {
            id,
            owner,
            slug: word("connection.slug", &row.slug)?,
            callback: row.callback,
            kind: word("connection.kind", &row.kind)?,
            name: word("connection.name", &row.name)?,
            client_id: row.client_id,
            client_secret: self.open_unless_damaged(secret_place(&id, owner), &row.client_secret).await?,
            endpoints: from_json("connection.endpoints", &row.endpoints)?,
            created_at: time(row.created_at),
            enabled: row.enabled,
            declared: row.declared,
        })
    }

    /// Two queries, because Postgres finds nothing by an index when a parameter may be null.
    async fn rows_of(&self, owner: ConnectionOwner) -> Result<Vec<ConnectionRow>> {
        let rows = match owner {
            ConnectionOwner::Platform => {
                sqlx::query_as!(
                    ConnectionRow,
                    "SELECT id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at,
                            enabled, declared
                     FROM connection
                     WHERE tenant IS NULL
                     ORDER BY slug",
                )
                .fetch_all(self.read())
                .await
            }
            ConnectionOwner::Tenant(tenant) => {
                sqlx::query_as!(
                    ConnectionRow,
                    "SELECT id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at,
                            enabled, declared
                     FROM connection
                     WHERE tenant = $1
                     ORDER BY slug",
                    tenant.uuid(),
                )
                .fetch_all(self.read())
                .await
            }
        };
        rows.map_err(failed)
    }

    async fn open_found(&self, row: Option<ConnectionRow>) -> Result<Option<Connection>> {
        match row {
            Some(row) => self.open_connection(row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn seal_secret(&self, connection: &Connection) -> Result<Vec<u8>> {
        let damaged = || StorageError::damaged("connection.client_secret", "there is none to seal");
        let secret = connection.client_secret.as_ref().ok_or_else(damaged)?.expose().as_bytes();
        self.sealer().seal_column(secret_place(&connection.id, connection.owner), secret).await
    }
}

impl Write {
    fn change_connection(&mut self, id: ConnectionId, tenant: Option<TenantId>) {
        self.change(ChangeKind::Connection, tenant, id.bytes());
    }

    async fn insert_connection(&mut self, connection: &Connection, secret: &[u8]) -> Result<()> {
        sqlx::query!(
            "INSERT INTO connection
                 (id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at, enabled,
                  declared)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            connection.id.uuid(),
            tenant_of(connection.owner).map(TenantId::uuid),
            connection.slug.as_str(),
            connection.callback,
            connection.kind.as_str(),
            connection.name.as_str(),
            connection.client_id,
            secret,
            to_json(&connection.endpoints)?,
            connection.created_at.millis(),
            connection.enabled,
            connection.declared,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the connection"))?;
        Ok(())
    }
}

#[async_trait]
impl Connections for Postgres {
    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>> {
        let row = sqlx::query_as!(
            ConnectionRow,
            "SELECT id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at, enabled,
                    declared
             FROM connection
             WHERE id = $1",
            id.uuid(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        self.open_found(row).await
    }

    async fn by_callback(&self, callback: &str) -> Result<Option<Connection>> {
        let row = sqlx::query_as!(
            ConnectionRow,
            "SELECT id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at, enabled,
                    declared
             FROM connection
             WHERE callback = $1",
            callback,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        self.open_found(row).await
    }

    async fn list(&self, owner: ConnectionOwner) -> Result<Vec<Connection>> {
        let rows = self.rows_of(owner).await?;
        let mut connections = Vec::with_capacity(rows.len());
        for row in rows {
            connections.push(self.open_connection(row).await?);
        }
        Ok(connections)
    }

    async fn create(&self, connection: &Connection, audit: &AuditEvent) -> Result<()> {
        let secret = self.seal_secret(connection).await?;
        let tenant = tenant_of(connection.owner);
        let mut write = self.write().await?;
        if let Some(tenant) = tenant {
            write.hold_tenant(tenant).await?;
        }
        write.insert_connection(connection, &secret).await?;
        write.change_connection(connection.id, tenant);
        write.audit(audit).await?;
        write.commit().await
    }

    async fn update(&self, connection: &Connection, audit: &AuditEvent) -> Result<()> {
        if !connection.enabled {
            self.end_grants_ahead(&GrantsOf::Connection(connection.id), audit.at).await?;
        }
        let secret = self.seal_secret(connection).await?;
        let tenant = tenant_of(connection.owner);
        let mut write = self.write().await?;
        let updated = sqlx::query!(
            "UPDATE connection
             SET kind = $1, name = $2, client_id = $3, client_secret = $4, endpoints = $5, enabled = $6,
                 declared = $7
             WHERE id = $8 AND tenant IS NOT DISTINCT FROM $9",
            connection.kind.as_str(),
            connection.name.as_str(),
            connection.client_id,
            secret,
            to_json(&connection.endpoints)?,
            connection.enabled,
            connection.declared,
            connection.id.uuid(),
            tenant.map(TenantId::uuid),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if updated.rows_affected() == 0 {
            return Err(StorageError::Missing("the connection"));
        }
        if !connection.enabled {
            write.end_grants(&GrantsOf::Connection(connection.id), audit.at).await?;
        }
        write.change_connection(connection.id, tenant);
        write.audit(audit).await?;
        write.commit().await
    }

    async fn delete(&self, id: ConnectionId, audit: &AuditEvent) -> Result<bool> {
        self.end_grants_ahead(&GrantsOf::Connection(id), audit.at).await?;
        let mut write = self.write().await?;
        write.turn(Turn::Remove).await?;
        write.end_admissions_of_connection(id, audit.at).await?;
        // The connection first: whoever authorizes through it at this moment holds that row.
        let deleted = sqlx::query!("DELETE FROM connection WHERE id = $1 RETURNING tenant", id.uuid())
            .fetch_optional(write.on())
            .await
            .map_err(failed)?;
        let Some(row) = deleted else { return Ok(false) };
        write.end_grants(&GrantsOf::Connection(id), audit.at).await?;
        write.change_connection(id, row.tenant.map(TenantId::from_uuid));
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }
}

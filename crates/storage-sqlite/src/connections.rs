use async_trait::async_trait;
use model::{ConnectionId, TenantId};
use storage::{
    ChangeKind, ColumnPlace, Owner, Result, StorageError,
    repo::{AuditEvent, Connection, ConnectionOwner, Connections, GrantsOf},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{from_json, id, or_taken, time, to_json, word},
};

struct ConnectionRow {
    id: Vec<u8>,
    tenant: Option<Vec<u8>>,
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

impl Sqlite {
    async fn open_connection(&self, row: ConnectionRow) -> Result<Connection> {
        let tenant = row.tenant.map(|tenant| id("connection.tenant", &tenant)).transpose()?;
        let owner = tenant.map_or(ConnectionOwner::Platform, ConnectionOwner::Tenant);
        let id = id("connection.id", &row.id)?;
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

    async fn open_found(&self, row: Option<ConnectionRow>) -> Result<Option<Connection>> {
        match row {
            Some(row) => self.open_connection(row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn seal_secret(&self, connection: &Connection) -> Result<Vec<u8>> {
        let damaged = || StorageError::damaged("connection.client_secret", "there is none to seal");
        let secret = connection.client_secret.as_ref().ok_or_else(damaged)?.expose().as_bytes();
        self.0.sealer.seal_column(secret_place(&connection.id, connection.owner), secret).await
    }
}

impl Write {
    async fn change_connection(&mut self, id: ConnectionId, tenant: Option<TenantId>) -> Result<()> {
        self.change(ChangeKind::Connection, tenant, id.bytes()).await
    }
}

#[async_trait]
impl Connections for Sqlite {
    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>> {
        let id = id.bytes().as_slice();
        let row = sqlx::query_as!(
            ConnectionRow,
            r#"SELECT id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at,
                      enabled AS "enabled: bool", declared AS "declared: bool"
               FROM connection
               WHERE id = ?"#,
            id,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        self.open_found(row).await
    }

    async fn by_callback(&self, callback: &str) -> Result<Option<Connection>> {
        let row = sqlx::query_as!(
            ConnectionRow,
            r#"SELECT id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at,
                      enabled AS "enabled: bool", declared AS "declared: bool"
               FROM connection
               WHERE callback = ?"#,
            callback,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        self.open_found(row).await
    }

    async fn list(&self, owner: ConnectionOwner) -> Result<Vec<Connection>> {
        let tenant = tenant_of(owner).map(|id| id.bytes().to_vec()).unwrap_or_default();
        let rows = sqlx::query_as!(
            ConnectionRow,
            r#"SELECT id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at,
                      enabled AS "enabled: bool", declared AS "declared: bool"
               FROM connection
               WHERE ifnull(tenant, x'') = ?
               ORDER BY slug"#,
            tenant,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        let mut connections = Vec::with_capacity(rows.len());
        for row in rows {
            connections.push(self.open_connection(row).await?);
        }
        Ok(connections)
    }

    async fn create(&self, connection: &Connection, audit: &AuditEvent) -> Result<()> {
        let secret = self.seal_secret(connection).await?;
        let owner = tenant_of(connection.owner);
        let (id, tenant) = (connection.id.bytes().as_slice(), owner.map(|id| id.bytes().to_vec()));
        let (slug, name, kind) = (connection.slug.as_str(), connection.name.as_str(), connection.kind.as_str());
        let (endpoints, created_at) = (to_json(&connection.endpoints)?, connection.created_at.millis());
        let mut write = self.write().await?;
        sqlx::query!(
            "INSERT INTO connection
                 (id, tenant, slug, callback, kind, name, client_id, client_secret, endpoints, created_at, enabled,
                  declared)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            tenant,
            slug,
            connection.callback,
            kind,
            name,
            connection.client_id,
            secret,
            endpoints,
            created_at,
            connection.enabled,
            connection.declared,
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the connection"))?;
        write.change_connection(connection.id, owner).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn update(&self, connection: &Connection, audit: &AuditEvent) -> Result<()> {
        if !connection.enabled {
            self.end_grants_ahead(&GrantsOf::Connection(connection.id), audit.at).await?;
        }
        let secret = self.seal_secret(connection).await?;
        let owner = tenant_of(connection.owner);
        let (id, tenant) = (connection.id.bytes().as_slice(), owner.map(|id| id.bytes().to_vec()));
        let (kind, name, endpoints) =
            (connection.kind.as_str(), connection.name.as_str(), to_json(&connection.endpoints)?);
        let mut write = self.write().await?;
        let updated = sqlx::query!(
            "UPDATE connection
             SET kind = ?, name = ?, client_id = ?, client_secret = ?, endpoints = ?, enabled = ?,
                 declared = ?
             WHERE id = ? AND tenant IS ?",
            kind,
            name,
            connection.client_id,
            secret,
            endpoints,
            connection.enabled,
            connection.declared,
            id,
            tenant,
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
        write.change_connection(connection.id, owner).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn delete(&self, id: ConnectionId, audit: &AuditEvent) -> Result<bool> {
        self.end_grants_ahead(&GrantsOf::Connection(id), audit.at).await?;
        let key = id.bytes().as_slice();
        let mut write = self.write().await?;
        write.end_admissions_of_connection(id, audit.at).await?;
        let deleted =
            sqlx::query!(r#"DELETE FROM connection WHERE id = ? RETURNING tenant AS "tenant?: Vec<u8>""#, key)
                .fetch_optional(write.on())
                .await
                .map_err(failed)?;
        let Some(row) = deleted else { return Ok(false) };
        let tenant = row.tenant.map(|tenant| crate::row::id("connection.tenant", &tenant)).transpose()?;
        write.end_grants(&GrantsOf::Connection(id), audit.at).await?;
        write.change_connection(id, tenant).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }
}

use async_trait::async_trait;
use model::{RevisionId, ServerId, ServerSlug, TenantId};
use storage::{
    Result, StorageError,
    repo::{AuditEvent, GrantsOf, Server, ServerRevision, Servers},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{from_json, id, newest_first, or_taken, time, to_json, word},
};

struct ServerRow {
    id: Vec<u8>,
    tenant: Vec<u8>,
    slug: String,
    name: String,
    state: String,
    live: Option<Vec<u8>>,
    created_at: i64,
}

impl ServerRow {
    fn parse(self) -> Result<Server> {
        Ok(Server {
            id: id("server.id", &self.id)?,
            tenant: id("server.tenant", &self.tenant)?,
            slug: word("server_slug.slug", &self.slug)?,
            name: word("server.name", &self.name)?,
            state: word("server.state", &self.state)?,
            live: self.live.map(|live| id("server.live", &live)).transpose()?,
            created_at: time(self.created_at),
        })
    }
}

struct RevisionRow {
    id: Vec<u8>,
    tenant: Vec<u8>,
    server: Vec<u8>,
    source: String,
    offer: Option<String>,
    created_by: Option<Vec<u8>>,
    created_at: i64,
}

impl RevisionRow {
    fn parse(self) -> Result<ServerRevision> {
        Ok(ServerRevision {
            id: id("server_revision.id", &self.id)?,
            tenant: id("server_revision.tenant", &self.tenant)?,
            server: id("server_revision.server", &self.server)?,
            source: from_json("server_revision.source", &self.source)?,
            offer: self.offer.map(|offer| from_json("server_revision.offer", &offer)).transpose()?,
            created_by: self.created_by.map(|user| id("server_revision.created_by", &user)).transpose()?,
            created_at: time(self.created_at),
        })
    }
}

impl Write {
    /// Gives a server its slug; what it had before stays an alias.
    async fn set_server_slug(&mut self, server: &Server) -> Result<()> {
        let (tenant, id) = (server.tenant.bytes().as_slice(), server.id.bytes().as_slice());
        let slug = server.slug.as_str();
        sqlx::query!(
            "UPDATE server_slug SET state = 'alias'
             WHERE tenant = ? AND server = ? AND state = 'current' AND slug <> ?",
            tenant,
            id,
            slug,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        // An alias of the server's own may become current again; another's and a tombstone may not.
        let given = sqlx::query!(
            "INSERT INTO server_slug (tenant, slug, server, state) VALUES (?, ?, ?, 'current')
             ON CONFLICT (tenant, slug) DO UPDATE SET state = 'current' WHERE server_slug.server = excluded.server",
            tenant,
            slug,
            id,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if given.rows_affected() == 0 { Err(StorageError::Taken("the slug")) } else { Ok(()) }
    }

    async fn insert_revision(&mut self, revision: &ServerRevision) -> Result<()> {
        let (tenant, id) = (revision.tenant.bytes().as_slice(), revision.id.bytes().as_slice());
        let (server, created_by) =
            (revision.server.bytes().as_slice(), revision.created_by.map(|user| user.bytes().to_vec()));
        let (source, offer) = (to_json(&revision.source)?, revision.offer.as_ref().map(to_json).transpose()?);
        let created_at = revision.created_at.millis();
        sqlx::query!(
            "INSERT INTO server_revision (tenant, id, server, source, offer, created_by, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            tenant,
            id,
            server,
            source,
            offer,
            created_by,
            created_at,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the revision"))?;
        Ok(())
    }
}

#[async_trait]
impl Servers for Sqlite {
    async fn server(&self, tenant: TenantId, id: ServerId) -> Result<Option<Server>> {
        let (tenant, id) = (tenant.bytes().as_slice(), id.bytes().as_slice());
        let row = sqlx::query_as!(
            ServerRow,
            "SELECT server.id, server.tenant, server_slug.slug, server.name, server.state, server.live,
                    server.created_at
             FROM server JOIN server_slug
             ON server_slug.tenant = server.tenant AND server_slug.server = server.id AND server_slug.state = 'current'
             WHERE server.tenant = ? AND server.id = ?",
            tenant,
            id,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(ServerRow::parse).transpose()
    }

    async fn by_slug(&self, tenant: TenantId, slug: &ServerSlug) -> Result<Option<Server>> {
        let (tenant, slug) = (tenant.bytes().as_slice(), slug.as_str());
        let row = sqlx::query_as!(
            ServerRow,
            "SELECT server.id, server.tenant, server_slug.slug, server.name, server.state, server.live,
                    server.created_at
             FROM server_slug AS asked
             JOIN server ON server.tenant = asked.tenant AND server.id = asked.server
             JOIN server_slug
             ON server_slug.tenant = server.tenant AND server_slug.server = server.id AND server_slug.state = 'current'
             WHERE asked.tenant = ? AND asked.slug = ?",
            tenant,
            slug,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(ServerRow::parse).transpose()
    }

    async fn is_tombstone(&self, tenant: TenantId, slug: &ServerSlug) -> Result<bool> {
        let (tenant, slug) = (tenant.bytes().as_slice(), slug.as_str());
        let state = sqlx::query_scalar!("SELECT state FROM server_slug WHERE tenant = ? AND slug = ?", tenant, slug)
            .fetch_optional(self.read())
            .await
            .map_err(failed)?;
        Ok(state.as_deref() == Some("tombstone"))
    }

    async fn list(&self, tenant: TenantId, after: Option<&ServerSlug>, limit: u32) -> Result<Vec<Server>> {
        let (tenant, after) = (tenant.bytes().as_slice(), after.map_or("", ServerSlug::as_str));
        let rows = sqlx::query_as!(
            ServerRow,
            "SELECT server.id, server.tenant, server_slug.slug, server.name, server.state, server.live,
                    server.created_at
             FROM server JOIN server_slug
             ON server_slug.tenant = server.tenant AND server_slug.server = server.id AND server_slug.state = 'current'
             WHERE server.tenant = ? AND server_slug.slug > ?
             ORDER BY server_slug.slug
             LIMIT ?",
            tenant,
            after,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(ServerRow::parse).collect()
    }

    async fn revision(&self, tenant: TenantId, id: RevisionId) -> Result<Option<ServerRevision>> {
        let (tenant, id) = (tenant.bytes().as_slice(), id.bytes().as_slice());
        let row = sqlx::query_as!(
            RevisionRow,
            "SELECT id, tenant, server, source, offer, created_by, created_at
             FROM server_revision
             WHERE tenant = ? AND id = ?",
            tenant,
            id,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(RevisionRow::parse).transpose()
    }

    async fn revisions(
        &self,
        tenant: TenantId,
        server: ServerId,
        before: Option<RevisionId>,
        limit: u32,
    ) -> Result<Vec<ServerRevision>> {
        let (tenant, server) = (tenant.bytes().as_slice(), server.bytes().as_slice());
        let before = newest_first(before);
        let rows = sqlx::query_as!(
            RevisionRow,
            "SELECT id, tenant, server, source, offer, created_by, created_at
             FROM server_revision
             WHERE tenant = ? AND server = ? AND id < ?
             ORDER BY id DESC
             LIMIT ?",
            tenant,
            server,
            before,
            limit,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(RevisionRow::parse).collect()
    }

    async fn made_by_hand(&self, tenant: TenantId, server: ServerId) -> Result<bool> {
        let (tenant, server) = (tenant.bytes().as_slice(), server.bytes().as_slice());
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM server_revision
                              WHERE tenant = ? AND server = ? AND created_by IS NOT NULL) AS "any!: bool""#,
            tenant,
            server,
        )
        .fetch_one(self.read())
        .await
        .map_err(failed)
    }

    async fn create(&self, server: &Server, revision: &ServerRevision, audit: &AuditEvent) -> Result<()> {
        let (tenant, id) = (server.tenant.bytes().as_slice(), server.id.bytes().as_slice());
        let (name, state) = (server.name.as_str(), server.state.as_str());
        let (live, created_at) = (server.live.map(|live| live.bytes().to_vec()), server.created_at.millis());
        let mut write = self.write().await?;
        sqlx::query!(
            "INSERT INTO server (tenant, id, name, state, live, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            tenant,
            id,
            name,
            state,
            live,
            created_at,
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the server"))?;
        write.set_server_slug(server).await?;
        write.insert_revision(revision).await?;
        write.change_tenant(server.tenant).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn add_revision(&self, revision: &ServerRevision, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.insert_revision(revision).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn update(&self, server: &Server, audit: &AuditEvent) -> Result<()> {
        let (tenant, id) = (server.tenant.bytes().as_slice(), server.id.bytes().as_slice());
        let (name, state) = (server.name.as_str(), server.state.as_str());
        let live = server.live.map(|live| live.bytes().to_vec());
        let mut write = self.write().await?;
        let updated = sqlx::query!(
            "UPDATE server SET name = ?, state = ?, live = ? WHERE tenant = ? AND id = ?",
            name,
            state,
            live,
            tenant,
            id,
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if updated.rows_affected() == 0 {
            return Err(StorageError::Missing("the server"));
        }
        write.set_server_slug(server).await?;
        write.change_tenant(server.tenant).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn delete(&self, tenant: TenantId, id: ServerId, audit: &AuditEvent) -> Result<bool> {
        self.end_grants_ahead(&GrantsOf::Server(tenant, id), audit.at).await?;
        let mut write = self.write().await?;
        if !write.delete_server(tenant, id, audit).await? {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }
}

impl Write {
    async fn delete_server(&mut self, tenant: TenantId, server: ServerId, audit: &AuditEvent) -> Result<bool> {
        let (key, id) = (tenant.bytes().as_slice(), server.bytes().as_slice());
        self.end_grants(&GrantsOf::Server(tenant, server), audit.at).await?;
        // A draft never had a URL that worked, so nobody can hold on to its name.
        sqlx::query!(
            "DELETE FROM server_slug
             WHERE tenant = ? AND server IN (SELECT id FROM server WHERE tenant = ? AND id = ? AND live IS NULL)",
            key,
            key,
            id
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        sqlx::query!(
            "UPDATE server_slug SET state = 'tombstone', server = NULL WHERE tenant = ? AND server = ?",
            key,
            id
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        let deleted = sqlx::query!("DELETE FROM server WHERE tenant = ? AND id = ?", key, id)
            .execute(self.on())
            .await
            .map_err(failed)?;
        self.change_tenant(tenant).await?;
        Ok(deleted.rows_affected() == 1)
    }
}

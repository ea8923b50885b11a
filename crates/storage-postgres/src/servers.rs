use async_trait::async_trait;
use model::{RevisionId, ServerId, ServerSlug, TenantId, UserId};
use storage::{
    Result, StorageError,
    repo::{AuditEvent, GrantsOf, Server, ServerRevision, Servers},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    locks::Turn,
    row::{failed, from_json, or_taken, time, to_json, word},
};

struct ServerRow {
    id: Uuid,
    tenant: Uuid,
    slug: String,
    name: String,
    state: String,
    live: Option<Uuid>,
    created_at: i64,
}

impl ServerRow {
    fn parse(self) -> Result<Server> {
        Ok(Server {
            id: ServerId::from_uuid(self.id),
            tenant: TenantId::from_uuid(self.tenant),
            slug: word("server_slug.slug", &self.slug)?,
            name: word("server.name", &self.name)?,
            state: word("server.state", &self.state)?,
            live: self.live.map(RevisionId::from_uuid),
            created_at: time(self.created_at),
        })
    }
}

struct RevisionRow {
    id: Uuid,
    tenant: Uuid,
    server: Uuid,
    source: String,
    offer: Option<String>,
    created_by: Option<Uuid>,
    created_at: i64,
}

impl RevisionRow {
    fn parse(self) -> Result<ServerRevision> {
        Ok(ServerRevision {
            id: RevisionId::from_uuid(self.id),
            tenant: TenantId::from_uuid(self.tenant),
            server: ServerId::from_uuid(self.server),
            source: from_json("server_revision.source", &self.source)?,
            offer: self.offer.map(|offer| from_json("server_revision.offer", &offer)).transpose()?,
            created_by: self.created_by.map(UserId::from_uuid),
            created_at: time(self.created_at),
        })
    }
}

impl Write {
    /// Gives a server its slug; what it had before stays an alias. Needs the turn at the tenant's servers.
    async fn set_server_slug(&mut self, server: &Server) -> Result<()> {
        sqlx::query!(
            "UPDATE server_slug SET state = 'alias'
             WHERE tenant = $1 AND server = $2 AND state = 'current' AND slug <> $3",
            server.tenant.uuid(),
            server.id.uuid(),
            server.slug.as_str(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        // An alias of the server's own may become current again; another's and a tombstone may not.
        let given = sqlx::query!(
            "INSERT INTO server_slug (tenant, slug, server, state) VALUES ($1, $2, $3, 'current')
             ON CONFLICT (tenant, slug) DO UPDATE SET state = 'current' WHERE server_slug.server = excluded.server",
            server.tenant.uuid(),
            server.slug.as_str(),
            server.id.uuid(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        if given.rows_affected() == 0 { Err(StorageError::Taken("the slug")) } else { Ok(()) }
    }

    async fn insert_revision(&mut self, revision: &ServerRevision) -> Result<()> {
        if let Some(creator) = revision.created_by {
            self.hold_user(creator).await?;
        }
        sqlx::query!(
            "INSERT INTO server_revision (tenant, id, server, source, offer, created_by, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            revision.tenant.uuid(),
            revision.id.uuid(),
            revision.server.uuid(),
            to_json(&revision.source)?,
            revision.offer.as_ref().map(to_json).transpose()?,
            revision.created_by.map(UserId::uuid),
            revision.created_at.millis(),
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the revision"))?;
        Ok(())
    }
}

#[async_trait]
impl Servers for Postgres {
    async fn server(&self, tenant: TenantId, id: ServerId) -> Result<Option<Server>> {
        let row = sqlx::query_as!(
            ServerRow,
            "SELECT server.id, server.tenant, server_slug.slug, server.name, server.state, server.live,
                    server.created_at
             FROM server JOIN server_slug
             ON server_slug.tenant = server.tenant AND server_slug.server = server.id AND server_slug.state = 'current'
             WHERE server.tenant = $1 AND server.id = $2",
            tenant.uuid(),
            id.uuid(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(ServerRow::parse).transpose()
    }

    async fn by_slug(&self, tenant: TenantId, slug: &ServerSlug) -> Result<Option<Server>> {
        let row = sqlx::query_as!(
            ServerRow,
            "SELECT server.id, server.tenant, server_slug.slug, server.name, server.state, server.live,
                    server.created_at
             FROM server_slug AS asked
             JOIN server ON server.tenant = asked.tenant AND server.id = asked.server
             JOIN server_slug
             ON server_slug.tenant = server.tenant AND server_slug.server = server.id AND server_slug.state = 'current'
             WHERE asked.tenant = $1 AND asked.slug = $2",
            tenant.uuid(),
            slug.as_str(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(ServerRow::parse).transpose()
    }

    async fn is_tombstone(&self, tenant: TenantId, slug: &ServerSlug) -> Result<bool> {
        let (tenant, slug) = (tenant.uuid(), slug.as_str());
        let state = sqlx::query_scalar!("SELECT state FROM server_slug WHERE tenant = $1 AND slug = $2", tenant, slug)
            .fetch_optional(self.read())
            .await
            .map_err(failed)?;
        Ok(state.as_deref() == Some("tombstone"))
    }

    async fn list(&self, tenant: TenantId, after: Option<&ServerSlug>, limit: u32) -> Result<Vec<Server>> {
        let rows = sqlx::query_as!(
            ServerRow,
            "SELECT server.id, server.tenant, server_slug.slug, server.name, server.state, server.live,
                    server.created_at
             FROM server JOIN server_slug
             ON server_slug.tenant = server.tenant AND server_slug.server = server.id AND server_slug.state = 'current'
             WHERE server.tenant = $1 AND server_slug.slug > $2
             ORDER BY server_slug.slug
             LIMIT $3",
            tenant.uuid(),
            after.map_or("", ServerSlug::as_str),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(ServerRow::parse).collect()
    }

    async fn revision(&self, tenant: TenantId, id: RevisionId) -> Result<Option<ServerRevision>> {
        let row = sqlx::query_as!(
            RevisionRow,
            "SELECT id, tenant, server, source, offer, created_by, created_at
             FROM server_revision
             WHERE tenant = $1 AND id = $2",
            tenant.uuid(),
            id.uuid(),
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
        let rows = sqlx::query_as!(
            RevisionRow,
            "SELECT id, tenant, server, source, offer, created_by, created_at
             FROM server_revision
             WHERE tenant = $1 AND server = $2 AND id < $3
             ORDER BY id DESC
             LIMIT $4",
            tenant.uuid(),
            server.uuid(),
            before.map_or(Uuid::max(), RevisionId::uuid),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(RevisionRow::parse).collect()
    }

    async fn made_by_hand(&self, tenant: TenantId, server: ServerId) -> Result<bool> {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM server_revision
                              WHERE tenant = $1 AND server = $2 AND created_by IS NOT NULL) AS "any!""#,
            tenant.uuid(),
            server.uuid(),
        )
        .fetch_one(self.read())
        .await
        .map_err(failed)
    }

    async fn create(&self, server: &Server, revision: &ServerRevision, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.hold_servers_of(server.tenant).await?;
        sqlx::query!(
            "INSERT INTO server (tenant, id, name, state, live, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
            server.tenant.uuid(),
            server.id.uuid(),
            server.name.as_str(),
            server.state.as_str(),
            server.live.map(RevisionId::uuid),
            server.created_at.millis(),
        )
        .execute(write.on())
        .await
        .map_err(or_taken("the server"))?;
        write.insert_revision(revision).await?;
        write.set_server_slug(server).await?;
        write.change_tenant(server.tenant);
        write.audit(audit).await?;
        write.settle().await?;
        write.commit().await
    }

    async fn add_revision(&self, revision: &ServerRevision, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.hold_tenant(revision.tenant).await?;
        write.insert_revision(revision).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn update(&self, server: &Server, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.hold_servers_of(server.tenant).await?;
        let updated = sqlx::query!(
            "UPDATE server SET name = $1, state = $2, live = $3 WHERE tenant = $4 AND id = $5",
            server.name.as_str(),
            server.state.as_str(),
            server.live.map(RevisionId::uuid),
            server.tenant.uuid(),
            server.id.uuid(),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if updated.rows_affected() == 0 {
            return Err(StorageError::Missing("the server"));
        }
        write.set_server_slug(server).await?;
        write.change_tenant(server.tenant);
        write.audit(audit).await?;
        write.settle().await?;
        write.commit().await
    }

    async fn delete(&self, tenant: TenantId, id: ServerId, audit: &AuditEvent) -> Result<bool> {
        self.end_grants_ahead(&GrantsOf::Server(tenant, id), audit.at).await?;
        let mut write = self.write().await?;
        if !write.delete_server(tenant, id, audit).await? {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.settle().await?;
        write.commit().await?;
        Ok(true)
    }
}

impl Write {
    async fn delete_server(&mut self, tenant: TenantId, server: ServerId, audit: &AuditEvent) -> Result<bool> {
        self.turn(Turn::Remove).await?;
        match self.hold_servers_of(tenant).await {
            Err(StorageError::Missing(_)) => return Ok(false),
            other => other?,
        }
        // Whoever authorizes on the server at this moment has done so by then, or finds no server.
        let found = sqlx::query_scalar!(
            "SELECT live FROM server WHERE tenant = $1 AND id = $2 FOR UPDATE",
            tenant.uuid(),
            server.uuid(),
        )
        .fetch_optional(self.on())
        .await
        .map_err(failed)?;
        let Some(live) = found else { return Ok(false) };
        self.free_slugs(tenant, server, live.is_some()).await?;
        self.end_grants(&GrantsOf::Server(tenant, server), audit.at).await?;
        sqlx::query!("DELETE FROM server WHERE tenant = $1 AND id = $2", tenant.uuid(), server.uuid())
            .execute(self.on())
            .await
            .map_err(failed)?;
        self.change_tenant(tenant);
        Ok(true)
    }

    /// Takes a server its slugs: they become tombstones. A draft never had a URL that worked, so nobody can
    /// hold on to its name.
    async fn free_slugs(&mut self, tenant: TenantId, server: ServerId, was_live: bool) -> Result<()> {
        if was_live {
            sqlx::query!(
                "UPDATE server_slug SET state = 'tombstone', server = NULL WHERE tenant = $1 AND server = $2",
                tenant.uuid(),
                server.uuid(),
            )
            .execute(self.on())
            .await
            .map_err(failed)?;
        } else {
            sqlx::query!("DELETE FROM server_slug WHERE tenant = $1 AND server = $2", tenant.uuid(), server.uuid())
                .execute(self.on())
                .await
                .map_err(failed)?;
        }
        Ok(())
    }
}

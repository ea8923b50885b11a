//! What a snapshot holds of one tenant, read in one transaction so that its parts belong together.

use std::{collections::HashMap, sync::Arc};

use model::{Role, ServerId, ServerSlug, TenantId, TenantSlug, UserId};
use sqlx::SqliteConnection;
use storage::{
    Result,
    repo::{LiveServer, TenantView, TokenPolicy},
};

use super::TenantRow;
use crate::{
    Sqlite, failed,
    resource_credentials::lasting,
    row::{from_json, id, word},
};

impl Sqlite {
    pub(super) async fn view_of(&self, tenant: TenantId) -> Result<Option<TenantView>> {
        let mut read = self.read().begin().await.map_err(failed)?;
        let key = tenant.bytes().as_slice();
        let row = sqlx::query_as!(
            TenantRow,
            "SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at
             FROM tenant JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
             WHERE tenant.id = ? AND tenant.state = 'active'",
            key,
        )
        .fetch_optional(&mut *read)
        .await
        .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(TenantView {
            tenant: row.parse()?,
            slugs: slugs(&mut read, tenant).await?,
            servers: servers(&mut read, tenant).await?,
            members: members(&mut read, tenant).await?,
            tokens: tokens(&mut read, tenant).await?,
        }))
    }
}

/// The current slug first.
async fn slugs(read: &mut SqliteConnection, tenant: TenantId) -> Result<Vec<TenantSlug>> {
    let tenant = tenant.bytes().as_slice();
    let slugs = sqlx::query_scalar!(
        "SELECT slug FROM tenant_slug WHERE tenant = ? ORDER BY state = 'current' DESC, slug",
        tenant
    )
    .fetch_all(read)
    .await
    .map_err(failed)?;
    slugs.iter().map(|slug| word("tenant_slug.slug", slug)).collect()
}

async fn tokens(read: &mut SqliteConnection, tenant: TenantId) -> Result<TokenPolicy> {
    let tenant = tenant.bytes().as_slice();
    let row = sqlx::query!("SELECT access, refresh_grace FROM token_policy WHERE tenant = ?", tenant)
        .fetch_optional(read)
        .await
        .map_err(failed)?;
    let Some(row) = row else { return Ok(TokenPolicy::default()) };
    Ok(TokenPolicy {
        access: lasting("token_policy.access", row.access)?,
        refresh_grace: lasting("token_policy.refresh_grace", row.refresh_grace)?,
    })
}

async fn members(read: &mut SqliteConnection, tenant: TenantId) -> Result<Vec<(UserId, Role)>> {
    let tenant = tenant.bytes().as_slice();
    let rows = sqlx::query!(r#"SELECT "user", role FROM member WHERE tenant = ? ORDER BY "user""#, tenant)
        .fetch_all(read)
        .await
        .map_err(failed)?;
    rows.iter().map(|row| Ok((id("member.user", &row.user)?, word("member.role", &row.role)?))).collect()
}

async fn servers(read: &mut SqliteConnection, tenant: TenantId) -> Result<Vec<Arc<LiveServer>>> {
    let mut slugs = server_slugs(read, tenant).await?;
    let key = tenant.bytes().as_slice();
    let rows = sqlx::query!(
        "SELECT server.id, server.name, server_revision.id AS revision, server_revision.source
         FROM server JOIN server_revision
         ON server_revision.tenant = server.tenant AND server_revision.id = server.live
         WHERE server.tenant = ? AND server.state = 'live'
         ORDER BY server.id",
        key,
    )
    .fetch_all(read)
    .await
    .map_err(failed)?;
    rows.iter()
        .map(|row| {
            let server: ServerId = id("server.id", &row.id)?;
            Ok(Arc::new(LiveServer {
                id: server,
                tenant,
                slugs: slugs.remove(&server).unwrap_or_default(),
                name: word("server.name", &row.name)?,
                revision: id("server_revision.id", &row.revision)?,
                source: from_json("server_revision.source", &row.source)?,
            }))
        })
        .collect()
}

/// The slugs of every server, each one's current slug first.
async fn server_slugs(read: &mut SqliteConnection, tenant: TenantId) -> Result<HashMap<ServerId, Vec<ServerSlug>>> {
    let tenant = tenant.bytes().as_slice();
    let rows = sqlx::query!(
        r#"SELECT slug, server AS "server!" FROM server_slug
           WHERE tenant = ? AND server IS NOT NULL
           ORDER BY state = 'current' DESC, slug"#,
        tenant,
    )
    .fetch_all(read)
    .await
    .map_err(failed)?;
    let mut all: HashMap<ServerId, Vec<ServerSlug>> = HashMap::new();
    for row in rows {
        all.entry(id("server_slug.server", &row.server)?).or_default().push(word("server_slug.slug", &row.slug)?);
    }
    Ok(all)
}

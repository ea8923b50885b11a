//! What a snapshot holds of one tenant, read in one transaction that sees one moment, so that its parts
//! belong together.

use std::{collections::HashMap, sync::Arc};

use model::{RevisionId, Role, ServerId, ServerSlug, TenantId, TenantSlug, UserId};
use storage::{
    Result,
    repo::{LiveServer, TenantView, TokenPolicy},
};

use super::TenantRow;
use crate::{
    Postgres,
    database::Lease,
    resource_credentials::lasting,
    row::{failed, from_json, word},
};

impl Postgres {
    pub(super) async fn view_of(&self, tenant: TenantId) -> Result<Option<TenantView>> {
        let mut moment = self.snapshot().await?;
        let read = moment.on();
        let row = sqlx::query_as!(
            TenantRow,
            "SELECT tenant.id, tenant_slug.slug, tenant.name, tenant.state, tenant.created_at
             FROM tenant JOIN tenant_slug ON tenant_slug.tenant = tenant.id AND tenant_slug.state = 'current'
             WHERE tenant.id = $1 AND tenant.state = 'active'",
            tenant.uuid(),
        )
        .fetch_optional(&mut *read)
        .await
        .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(TenantView {
            tenant: row.parse()?,
            slugs: slugs(read, tenant).await?,
            servers: servers(read, tenant).await?,
            members: members(read, tenant).await?,
            tokens: tokens(read, tenant).await?,
        }))
    }
}

/// The current slug first.
async fn slugs(read: &mut Lease, tenant: TenantId) -> Result<Vec<TenantSlug>> {
    let slugs = sqlx::query_scalar!(
        "SELECT slug FROM tenant_slug WHERE tenant = $1 ORDER BY (state = 'current') DESC, slug",
        tenant.uuid(),
    )
    .fetch_all(read)
    .await
    .map_err(failed)?;
    slugs.iter().map(|slug| word("tenant_slug.slug", slug)).collect()
}

async fn tokens(read: &mut Lease, tenant: TenantId) -> Result<TokenPolicy> {
    let row = sqlx::query!("SELECT access, refresh_grace FROM token_policy WHERE tenant = $1", tenant.uuid())
        .fetch_optional(read)
        .await
        .map_err(failed)?;
    let Some(row) = row else { return Ok(TokenPolicy::default()) };
    Ok(TokenPolicy {
        access: lasting("token_policy.access", row.access)?,
        refresh_grace: lasting("token_policy.refresh_grace", row.refresh_grace)?,
    })
}

async fn members(read: &mut Lease, tenant: TenantId) -> Result<Vec<(UserId, Role)>> {
    let rows = sqlx::query!(r#"SELECT "user", role FROM member WHERE tenant = $1 ORDER BY "user""#, tenant.uuid())
        .fetch_all(read)
        .await
        .map_err(failed)?;
    rows.iter().map(|row| Ok((UserId::from_uuid(row.user), word("member.role", &row.role)?))).collect()
}

async fn servers(read: &mut Lease, tenant: TenantId) -> Result<Vec<Arc<LiveServer>>> {
    let mut slugs = server_slugs(read, tenant).await?;
    let rows = sqlx::query!(
        "SELECT server.id, server.name, server_revision.id AS revision, server_revision.source
         FROM server JOIN server_revision
         ON server_revision.tenant = server.tenant AND server_revision.id = server.live
         WHERE server.tenant = $1 AND server.state = 'live'
         ORDER BY server.id",
        tenant.uuid(),
    )
    .fetch_all(read)
    .await
    .map_err(failed)?;
    rows.iter()
        .map(|row| {
            let server = ServerId::from_uuid(row.id);
            Ok(Arc::new(LiveServer {
                id: server,
                tenant,
                slugs: slugs.remove(&server).unwrap_or_default(),
                name: word("server.name", &row.name)?,
                revision: RevisionId::from_uuid(row.revision),
                source: from_json("server_revision.source", &row.source)?,
            }))
        })
        .collect()
}

/// The slugs of every server, each one's current slug first.
async fn server_slugs(read: &mut Lease, tenant: TenantId) -> Result<HashMap<ServerId, Vec<ServerSlug>>> {
    let rows = sqlx::query!(
        r#"SELECT slug, server AS "server!" FROM server_slug
           WHERE tenant = $1 AND server IS NOT NULL
           ORDER BY (state = 'current') DESC, slug"#,
        tenant.uuid(),
    )
    .fetch_all(read)
    .await
    .map_err(failed)?;
    let mut all: HashMap<ServerId, Vec<ServerSlug>> = HashMap::new();
    for row in rows {
        all.entry(ServerId::from_uuid(row.server)).or_default().push(word("server_slug.slug", &row.slug)?);
    }
    Ok(all)
}

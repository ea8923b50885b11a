//! Adding and changing clients.

use model::{TenantId, Timestamp};
use storage::{
    Result,
    repo::{Client, ClientKeys, RegistrationCap, TokenHash},
};

use crate::{
    database::Write,
    row::{count, failed, or_taken, to_json},
};

/// The columns of a client's keys.
fn keys(client: &Client) -> Result<(Option<String>, Option<&str>)> {
    Ok(match &client.keys {
        ClientKeys::None => (None, None),
        ClientKeys::Inline(jwks) => (Some(to_json(jwks)?), None),
        ClientKeys::At(uri) => (None, Some(uri)),
    })
}

impl Write {
    pub(super) async fn insert_client(&mut self, client: &Client) -> Result<()> {
        let (jwks, jwks_uri) = keys(client)?;
        sqlx::query!(
            "INSERT INTO client
                 (client_id, id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes,
                  may_refresh, application_type, created_at, last_used_at, expires_at, jwks, jwks_uri, metadata,
                  registration_hash, blocked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
            client.client_id,
            client.id.uuid(),
            client.origin.as_str(),
            client.tenant.map(TenantId::uuid),
            client.name.as_deref(),
            client.uri.as_deref(),
            to_json(&client.redirect_uris)?,
            client.auth_method.as_str(),
            client.secret_hash.as_ref().map(<[u8; 32]>::as_slice),
            client.scopes.to_string(),
            client.may_refresh,
            client.application_type.as_str(),
            client.created_at.millis(),
            client.last_used_at.map(Timestamp::millis),
            client.expires_at.map(Timestamp::millis),
            jwks,
            jwks_uri,
            to_json(&client.metadata)?,
            client.registration_hash.as_ref().map(<[u8; 32]>::as_slice),
            client.blocked_at.map(Timestamp::millis),
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the client id"))?;
        Ok(())
    }

    /// Whether one more client may register itself; where there is no room, the oldest evictable one goes.
    /// Needs [`Turn::Registration`](crate::locks::Turn::Registration).
    pub(super) async fn make_room(&mut self, cap: RegistrationCap, now: Timestamp) -> Result<bool> {
        let alive = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM client
               WHERE origin = 'dynamic' AND (expires_at IS NULL OR expires_at > $1)"#,
            now.millis(),
        )
        .fetch_one(self.on())
        .await
        .map_err(failed)?;
        if count::<u64>("client", alive)? < cap.alive {
            return Ok(true);
        }
        if cap.alive == 0 {
            return Ok(false);
        }
        let evicted = sqlx::query!(
            "DELETE FROM client
             WHERE client_id = (SELECT client_id FROM client
                                WHERE origin = 'dynamic' AND last_used_at IS NULL AND created_at < $1
                                  AND (expires_at IS NULL OR expires_at > $2)
                                ORDER BY created_at LIMIT 1)",
            cap.evictable_before.millis(),
            now.millis(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(evicted.rows_affected() == 1)
    }

    pub(super) async fn replace_client(&mut self, client: &Client, expected: Option<&TokenHash>) -> Result<bool> {
        let (jwks, jwks_uri) = keys(client)?;
        let replaced = sqlx::query!(
            "UPDATE client
             SET name = $1, uri = $2, redirect_uris = $3, auth_method = $4, secret_hash = $5, scopes = $6, may_refresh = $7,
                 application_type = $8, jwks = $9, jwks_uri = $10, metadata = $11, registration_hash = $12
             WHERE client_id = $13 AND registration_hash IS NOT DISTINCT FROM $14",
            client.name.as_deref(),
            client.uri.as_deref(),
            to_json(&client.redirect_uris)?,
            client.auth_method.as_str(),
            client.secret_hash.as_ref().map(<[u8; 32]>::as_slice),
            client.scopes.to_string(),
            client.may_refresh,
            client.application_type.as_str(),
            jwks,
            jwks_uri,
            to_json(&client.metadata)?,
            client.registration_hash.as_ref().map(<[u8; 32]>::as_slice),
            client.client_id,
            expected.map(<[u8; 32]>::as_slice),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(replaced.rows_affected() == 1)
    }
}

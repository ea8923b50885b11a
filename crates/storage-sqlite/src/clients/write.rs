//! Adding and changing clients.

use model::Timestamp;
use storage::{
    Result,
    repo::{Client, ClientKeys, RegistrationCap, TokenHash},
};

use crate::{
    database::Write,
    failed,
    row::{count, or_taken, to_json},
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
        let (id, tenant) = (client.id.bytes().as_slice(), client.tenant.map(|id| id.bytes().to_vec()));
        let (origin, auth_method) = (client.origin.as_str(), client.auth_method.as_str());
        let (redirect_uris, scopes) = (to_json(&client.redirect_uris)?, client.scopes.to_string());
        let (secret_hash, application_type) = (client.secret_hash.map(Vec::from), client.application_type.as_str());
        let (created_at, last_used_at) = (client.created_at.millis(), client.last_used_at.map(Timestamp::millis));
        let (expires_at, blocked_at) =
            (client.expires_at.map(Timestamp::millis), client.blocked_at.map(Timestamp::millis));
        let ((jwks, jwks_uri), metadata) = (keys(client)?, to_json(&client.metadata)?);
        let registration_hash = client.registration_hash.map(Vec::from);
        sqlx::query!(
            "INSERT INTO client
                 (client_id, id, origin, tenant, name, uri, redirect_uris, auth_method, secret_hash, scopes,
                  may_refresh, application_type, created_at, last_used_at, expires_at, jwks, jwks_uri, metadata,
                  registration_hash, blocked_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            client.client_id,
            id,
            origin,
            tenant,
            client.name,
            client.uri,
            redirect_uris,
            auth_method,
            secret_hash,
            scopes,
            client.may_refresh,
            application_type,
            created_at,
            last_used_at,
            expires_at,
            jwks,
            jwks_uri,
            metadata,
            registration_hash,
            blocked_at,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the client id"))?;
        Ok(())
    }

    /// Whether one more client may register itself; where there is no room, the oldest evictable one goes.
    pub(super) async fn make_room(&mut self, cap: RegistrationCap, now: Timestamp) -> Result<bool> {
        let (now, before) = (now.millis(), cap.evictable_before.millis());
        let alive = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!: i64" FROM client
               WHERE origin = 'dynamic' AND (expires_at IS NULL OR expires_at > ?)"#,
            now,
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
                                WHERE origin = 'dynamic' AND last_used_at IS NULL AND created_at < ?1
                                  AND (expires_at IS NULL OR expires_at > ?2)
                                ORDER BY created_at LIMIT 1)",
            before,
            now,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(evicted.rows_affected() == 1)
    }

    pub(super) async fn replace_client(&mut self, client: &Client, expected: Option<&TokenHash>) -> Result<bool> {
        let (redirect_uris, scopes) = (to_json(&client.redirect_uris)?, client.scopes.to_string());
        let (auth_method, secret_hash) = (client.auth_method.as_str(), client.secret_hash.map(Vec::from));
        let ((jwks, jwks_uri), metadata) = (keys(client)?, to_json(&client.metadata)?);
        let (registration_hash, expected) =
            (client.registration_hash.map(Vec::from), expected.map(|hash| hash.to_vec()));
        let application_type = client.application_type.as_str();
        let replaced = sqlx::query!(
            "UPDATE client
             SET name = ?, uri = ?, redirect_uris = ?, auth_method = ?, secret_hash = ?, scopes = ?, may_refresh = ?,
                 application_type = ?, jwks = ?, jwks_uri = ?, metadata = ?, registration_hash = ?
             WHERE client_id = ? AND registration_hash IS ?",
            client.name,
            client.uri,
            redirect_uris,
            auth_method,
            secret_hash,
            scopes,
            client.may_refresh,
            application_type,
            jwks,
            jwks_uri,
            metadata,
            registration_hash,
            client.client_id,
            expected,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(replaced.rows_affected() == 1)
    }
}

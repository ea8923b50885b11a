use model::{GrantId, UserId};
use storage::repo::{Actor, Grant, GrantState};

use crate::Auth;

impl Auth {
    /// What a person allowed, newest first, before `before`.
    pub async fn grants(&self, user: UserId, before: Option<GrantId>, limit: u32) -> storage::Result<Vec<Grant>> {
        self.repos.grants.of_user(user, self.clock.now(), before, limit).await
    }

    /// One of a person's own grants, while it holds.
    pub async fn grant(&self, user: UserId, grant: GrantId) -> storage::Result<Option<Grant>> {
        let now = self.clock.now();
        let found = self.repos.grants.grant(grant).await?;
        Ok(found.filter(|grant| grant.user == user && grant.state == GrantState::Active && now < grant.expires_at))
    }

    /// Ends one of a person's own grants. Its tokens are refused by this process when this returns, and by
    /// every other within a second. `false` if it is not theirs or has ended.
    pub async fn revoke(&self, user: UserId, grant: GrantId) -> storage::Result<bool> {
        let Some(grant) = self.repos.grants.grant(grant).await? else { return Ok(false) };
        if grant.user != user || matches!(grant.state, GrantState::Revoked { .. }) {
            return Ok(false);
        }
        let event = self.audit(Actor::User(user), "grant.revoked", grant.id).in_tenant(grant.tenant);
        let event = event.with(serde_json::json!({ "client": grant.client_id }));
        let ended = self.repos.grants.revoke(grant.id, self.clock.now(), &event).await?;
        self.sync().await;
        Ok(ended)
    }
}

mod accounts;

use async_trait::async_trait;
use model::{ConnectionId, Slug, UserId};
use storage::{
    Owner, Result, StorageError,
    repo::{AuditEvent, GrantsOf, Identity, LocalAccount, User, UserState, Users},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    locks::Turn,
    row::{count, failed, or_taken, time, word},
};

struct UserRow {
    id: Uuid,
    handle: Option<String>,
    name: String,
    email: Option<String>,
    operator: bool,
    state: String,
    created_at: i64,
    session_epoch: i64,
}

impl UserRow {
    fn parse(self) -> Result<User> {
        Ok(User {
            id: UserId::from_uuid(self.id),
            handle: self.handle.map(|handle| word("user.handle", &handle)).transpose()?,
            name: word("user.name", &self.name)?,
            email: self.email,
            operator: self.operator,
            state: word("user.state", &self.state)?,
            created_at: time(self.created_at),
            session_epoch: count("user.session_epoch", self.session_epoch)?,
        })
    }
}

impl Write {
    async fn insert_user(&mut self, user: &User) -> Result<()> {
        sqlx::query!(
            r#"INSERT INTO "user" (id, handle, name, email, operator, state, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)"#,
            user.id.uuid(),
            user.handle.as_ref().map(Slug::as_str),
            user.name.as_str(),
            user.email.as_deref(),
            user.operator,
            user.state.as_str(),
            user.created_at.millis(),
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the name"))?;
        self.change_user(user.id);
        Ok(())
    }

    /// Closes set-up for good, waiting for others who are about to. `false` if it was closed already.
    async fn close_setup(&mut self, audit: &AuditEvent) -> Result<bool> {
        let closed = sqlx::query!(
            r#"INSERT INTO setup ("only", completed_at) VALUES (1, $1) ON CONFLICT DO NOTHING"#,
            audit.at.millis(),
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(closed.rows_affected() == 1)
    }
}

#[async_trait]
impl Users for Postgres {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        let row = sqlx::query_as!(
            UserRow,
            r#"SELECT id, handle, name, email, operator, state, created_at, session_epoch FROM "user" WHERE id = $1"#,
            id.uuid(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(UserRow::parse).transpose()
    }

    async fn by_handle(&self, handle: &Slug<2>) -> Result<Option<User>> {
        let row = sqlx::query_as!(
            UserRow,
            r#"SELECT id, handle, name, email, operator, state, created_at, session_epoch FROM "user" WHERE handle = $1"#,
            handle.as_str(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(UserRow::parse).transpose()
    }

    async fn any(&self) -> Result<bool> {
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM "user") AS "any!""#)
            .fetch_one(self.read())
            .await
            .map_err(failed)
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>> {
        let rows = sqlx::query_as!(
            UserRow,
            r#"SELECT id, handle, name, email, operator, state, created_at, session_epoch
               FROM "user"
               WHERE id > $1
               ORDER BY id
               LIMIT $2"#,
            // No id is nil.
            after.map_or(Uuid::nil(), UserId::uuid),
            i64::from(limit),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(UserRow::parse).collect()
    }

    async fn local_account(&self, email: &str) -> Result<Option<LocalAccount>> {
        self.account_with(email).await
    }

    async fn local_account_of(&self, user: UserId) -> Result<Option<LocalAccount>> {
        self.account_of(user).await
    }

    async fn identity(&self, connection: ConnectionId, subject: &str) -> Result<Option<Identity>> {
        self.identity_with(connection, subject).await
    }

    async fn identities(&self, user: UserId) -> Result<Vec<Identity>> {
        self.identities_of(user).await
    }

    async fn create(
        &self,
        user: &User,
        account: Option<&LocalAccount>,
        identities: &[Identity],
        audit: &AuditEvent,
    ) -> Result<()> {
        let password = match account {
            Some(account) => Some((account, self.seal_password(account).await?)),
            None => None,
        };
        let mut write = self.write().await?;
        // First, as in `complete_setup`: two that take the same things in another order wait for each other.
        write.close_setup(audit).await?;
        write.insert_user(user).await?;
        if let Some((account, password)) = password {
            write.set_account(account, &password).await?;
        }
        write.insert_identities(identities).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn complete_setup(&self, user: &User, account: &LocalAccount, audit: &AuditEvent) -> Result<bool> {
        // Asked first so that a loser of the race, or a repeated form, leaves no data key behind.
        if self.setup_closed().await? {
            return Ok(false);
        }
        let password = self.seal_password(account).await?;
        let mut write = self.write().await?;
        if !write.close_setup(audit).await? {
            return Ok(false);
        }
        write.insert_user(&User { operator: true, ..user.clone() }).await?;
        write.set_account(account, &password).await?;
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn setup_closed(&self) -> Result<bool> {
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM setup) AS "closed!""#)
            .fetch_one(self.read())
            .await
            .map_err(failed)
    }

    async fn update(&self, user: &User, audit: &AuditEvent) -> Result<()> {
        if user.state == UserState::Blocked {
            self.end_grants_ahead(&GrantsOf::User(user.id), audit.at).await?;
        }
        let mut write = self.write().await?;
        let updated = sqlx::query!(
            r#"UPDATE "user"
               SET name = $1, email = $2, operator = $3, state = $4,
                   session_epoch = session_epoch + CASE WHEN state <> $4 AND $4 = 'blocked' THEN 1 ELSE 0 END
               WHERE id = $5"#,
            user.name.as_str(),
            user.email.as_deref(),
            user.operator,
            user.state.as_str(),
            user.id.uuid(),
        )
        .execute(write.on())
        .await
        .map_err(failed)?;
        if updated.rows_affected() == 0 {
            return Err(StorageError::Missing("the person"));
        }
        if user.state == UserState::Blocked {
            write.end_grants(&GrantsOf::User(user.id), audit.at).await?;
        }
        write.change_user(user.id);
        write.audit(audit).await?;
        write.commit().await
    }

    async fn set_local_account(&self, account: &LocalAccount, audit: &AuditEvent) -> Result<()> {
        let password = self.seal_password(account).await?;
        let mut write = self.write().await?;
        write.hold_user(account.user).await?;
        write.set_account(account, &password).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn add_identity(&self, identity: &Identity, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.hold_user(identity.user).await?;
        write.insert_identities(std::slice::from_ref(identity)).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn refresh_identity(&self, identity: &Identity) -> Result<()> {
        sqlx::query!(
            "UPDATE identity SET email = $1, email_verified = $2 WHERE connection = $3 AND subject = $4",
            identity.email.as_deref(),
            identity.email_verified,
            identity.connection.uuid(),
            identity.subject,
        )
        .execute(self.read())
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn end_sessions(&self, user: UserId, audit: &AuditEvent) -> Result<bool> {
        let mut write = self.write().await?;
        let ended = sqlx::query!(r#"UPDATE "user" SET session_epoch = session_epoch + 1 WHERE id = $1"#, user.uuid())
            .execute(write.on())
            .await
            .map_err(failed)?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        write.audit(audit).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn delete(&self, user: UserId, audit: &AuditEvent) -> Result<bool> {
        self.end_grants_ahead(&GrantsOf::User(user), audit.at).await?;
        self.delete_values_ahead(Owner::User(user)).await?;
        let mut write = self.write().await?;
        let deleted = write.delete_user(user, audit).await?;
        if deleted {
            write.audit(audit).await?;
            write.commit().await?;
        } else {
            // What follows writes too.
            drop(write);
        }
        // Also when the person was gone already: an earlier call may have failed just here.
        self.shred(Owner::User(user)).await?;
        Ok(deleted)
    }
}

impl Write {
    async fn delete_user(&mut self, user: UserId, audit: &AuditEvent) -> Result<bool> {
        self.turn(Turn::Remove).await?;
        // Whoever is about to give the person something has done so by then, or finds nobody.
        let found = sqlx::query_scalar!(r#"SELECT id FROM "user" WHERE id = $1 FOR UPDATE"#, user.uuid())
            .fetch_optional(self.on())
            .await
            .map_err(failed)?;
        if found.is_none() {
            return Ok(false);
        }
        let tenants = sqlx::query_scalar!(r#"DELETE FROM member WHERE "user" = $1 RETURNING tenant"#, user.uuid())
            .fetch_all(self.on())
            .await
            .map_err(failed)?;
        self.end_grants(&GrantsOf::User(user), audit.at).await?;
        self.delete_values(Owner::User(user)).await?;
        sqlx::query!(r#"DELETE FROM "user" WHERE id = $1"#, user.uuid()).execute(self.on()).await.map_err(failed)?;
        for tenant in tenants {
            self.change_tenant(model::TenantId::from_uuid(tenant));
        }
        self.change_user(user);
        self.will_shred(Owner::User(user)).await?;
        Ok(true)
    }
}

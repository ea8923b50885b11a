mod accounts;

use async_trait::async_trait;
use model::{ConnectionId, Slug, UserId};
use storage::{
    Owner, Result, StorageError,
    repo::{AuditEvent, GrantsOf, Identity, LocalAccount, User, UserState, Users},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{count, id, or_taken, time, word},
};

struct UserRow {
    id: Vec<u8>,
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
            id: id("user.id", &self.id)?,
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
        let (id, handle) = (user.id.bytes().as_slice(), user.handle.as_ref().map(Slug::as_str));
        let (name, state, created_at) = (user.name.as_str(), user.state.as_str(), user.created_at.millis());
        sqlx::query!(
            r#"INSERT INTO "user" (id, handle, name, email, operator, state, created_at)
               VALUES (?, ?, ?, ?, ?, ?, ?)"#,
            id,
            handle,
            name,
            user.email,
            user.operator,
            state,
            created_at,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the name"))?;
        self.change_user(user.id).await
    }

    /// Closes set-up for good. `false` if it was closed already.
    async fn close_setup(&mut self, audit: &AuditEvent) -> Result<bool> {
        let at = audit.at.millis();
        let closed = sqlx::query!("INSERT INTO setup (only, completed_at) VALUES (1, ?) ON CONFLICT DO NOTHING", at)
            .execute(self.on())
            .await
            .map_err(failed)?;
        Ok(closed.rows_affected() == 1)
    }
}

#[async_trait]
impl Users for Sqlite {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        let id = id.bytes().as_slice();
        let row = sqlx::query_as!(
            UserRow,
            r#"SELECT id, handle, name, email, operator AS "operator: bool", state, created_at, session_epoch
               FROM "user"
               WHERE id = ?"#,
            id,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(UserRow::parse).transpose()
    }

    async fn by_handle(&self, handle: &Slug<2>) -> Result<Option<User>> {
        let handle = handle.as_str();
        let row = sqlx::query_as!(
            UserRow,
            r#"SELECT id, handle, name, email, operator AS "operator: bool", state, created_at, session_epoch
               FROM "user"
               WHERE handle = ?"#,
            handle,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(UserRow::parse).transpose()
    }

    async fn any(&self) -> Result<bool> {
        let any = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM "user") AS "any!: bool""#)
            .fetch_one(self.read())
            .await
            .map_err(failed)?;
        Ok(any)
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>> {
        // Any id is greater than no bytes.
        let after = after.map(|id| id.bytes().to_vec()).unwrap_or_default();
        let rows = sqlx::query_as!(
            UserRow,
            r#"SELECT id, handle, name, email, operator AS "operator: bool", state, created_at, session_epoch
               FROM "user"
               WHERE id > ?
               ORDER BY id
               LIMIT ?"#,
            after,
            limit,
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
        write.insert_user(user).await?;
        if let Some((account, password)) = password {
            write.set_account(account, &password).await?;
        }
        for identity in identities {
            write.insert_identity(identity).await?;
        }
        write.close_setup(audit).await?;
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
        let closed = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM setup) AS "closed!: bool""#)
            .fetch_one(self.read())
            .await
            .map_err(failed)?;
        Ok(closed)
    }

    async fn update(&self, user: &User, audit: &AuditEvent) -> Result<()> {
        if user.state == UserState::Blocked {
            self.end_grants_ahead(&GrantsOf::User(user.id), audit.at).await?;
        }
        let (id, name, state) = (user.id.bytes().as_slice(), user.name.as_str(), user.state.as_str());
        let mut write = self.write().await?;
        let updated = sqlx::query!(
            r#"UPDATE "user"
               SET name = ?1, email = ?2, operator = ?3, state = ?4,
                   session_epoch = session_epoch + (state <> ?4 AND ?4 = 'blocked')
               WHERE id = ?5"#,
            name,
            user.email,
            user.operator,
            state,
            id,
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
        write.change_user(user.id).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn set_local_account(&self, account: &LocalAccount, audit: &AuditEvent) -> Result<()> {
        let password = self.seal_password(account).await?;
        let mut write = self.write().await?;
        write.set_account(account, &password).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn add_identity(&self, identity: &Identity, audit: &AuditEvent) -> Result<()> {
        let mut write = self.write().await?;
        write.insert_identity(identity).await?;
        write.audit(audit).await?;
        write.commit().await
    }

    async fn refresh_identity(&self, identity: &Identity) -> Result<()> {
        let mut write = self.write().await?;
        write.refresh_identity(identity).await?;
        write.commit().await
    }

    async fn end_sessions(&self, user: UserId, audit: &AuditEvent) -> Result<bool> {
        let id = user.bytes().as_slice();
        let mut write = self.write().await?;
        let ended = sqlx::query!(r#"UPDATE "user" SET session_epoch = session_epoch + 1 WHERE id = ?"#, id)
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
        let id = user.bytes().as_slice();
        self.end_grants(&GrantsOf::User(user), audit.at).await?;
        sqlx::query!(
            r#"INSERT INTO change (kind, tenant, subject)
               SELECT 'tenant', tenant, tenant FROM member WHERE "user" = ?"#,
            id,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        let deleted =
            sqlx::query!(r#"DELETE FROM "user" WHERE id = ?"#, id).execute(self.on()).await.map_err(failed)?;
        self.delete_values(Owner::User(user)).await?;
        self.change_user(user).await?;
        self.will_shred(Owner::User(user)).await?;
        Ok(deleted.rows_affected() == 1)
    }
}

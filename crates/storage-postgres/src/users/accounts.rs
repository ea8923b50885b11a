//! What people sign in with: local accounts and identities.

use model::{ConnectionId, Secret, UserId};
use storage::{
    ColumnPlace, Owner, Result, StorageError,
    repo::{Identity, LocalAccount},
};
use uuid::Uuid;

use crate::{
    Postgres,
    database::Write,
    row::{failed, or_taken},
};

struct AccountRow {
    user: Uuid,
    email: String,
    password: Vec<u8>,
}

struct IdentityRow {
    connection: Uuid,
    subject: String,
    user: Uuid,
    email: Option<String>,
    email_verified: bool,
}

impl IdentityRow {
    fn parse(self) -> Identity {
        Identity {
            connection: ConnectionId::from_uuid(self.connection),
            subject: self.subject,
            user: UserId::from_uuid(self.user),
            email: self.email,
            email_verified: self.email_verified,
        }
    }
}

fn password_place(user: &UserId) -> ColumnPlace<'_> {
    ColumnPlace { owner: Owner::User(*user), table: "local_account", column: "password", row: user.bytes() }
}

impl Postgres {
    pub(super) async fn seal_password(&self, account: &LocalAccount) -> Result<Vec<u8>> {
        self.sealer().seal_column(password_place(&account.user), account.password.expose().as_bytes()).await
    }

    pub(super) async fn account_with(&self, email: &str) -> Result<Option<LocalAccount>> {
        let row =
            sqlx::query_as!(AccountRow, r#"SELECT "user", email, password FROM local_account WHERE email = $1"#, email)
                .fetch_optional(self.read())
                .await
                .map_err(failed)?;
        self.open_account(row).await
    }

    pub(super) async fn account_of(&self, user: UserId) -> Result<Option<LocalAccount>> {
        let row = sqlx::query_as!(
            AccountRow,
            r#"SELECT "user", email, password FROM local_account WHERE "user" = $1"#,
            user.uuid(),
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        self.open_account(row).await
    }

    async fn open_account(&self, row: Option<AccountRow>) -> Result<Option<LocalAccount>> {
        let Some(row) = row else { return Ok(None) };
        let user = UserId::from_uuid(row.user);
        let password = self.open_text(password_place(&user), &row.password).await?;
        Ok(Some(LocalAccount { user, email: row.email, password }))
    }

    /// Opens a sealed column that holds text.
    pub(crate) async fn open_text(&self, at: ColumnPlace<'_>, sealed: &[u8]) -> Result<Secret> {
        let plain = self.sealer().open_column(at, sealed).await?;
        let text = str::from_utf8(&plain).map_err(|_| StorageError::damaged(at.table, "a sealed text is no text"))?;
        Ok(Secret::new(text.to_owned()))
    }

    /// The same, where one that does not open is no reason for others to fail: whoever found it has logged it.
    pub(crate) async fn open_unless_damaged(&self, at: ColumnPlace<'_>, sealed: &[u8]) -> Result<Option<Secret>> {
        match self.open_text(at, sealed).await {
            Ok(secret) => Ok(Some(secret)),
            Err(StorageError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn identity_with(&self, connection: ConnectionId, subject: &str) -> Result<Option<Identity>> {
        let row = sqlx::query_as!(
            IdentityRow,
            r#"SELECT connection, subject, "user", email, email_verified
               FROM identity
               WHERE connection = $1 AND subject = $2"#,
            connection.uuid(),
            subject,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        Ok(row.map(IdentityRow::parse))
    }

    pub(super) async fn identities_of(&self, user: UserId) -> Result<Vec<Identity>> {
        let rows = sqlx::query_as!(
            IdentityRow,
            r#"SELECT connection, subject, "user", email, email_verified
               FROM identity
               WHERE "user" = $1
               ORDER BY connection, subject"#,
            user.uuid(),
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        Ok(rows.into_iter().map(IdentityRow::parse).collect())
    }
}

impl Write {
    pub(super) async fn set_account(&mut self, account: &LocalAccount, password: &[u8]) -> Result<()> {
        sqlx::query!(
            r#"INSERT INTO local_account ("user", email, password)
               VALUES ($1, $2, $3)
               ON CONFLICT ("user") DO UPDATE SET email = excluded.email, password = excluded.password"#,
            account.user.uuid(),
            account.email,
            password,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the e-mail address"))?;
        Ok(())
    }

    /// Adds identities, in an order that all keep to.
    pub(super) async fn insert_identities(&mut self, identities: &[Identity]) -> Result<()> {
        let mut ordered: Vec<_> = identities.iter().collect();
        ordered.sort_by_key(|identity| (identity.connection, &identity.subject));
        for identity in &ordered {
            self.hold_connection(identity.connection).await?;
        }
        for identity in ordered {
            sqlx::query!(
                r#"INSERT INTO identity (connection, subject, "user", email, email_verified)
                   VALUES ($1, $2, $3, $4, $5)"#,
                identity.connection.uuid(),
                identity.subject,
                identity.user.uuid(),
                identity.email.as_deref(),
                identity.email_verified,
            )
            .execute(self.on())
            .await
            .map_err(or_taken("the identity"))?;
        }
        Ok(())
    }
}

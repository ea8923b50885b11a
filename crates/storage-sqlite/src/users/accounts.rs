//! What people sign in with: local accounts and identities.

use model::{ConnectionId, Secret, UserId};
use storage::{
    ColumnPlace, Owner, Result, StorageError,
    repo::{Identity, LocalAccount},
};

use crate::{
    Sqlite,
    database::Write,
    failed,
    row::{id, or_taken},
};

struct AccountRow {
    user: Vec<u8>,
    email: String,
    password: Vec<u8>,
}

struct IdentityRow {
    connection: Vec<u8>,
    subject: String,
    user: Vec<u8>,
    email: Option<String>,
    email_verified: bool,
}

impl IdentityRow {
    fn parse(self) -> Result<Identity> {
        Ok(Identity {
            connection: id("identity.connection", &self.connection)?,
            subject: self.subject,
            user: id("identity.user", &self.user)?,
            email: self.email,
            email_verified: self.email_verified,
        })
    }
}

fn password_place(user: &UserId) -> ColumnPlace<'_> {
    ColumnPlace { owner: Owner::User(*user), table: "local_account", column: "password", row: user.bytes() }
}

impl Sqlite {
    pub(super) async fn seal_password(&self, account: &LocalAccount) -> Result<Vec<u8>> {
        self.0.sealer.seal_column(password_place(&account.user), account.password.expose().as_bytes()).await
    }

    pub(super) async fn account_with(&self, email: &str) -> Result<Option<LocalAccount>> {
        let row =
            sqlx::query_as!(AccountRow, r#"SELECT "user", email, password FROM local_account WHERE email = ?"#, email,)
                .fetch_optional(self.read())
                .await
                .map_err(failed)?;
        self.open_account(row).await
    }

    pub(super) async fn account_of(&self, user: UserId) -> Result<Option<LocalAccount>> {
        let user = user.bytes().as_slice();
        let row =
            sqlx::query_as!(AccountRow, r#"SELECT "user", email, password FROM local_account WHERE "user" = ?"#, user,)
                .fetch_optional(self.read())
                .await
                .map_err(failed)?;
        self.open_account(row).await
    }

    async fn open_account(&self, row: Option<AccountRow>) -> Result<Option<LocalAccount>> {
        let Some(row) = row else { return Ok(None) };
        let user = id("local_account.user", &row.user)?;
        let password = self.open_text(password_place(&user), &row.password).await?;
        Ok(Some(LocalAccount { user, email: row.email, password }))
    }

    /// Opens a sealed column that holds text.
    pub(crate) async fn open_text(&self, at: ColumnPlace<'_>, sealed: &[u8]) -> Result<Secret> {
        let plain = self.0.sealer.open_column(at, sealed).await?;
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
        let connection = connection.bytes().as_slice();
        let row = sqlx::query_as!(
            IdentityRow,
            r#"SELECT connection, subject, "user", email, email_verified AS "email_verified: bool"
               FROM identity
               WHERE connection = ? AND subject = ?"#,
            connection,
            subject,
        )
        .fetch_optional(self.read())
        .await
        .map_err(failed)?;
        row.map(IdentityRow::parse).transpose()
    }

    pub(super) async fn identities_of(&self, user: UserId) -> Result<Vec<Identity>> {
        let user = user.bytes().as_slice();
        let rows = sqlx::query_as!(
            IdentityRow,
            r#"SELECT connection, subject, "user", email, email_verified AS "email_verified: bool"
               FROM identity
               WHERE "user" = ?
               ORDER BY connection, subject"#,
            user,
        )
        .fetch_all(self.read())
        .await
        .map_err(failed)?;
        rows.into_iter().map(IdentityRow::parse).collect()
    }
}

impl Write {
    pub(super) async fn set_account(&mut self, account: &LocalAccount, password: &[u8]) -> Result<()> {
        let user = account.user.bytes().as_slice();
        sqlx::query!(
            r#"INSERT INTO local_account ("user", email, password)
               VALUES (?, ?, ?)
               ON CONFLICT ("user") DO UPDATE SET email = excluded.email, password = excluded.password"#,
            user,
            account.email,
            password,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the e-mail address"))?;
        Ok(())
    }

    pub(super) async fn refresh_identity(&mut self, identity: &Identity) -> Result<()> {
        let connection = identity.connection.bytes().as_slice();
        sqlx::query!(
            "UPDATE identity SET email = ?, email_verified = ? WHERE connection = ? AND subject = ?",
            identity.email,
            identity.email_verified,
            connection,
            identity.subject,
        )
        .execute(self.on())
        .await
        .map_err(failed)?;
        Ok(())
    }

    pub(super) async fn insert_identity(&mut self, identity: &Identity) -> Result<()> {
        let (connection, user) = (identity.connection.bytes().as_slice(), identity.user.bytes().as_slice());
        sqlx::query!(
            r#"INSERT INTO identity (connection, subject, "user", email, email_verified)
               VALUES (?, ?, ?, ?, ?)"#,
            connection,
            identity.subject,
            user,
            identity.email,
            identity.email_verified,
        )
        .execute(self.on())
        .await
        .map_err(or_taken("the identity"))?;
        Ok(())
    }
}

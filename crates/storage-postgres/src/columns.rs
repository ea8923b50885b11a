//! Every secret column there is. One that is not listed here is never sealed anew, and its key never goes.

use async_trait::async_trait;
use model::{TenantId, UserId};
use storage::{Cursor, FoundColumn, Owner, Result, ScannedColumns, SealedColumns, StorageError};
use uuid::Uuid;

use crate::{Postgres, failed, row::count};

/// The tables that have a secret column, in the order of a look through them.
const TABLES: [&str; 4] = ["canary", "connection", "local_account", "signing_key"];

/// An id from a cursor; before the first without one.
fn id_of(row: &[u8]) -> Result<Uuid> {
    if row.is_empty() {
        return Ok(Uuid::nil());
    }
    Uuid::from_slice(row).map_err(|_| foreign())
}

fn kid_of(row: &[u8]) -> Result<&str> {
    str::from_utf8(row).map_err(|_| foreign())
}

fn foreign() -> StorageError {
    StorageError::damaged("a cursor", "it is none of this store")
}

impl Postgres {
    async fn canary(&self, after: &[u8]) -> Result<Vec<FoundColumn>> {
        let row = [1];
        if after >= row.as_slice() {
            return Ok(Vec::new());
        }
        let sealed =
            sqlx::query_scalar!("SELECT sealed FROM canary").fetch_optional(self.read()).await.map_err(failed)?;
        let found = |sealed| FoundColumn {
            owner: Owner::Platform,
            table: "canary",
            column: "sealed",
            row: row.to_vec(),
            sealed,
        };
        Ok(sealed.map(found).into_iter().collect())
    }

    async fn connection_secrets(&self, after: &[u8], limit: u32) -> Result<Vec<FoundColumn>> {
        let rows = sqlx::query!(
            "SELECT tenant, id, client_secret FROM connection WHERE id > $1 ORDER BY id LIMIT $2",
            id_of(after)?,
            i64::from(limit),
        );
        let rows = rows.fetch_all(self.read()).await.map_err(failed)?;
        let found = rows.into_iter().map(|row| FoundColumn {
            owner: row.tenant.map_or(Owner::Platform, |tenant| Owner::Tenant(TenantId::from_uuid(tenant))),
            table: "connection",
            column: "client_secret",
            row: row.id.as_bytes().to_vec(),
            sealed: row.client_secret,
        });
        Ok(found.collect())
    }

    async fn passwords(&self, after: &[u8], limit: u32) -> Result<Vec<FoundColumn>> {
        let rows = sqlx::query!(
            r#"SELECT "user", password FROM local_account WHERE "user" > $1 ORDER BY "user" LIMIT $2"#,
            id_of(after)?,
            i64::from(limit),
        );
        let rows = rows.fetch_all(self.read()).await.map_err(failed)?;
        let found = rows.into_iter().map(|row| FoundColumn {
            owner: Owner::User(UserId::from_uuid(row.user)),
            table: "local_account",
            column: "password",
            row: row.user.as_bytes().to_vec(),
            sealed: row.password,
        });
        Ok(found.collect())
    }

    async fn private_keys(&self, after: &[u8], limit: u32) -> Result<Vec<FoundColumn>> {
        let rows = sqlx::query!(
            "SELECT kid, private FROM signing_key WHERE kid > $1 ORDER BY kid LIMIT $2",
            kid_of(after)?,
            i64::from(limit),
        );
        let rows = rows.fetch_all(self.read()).await.map_err(failed)?;
        let found = rows.into_iter().map(|row| FoundColumn {
            owner: Owner::Platform,
            table: "signing_key",
            column: "private",
            row: row.kid.into_bytes(),
            sealed: row.private,
        });
        Ok(found.collect())
    }
}

#[async_trait]
impl SealedColumns for Postgres {
    async fn count_columns(&self) -> Result<u64> {
        let columns = sqlx::query_scalar!(
            r#"SELECT (SELECT count(*) FROM canary) + (SELECT count(*) FROM connection)
                    + (SELECT count(*) FROM local_account) + (SELECT count(*) FROM signing_key) AS "count!""#
        );
        let columns = columns.fetch_one(self.read()).await.map_err(failed)?;
        count("the number of secret columns", columns)
    }

    async fn scan_columns(&self, after: Option<&Cursor>, limit: u32) -> Result<ScannedColumns> {
        let (table, row) = after.map(Cursor::row).transpose()?.unwrap_or((TABLES[0], Vec::new()));
        let found = match table {
            "canary" => self.canary(&row).await?,
            "connection" => self.connection_secrets(&row, limit).await?,
            "local_account" => self.passwords(&row, limit).await?,
            "signing_key" => self.private_keys(&row, limit).await?,
            _ => return Err(foreign()),
        };
        let last = found.last().filter(|_| found.len() >= limit as usize);
        let next = match last {
            Some(last) => Some(Cursor::behind_row(table, &last.row)),
            None => TABLES.iter().skip_while(|name| **name != table).nth(1).map(|next| Cursor::behind_row(next, &[])),
        };
        Ok(ScannedColumns { found, next })
    }

    async fn rewrite_column(&self, found: &FoundColumn, sealed: &[u8]) -> Result<bool> {
        let (row, old) = (found.row.as_slice(), found.sealed.as_slice());
        let update = match found.table {
            "canary" => sqlx::query!("UPDATE canary SET sealed = $1 WHERE sealed = $2", sealed, old),
            "connection" => sqlx::query!(
                "UPDATE connection SET client_secret = $1 WHERE id = $2 AND client_secret = $3",
                sealed,
                id_of(row)?,
                old,
            ),
            "local_account" => sqlx::query!(
                r#"UPDATE local_account SET password = $1 WHERE "user" = $2 AND password = $3"#,
                sealed,
                id_of(row)?,
                old,
            ),
            "signing_key" => sqlx::query!(
                "UPDATE signing_key SET private = $1 WHERE kid = $2 AND private = $3",
                sealed,
                kid_of(row)?,
                old,
            ),
            table => return Err(StorageError::damaged(table, "it has no secret column")),
        };
        let updated = update.execute(self.read()).await.map_err(failed)?;
        Ok(updated.rows_affected() > 0)
    }
}

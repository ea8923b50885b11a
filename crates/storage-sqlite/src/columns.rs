//! Every secret column there is. One that is not listed here is never sealed anew, and its key never goes.

use async_trait::async_trait;
use storage::{Cursor, FoundColumn, Owner, Result, ScannedColumns, SealedColumns, StorageError};

use crate::{Sqlite, failed, row::id};

/// The tables that have a secret column, in the order of a look through them.
const TABLES: [&str; 4] = ["canary", "connection", "local_account", "signing_key"];

struct ColumnRow {
    owner: Option<Vec<u8>>,
    row: Vec<u8>,
    sealed: Vec<u8>,
}

impl Sqlite {
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
        let rows = sqlx::query_as!(
            ColumnRow,
            "SELECT tenant AS owner, id AS row, client_secret AS sealed
             FROM connection
             WHERE id > ?
             ORDER BY id
             LIMIT ?",
            after,
            limit,
        );
        let rows = rows.fetch_all(self.read()).await.map_err(failed)?;
        let found = |row: ColumnRow| {
            let tenant = row.owner.map(|tenant| id("connection.tenant", &tenant)).transpose()?;
            let owner = tenant.map_or(Owner::Platform, Owner::Tenant);
            Ok(FoundColumn { owner, table: "connection", column: "client_secret", row: row.row, sealed: row.sealed })
        };
        rows.into_iter().map(found).collect()
    }

    async fn passwords(&self, after: &[u8], limit: u32) -> Result<Vec<FoundColumn>> {
        let rows = sqlx::query_as!(
            ColumnRow,
            r#"SELECT "user" AS "owner?", "user" AS row, password AS sealed
               FROM local_account
               WHERE "user" > ?
               ORDER BY "user"
               LIMIT ?"#,
            after,
            limit,
        );
        let rows = rows.fetch_all(self.read()).await.map_err(failed)?;
        let found = |row: ColumnRow| {
            let owner = Owner::User(id("local_account.user", &row.row)?);
            Ok(FoundColumn { owner, table: "local_account", column: "password", row: row.row, sealed: row.sealed })
        };
        rows.into_iter().map(found).collect()
    }

    async fn private_keys(&self, after: &[u8], limit: u32) -> Result<Vec<FoundColumn>> {
        let after = String::from_utf8_lossy(after);
        let rows =
            sqlx::query!("SELECT kid, private FROM signing_key WHERE kid > ? ORDER BY kid LIMIT ?", after, limit,);
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
impl SealedColumns for Sqlite {
    async fn count_columns(&self) -> Result<u64> {
        let count = sqlx::query_scalar!(
            r#"SELECT (SELECT count(*) FROM canary) + (SELECT count(*) FROM connection)
                    + (SELECT count(*) FROM local_account) + (SELECT count(*) FROM signing_key) AS "count!: i64""#
        );
        let count = count.fetch_one(self.read()).await.map_err(failed)?;
        crate::row::count("the number of secret columns", count)
    }

    async fn scan_columns(&self, after: Option<&Cursor>, limit: u32) -> Result<ScannedColumns> {
        let (table, row) = after.map(Cursor::row).transpose()?.unwrap_or((TABLES[0], Vec::new()));
        let found = match table {
            "canary" => self.canary(&row).await?,
            "connection" => self.connection_secrets(&row, limit).await?,
            "local_account" => self.passwords(&row, limit).await?,
            "signing_key" => self.private_keys(&row, limit).await?,
            _ => return Err(StorageError::damaged("a cursor", "it is none of this store")),
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
        let mut write = self.write().await?;
        let update = match found.table {
            "canary" => sqlx::query!("UPDATE canary SET sealed = ? WHERE sealed = ?", sealed, old),
            "connection" => sqlx::query!(
                "UPDATE connection SET client_secret = ? WHERE id = ? AND client_secret = ?",
                sealed,
                row,
                old,
            ),
            "local_account" => sqlx::query!(
                r#"UPDATE local_account SET password = ? WHERE "user" = ? AND password = ?"#,
                sealed,
                row,
                old,
            ),
            "signing_key" => {
                let kid = String::from_utf8_lossy(row).into_owned();
                sqlx::query!("UPDATE signing_key SET private = ? WHERE kid = ? AND private = ?", sealed, kid, old)
            }
            table => return Err(StorageError::damaged(table, "it has no secret column")),
        };
        let updated = update.execute(write.on()).await.map_err(failed)?;
        write.commit().await?;
        Ok(updated.rows_affected() > 0)
    }
}

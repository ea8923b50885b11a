//! Reads everything that stores hold, with clients of its own.

use std::{fs, path::Path};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::Prefix;

/// Something stored: where, and its bytes.
pub type Stored = (String, Vec<u8>);

/// Every row of every table, in every schema, of a Postgres database: as text, and whatever is bytes in it as bytes.
pub async fn rows(url: &str) -> sqlx::Result<Vec<Stored>> {
    let mut database = PgConnection::connect(url).await?;
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                  WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut database).await?;
    let mut stored = Vec::new();
    for table in tables {
        let sql = AssertSqlSafe(format!("SELECT row::text FROM {table} AS row"));
        for row in sqlx::query(sql).fetch_all(&mut database).await? {
            let text: String = row.try_get(0)?;
            stored.extend(bytes_in(&text).map(|bytes| (table.clone(), bytes)));
            stored.push((table.clone(), text.into_bytes()));
        }
    }
    database.close().await?;
    Ok(stored)
}

/// Postgres writes bytes as `\x` and digits.
fn bytes_in(row: &str) -> impl Iterator<Item = Vec<u8>> {
    row.split("\\x").skip(1).map(|rest| {
        let digits: Vec<u8> = rest.bytes().take_while(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits");
        digits.chunks_exact(2).map(byte).collect()
    })
}

/// Every key with a prefix, and what is there, whatever it is.
pub fn keys(prefix: &Prefix) -> redis::RedisResult<Vec<Stored>> {
    let mut connection = redis::Client::open(&*prefix.url)?.get_connection()?;
    let mut stored = Vec::new();
    for key in prefix.keys()? {
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection)?;
        let command: &[&str] = match &*kind {
            "string" => &["GET"],
            "hash" => &["HGETALL"],
            "list" => &["LRANGE", "0", "-1"],
            "set" => &["SMEMBERS"],
            "zset" => &["ZRANGE", "0", "-1", "WITHSCORES"],
            "stream" => &["XRANGE", "-", "+"],
            // It expired since.
            "none" => continue,
            other => panic!("what is {other}?"),
        };
        let mut read = redis::cmd(command[0]);
        read.arg(&key).arg(&command[1..]);
        let value: redis::Value = read.query(&mut connection)?;
        let name = format!("{kind} {}", String::from_utf8_lossy(&key));
        let mut bytes = Vec::new();
        flatten(&value, &mut bytes);
        stored.push((name.clone(), bytes));
        stored.push((name, key));
    }
    Ok(stored)
}

fn flatten(value: &redis::Value, into: &mut Vec<u8>) {
    match value {
        redis::Value::BulkString(bytes) => into.extend_from_slice(bytes),
        redis::Value::SimpleString(text) => into.extend_from_slice(text.as_bytes()),
        redis::Value::Array(values) | redis::Value::Set(values) => values.iter().for_each(|value| {
            flatten(value, into);
            into.push(b'\n');
        }),
        redis::Value::Map(pairs) => pairs.iter().for_each(|(name, value)| {
            flatten(name, into);
            into.push(b'\n');
            flatten(value, into);
            into.push(b'\n');
        }),
        other => into.extend_from_slice(format!("{other:?}").as_bytes()),
    }
}

/// Every file of a directory, as bytes.
pub fn files(dir: &Path) -> std::io::Result<Vec<Stored>> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry?.path();
        Ok((path.display().to_string(), fs::read(&path)?))
    };
    fs::read_dir(dir)?.map(read).collect()
}

//! Where things are kept, in words: for who configures it and for who reads of a failure. Never a password.

use std::path;

use anyhow::Context as _;

use super::master;
use crate::{
    DataDir,
    config::{Config, MasterKeyConfig, PostgresConfig, RedisConfig, StorageConfig},
};

impl PostgresConfig {
    /// The database with the data.
    pub(super) fn place(&self) -> String {
        self.data().place().map_or_else(|_| "Postgres".to_owned(), |place| format!("Postgres, {place}"))
    }

    /// The database with the wrapped keys, which may be the same.
    pub(super) fn keys_place(&self) -> String {
        if self.keys_url.is_none() {
            return self.place();
        }
        let place = self.keys().place();
        place.map_or_else(
            |_| "the Postgres of the wrapped keys".to_owned(),
            |place| format!("the Postgres of the wrapped keys, {place}"),
        )
    }
}

impl RedisConfig {
    /// The server, the sentinels or the cluster.
    pub(super) fn place(&self) -> String {
        self.options().place().map_or_else(|_| "Redis".to_owned(), |place| format!("Redis, {place}"))
    }
}

/// What is kept where: a name and a place for each. Fails if a place cannot be told; connects to nothing.
pub(crate) fn places(config: &Config) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut places = match &config.storage {
        StorageConfig::Sqlite => embedded(config),
        StorageConfig::Postgres(postgres) => shared(postgres, config.redis.as_ref())?,
    };
    places.push(("master keys", master_keys(config)?));
    Ok(places)
}

fn embedded(config: &Config) -> Vec<(&'static str, String)> {
    let directory = path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let yet = if DataDir::exists(&config.data) { "" } else { ", where nothing is yet: the first start makes it" };
    vec![("store", format!("SQLite in {}{yet}", directory.display()))]
}

fn shared(postgres: &PostgresConfig, redis: Option<&RedisConfig>) -> anyhow::Result<Vec<(&'static str, String)>> {
    let data = postgres.data().place().context("postgres.url")?;
    let keys = match &postgres.keys_url {
        None => "in the schema portico_keys of the same database".to_owned(),
        Some(_) => format!("Postgres, {}", postgres.keys().place().context("postgres.keys_url")?),
    };
    let migrates = if postgres.migrate { "" } else { "; migrated by `portico migrate` only" };
    let volatile = match redis {
        None => "in Postgres, too: there is no redis.url".to_owned(),
        Some(redis) => {
            let place = redis.options().place().context("redis.url")?;
            format!("Redis, {place}; keys begin with {}:", redis.prefix)
        }
    };
    Ok(vec![("store", format!("Postgres, {data}{migrates}")), ("wrapped keys", keys), ("what may be lost", volatile)])
}

fn master_keys(config: &Config) -> anyhow::Result<String> {
    let (from, ring) = match &config.master {
        MasterKeyConfig::Text(_) => ("keys.master".to_owned(), master::given(&config.master)?),
        MasterKeyConfig::File(path) => (path.display().to_string(), master::given(&config.master)?),
        MasterKeyConfig::DataDirectory => {
            let path = config.data.join("master.key");
            if !path.exists() {
                return Ok(format!("{}, which is made with the store", path.display()));
            }
            (path.display().to_string(), master::file(&path)?)
        }
    };
    let ring = ring.read()?;
    let (count, newest) = (ring.iter().count(), ring.newest().id());
    Ok(match count {
        1 => format!("{newest}, from {from}"),
        _ => format!("{count}, from {from}; the last one, {newest}, wraps"),
    })
}

#[cfg(test)]
mod tests {
    use std::{iter, path::Path};

    use super::*;
    use crate::config::Overrides;

    const KEY: &str = "abababababababababababababababababababababababababababababababab";

    fn told(text: &str, overrides: &Overrides) -> anyhow::Result<String> {
        let config = Config::parse(text, Path::new(""), iter::empty(), overrides).unwrap();
        let lines = places(&config)?.into_iter().map(|(name, place)| format!("{name}: {place}"));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    fn postgres(more: &str) -> anyhow::Result<String> {
        let text = format!("base_url = \"https://p.example\"\nstorage = \"postgres\"\nkeys.master = \"{KEY}\"\n{more}");
        told(&text, &Overrides::default())
    }

    #[test]
    fn every_store_is_told_and_no_password() {
        let text = postgres(
            "postgres.url = \"postgres://portico:hunter2@db/portico?sslmode=verify-full\"\n\
             redis.url = \"rediss://portico:hunter2@cache\"\n",
        );
        let text = text.unwrap();
        let master = storage::MasterKeys::parse(KEY.as_bytes()).unwrap().newest().id();
        let expected = format!(
            "store: Postgres, database portico at db:5432, as portico\n\
             wrapped keys: in the schema portico_keys of the same database\n\
             what may be lost: Redis, cache:6379, as portico, over TLS; keys begin with portico:\n\
             master keys: {master}, from keys.master"
        );
        assert_eq!(text, expected);
        let text = postgres(
            "postgres.url = \"postgres://u:hunter2@db/x\"\npostgres.migrate = false\n\
             postgres.keys_url = \"postgres://k:hunter2@keys:1/y\"\n",
        );
        let text = text.unwrap();
        for part in [
            "store: Postgres, database x at db:5432, as u; migrated by `portico migrate` only\n",
            "wrapped keys: Postgres, database y at keys:1, as k\n",
            "what may be lost: in Postgres, too: there is no redis.url\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn what_cannot_be_told_is_a_fault() {
        for (more, key) in [
            ("postgres.url = \"postgres://u:hunter2@db/x?sslmode=perhaps\"", "postgres.url"),
            ("postgres.url = \"postgres://db/x\"\nredis.url = \"redis-sentinel://:hunter2@a\"", "redis.url"),
        ] {
            let refused = format!("{:#}", postgres(more).unwrap_err());
            assert!(refused.starts_with(key) && !refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn a_directory_says_whether_anything_is_in_it() {
        let home = tempfile::tempdir().unwrap();
        let overrides = Overrides { data: Some(home.path().join("data")), ..Overrides::default() };
        let text = told("", &overrides).unwrap();
        let place = home.path().join("data").display().to_string();
        assert!(text.starts_with(&format!("store: SQLite in {place}, where nothing is yet")), "{text}");
        assert!(
            text.ends_with("master.key, which is made with the store") && !home.path().join("data").exists(),
            "{text}"
        );
    }
}

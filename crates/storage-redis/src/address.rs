use fred::types::config::{Config, Server, ServerConfig, TlsConfig, TlsHostMapping};
use model::Secret;

use crate::tls;

/// How Redis is reached.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/database]`, and with one of these in front:
    ///
    /// - `rediss://`: over TLS;
    /// - `redis-sentinel://` (`rediss-sentinel://`): the hosts are sentinels, others as `node=host:port`, and
    ///   `sentinelServiceName=` names the primary; `sentinelUsername=` and `sentinelPassword=` are for themselves;
    /// - `redis-cluster://` (`rediss-cluster://`): the hosts are nodes, others as `node=host:port`;
    /// - `redis+unix://`: a Unix socket's path.
    pub url: Secret,
    /// How many connections carry commands; each carries many at a time.
    pub pool: usize,
    /// PEM certificates to trust instead of the machine's.
    pub ca: Option<Vec<u8>>,
    /// What the names of all our keys and channels begin with.
    pub prefix: String,
}

/// What is wrong with [`RedisOptions`]. Tells nothing of the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// The URL begins with none of the words that we know.
    #[error("the URL of Redis begins with none of redis:// rediss:// redis-sentinel:// redis-cluster:// redis+unix://")]
    Scheme,
    /// The rest of the URL does not parse.
    #[error("the URL of Redis does not parse; it is like redis://user:password@host:6379/0")]
    Url,
    /// A URL of sentinels without the name of the primary.
    #[error("the URL of Redis sentinels names no primary: add ?sentinelServiceName=…")]
    ServiceName,
    /// The certificates.
    #[error("the certificates for Redis are not PEM, or there are none")]
    Ca,
    /// The prefix.
    #[error("the prefix of keys in Redis is made of letters, digits and - _ . : only")]
    Prefix,
    /// The pool.
    #[error("the pool of Redis has 1 to 64 connections")]
    Pool,
}

/// Longer than this a pool helps nobody: each connection carries many commands at a time.
const MOST: usize = 64;

impl RedisOptions {
    /// Whether all of it makes sense, without calling anybody.
    pub fn check(&self) -> Result<(), InvalidOptions> {
        self.config()?;
        crate::keys::Keys::new(&self.prefix).ok_or(InvalidOptions::Prefix)?;
        if (1..=MOST).contains(&self.pool) { Ok(()) } else { Err(InvalidOptions::Pool) }
    }

    /// Where it is and who we are there, for people: no password.
    pub fn place(&self) -> Result<String, InvalidOptions> {
        let config = self.config()?;
        let all = |hosts: &[Server]| {
            let mut hosts: Vec<_> = hosts.iter().map(|server| format!("{}:{}", server.host, server.port)).collect();
            hosts.sort();
            hosts.join(", ")
        };
        let server = match &config.server {
            ServerConfig::Centralized { server } => all(std::slice::from_ref(server)),
            ServerConfig::Clustered { hosts, .. } => format!("cluster of {}", all(hosts)),
            ServerConfig::Sentinel { hosts, service_name, .. } => {
                format!("{service_name}, by the sentinels {}", all(hosts))
            }
            ServerConfig::Unix { path } => path.display().to_string(),
        };
        let database = config.database.map(|database| format!(", database {database}")).unwrap_or_default();
        let user = config.username.as_ref().map(|user| format!(", as {user}")).unwrap_or_default();
        let tls = if config.tls.is_some() { ", over TLS" } else { "" };
        Ok(format!("{server}{database}{user}{tls}"))
    }

    /// For the client.
    pub(crate) fn config(&self) -> Result<Config, InvalidOptions> {
        let (scheme, rest) = self.url.expose().split_once("://").ok_or(InvalidOptions::Scheme)?;
        let secure = scheme.starts_with("rediss");
        let kind = scheme.strip_prefix(if secure { "rediss" } else { "redis" });
        // TLS is ours to set: the client's own reading of a secure URL takes the machine's certificates.
        let url = zeroize::Zeroizing::new(match kind {
            Some(kind @ ("" | "-sentinel" | "-cluster")) => format!("redis{kind}://{rest}"),
            Some("+unix") if !secure => format!("redis+unix://{rest}"),
            _ => return Err(InvalidOptions::Scheme),
        });
        let parsed = match kind {
            Some("-sentinel") if !rest.contains("sentinelServiceName=") => return Err(InvalidOptions::ServiceName),
            Some("-sentinel") => Config::from_url_sentinel(&url),
            Some("-cluster") => Config::from_url_clustered(&url),
            Some("+unix") => Config::from_url_unix(&url),
            _ => Config::from_url_centralized(&url),
        };
        let mut config = parsed.map_err(|_| InvalidOptions::Url)?;
        // Where every connection begins; a user then needs no right to choose another.
        config.database = config.database.filter(|database| *database != 0);
        if secure {
            let connector = tls::client(self.ca.as_deref())?.into();
            config.tls = Some(TlsConfig { connector, hostnames: hostnames(&config.server) });
        }
        Ok(config)
    }
}

/// The nodes of a cluster are found by their addresses; a certificate is for the name that we were given.
fn hostnames(server: &ServerConfig) -> TlsHostMapping {
    let named = |host: &str| host.parse::<std::net::IpAddr>().is_err();
    match server {
        ServerConfig::Clustered { hosts, .. } if hosts.iter().any(|server| named(&server.host)) => {
            TlsHostMapping::DefaultHost
        }
        _ => TlsHostMapping::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_without_a_password() {
        let place = |url: &str| {
            let url = Secret::new(url.to_owned());
            RedisOptions { url, pool: 1, ca: None, prefix: "portico".to_owned() }.place()
        };
        for (url, told) in [
            ("redis://cache", "cache:6379"),
            ("redis://:hunter2@cache:1/2", "cache:1, database 2"),
            ("rediss://portico:hunter2@cache:6380", "cache:6380, as portico, over TLS"),
            ("redis-cluster://u:hunter2@a:1?node=b:2", "cluster of a:1, b:2, as u"),
            (
                "redis-sentinel://:hunter2@a:1?sentinelServiceName=main&node=b:2&sentinelPassword=hunter2",
                "main, by the sentinels a:1, b:2",
            ),
        ] {
            assert_eq!(place(url).as_deref(), Ok(told));
        }
        assert_eq!(place("http://cache"), Err(InvalidOptions::Scheme));
    }
}

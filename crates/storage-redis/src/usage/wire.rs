use fred::types::config::{Config, Server, ServerConfig};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo,
    RedisResult, TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};

use super::{BLOCK, GRACE};
use crate::RedisOptions;

/// A connection for commands that wait.
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
}

impl Wire {
    /// Connects to where the options say.
    pub(super) async fn open(options: &RedisOptions) -> RedisResult<Self> {
        let config = options.config().map_err(|error| redis::RedisError::from(std::io::Error::other(error)))?;
        // The caller has a deadline of its own.
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        match &config.server {
            ServerConfig::Centralized { server } => Self::one(options, &config, address(server, &config)).await,
            ServerConfig::Unix { path } => Self::one(options, &config, ConnectionAddr::Unix(path.clone())).await,
            ServerConfig::Sentinel { hosts, service_name, username, password } => {
                let hosts = hosts.iter().map(|server| address(server, &config));
                let mut builder = SentinelClientBuilder::new(hosts, service_name, SentinelServerType::Master)?
                    .set_client_to_redis_db(config.database.unwrap_or(0).into());
                if let Some(username) = &config.username {
                    builder = builder.set_client_to_redis_username(username);
                }
                if let Some(password) = &config.password {
                    builder = builder.set_client_to_redis_password(password);
                }
                if let Some(username) = username {
                    builder = builder.set_client_to_sentinel_username(username);
                }
                if let Some(password) = password {
                    builder = builder.set_client_to_sentinel_password(password);
                }
                if config.tls.is_some() {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_redis_certificates(certificates(options))
                        .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                        .set_client_to_sentinel_certificates(certificates(options));
                }
                builder.build()?.get_async_connection_with_config(&patient).await.map(Self::One)
            }
            ServerConfig::Clustered { hosts, .. } => {
                let nodes: RedisResult<Vec<_>> =
                    hosts.iter().map(|server| address(server, &config).into_connection_info()).collect();
                let mut builder = ClusterClient::builder(nodes?).response_timeout(BLOCK + GRACE).retries(1);
                if let Some(username) = &config.username {
                    builder = builder.username(username);
                }
                if let Some(password) = &config.password {
                    builder = builder.password(password);
                }
                if config.tls.is_some() {
                    builder = builder.tls(TlsMode::Secure).certs(certificates(options));
                }
                let connection = builder.build()?.get_async_connection().await?;
                Ok(Self::Cluster(Box::new(connection)))
            }
        }
    }

    async fn one(options: &RedisOptions, config: &Config, address: ConnectionAddr) -> RedisResult<Self> {
        let mut login = RedisConnectionInfo::default()
            .set_db(config.database.unwrap_or(0).into())
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        if let Some(username) = &config.username {
            login = login.set_username(username);
        }
        if let Some(password) = &config.password {
            login = login.set_password(password);
        }
        let info = address.into_connection_info()?.set_redis_settings(login);
        let client =
            if config.tls.is_some() { Client::build_with_tls(info, certificates(options)) } else { Client::open(info) };
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        client?.get_multiplexed_async_connection_with_config(&patient).await.map(Self::One)
    }

    /// Sends a command and waits for its answer, however long it takes.
    pub(super) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        }
    }
}

fn address(server: &Server, config: &Config) -> ConnectionAddr {
    let (host, port) = (server.host.to_string(), server.port);
    if config.tls.is_some() {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn certificates(options: &RedisOptions) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: options.ca.clone() }
}

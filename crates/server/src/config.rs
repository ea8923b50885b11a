//! The configuration: one TOML file, environment over it, all faults reported together.
//!
//! Invariant: nothing else reads the environment. `docs/configuration.md` and
//! `deploy/config.example.toml` are compared with the keys that are read here.

mod environment;
mod read;
mod stores;
mod values;

use std::{
    collections::BTreeSet,
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use auth::IssuerMode;
use http_kit::{
    Origins,
    outbound::{SocketRange, TrustAnchors},
};
use ipnet::IpNet;
use registry::reader::{Fault, Faults, Table};

pub use self::stores::{MasterKeyConfig, PostgresConfig, RedisConfig, StorageConfig};

/// Everything that can be configured. `Debug` is safe to log: it shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where we are reached.
    pub origins: Origins,
    /// How many issuers there are.
    pub issuers: IssuerMode,
    /// The directory of the embedded store and of its master key.
    pub data: PathBuf,
    /// Where records and values are kept.
    pub storage: StorageConfig,
    /// Where what may be lost is kept, if not with the rest.
    pub redis: Option<RedisConfig>,
    /// The keys that wrap all others.
    pub master: MasterKeyConfig,
    /// How long a start waits for a store that is away.
    pub storage_wait: Duration,
    /// How many threads serve requests.
    pub workers: usize,
    /// How long requests may go on after a signal to stop.
    pub grace: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Lifetimes.
    pub tokens: Tokens,
    /// Dynamic client registration.
    pub dcr: Dcr,
    /// Clients that are metadata documents.
    pub cimd: auth::DocumentRules,
    /// What we connect to.
    pub outbound: OutboundConfig,
    /// MCP endpoints.
    pub mcp: Mcp,
    /// The log.
    pub log: Log,
}

/// How long what we hand out lives.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// Access tokens.
    pub access: Duration,
    /// Refresh tokens that nobody uses.
    pub refresh_idle: Duration,
    /// Refresh tokens, used or not.
    pub refresh_absolute: Duration,
    /// Authorization codes.
    pub code: Duration,
    /// How long a replaced refresh token gives siblings.
    pub refresh_grace: Duration,
    /// How signing keys live.
    pub keys: auth::KeyRules,
}

/// Dynamic client registration (RFC 7591).
#[derive(Clone, Debug)]
pub struct Dcr {
    /// Whether clients may register themselves.
    pub open: bool,
    /// How many may do so in an hour from one network.
    pub per_network: u32,
    /// How many may do so in a day, altogether.
    pub per_day: u32,
    /// How many self-registered clients there may be at a time.
    pub max_clients: u64,
    /// Redirect URIs of schemes without a period that such clients may have, each whole.
    pub private_redirects: Vec<String>,
}

/// What we connect to.
#[derive(Clone, Debug)]
pub struct OutboundConfig {
    /// Networks and ports that are allowed although they are not public.
    pub allow: Vec<SocketRange>,
    /// Who vouches for the others' certificates.
    pub anchors: TrustAnchors,
}

/// MCP endpoints.
#[derive(Clone, Debug)]
pub struct Mcp {
    /// Origins of web pages that may call MCP endpoints from a browser.
    pub allowed_origins: Vec<String>,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    /// How it is written.
    pub format: LogFormat,
    /// What is written: a level, or directives such as `info,router=debug`.
    pub filter: String,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object per line.
    Json,
}

/// The configuration cannot be used.
#[derive(Debug)]
pub struct ConfigError {
    /// The file, if there is one.
    pub path: Option<PathBuf>,
    /// All that is wrong.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "the configuration {} cannot be used:", path.display())?,
            None => f.write_str("the configuration cannot be used:")?,
        }
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigError {}

/// What the command line says; stands over the environment, which stands over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--base-url`.
    pub base_url: Option<String>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// For `portico up`, which has one store.
    pub embedded: bool,
}

impl Config {
    /// Reads the file, if one is given, and the environment of this process.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let fail = |faults| ConfigError { path: path.map(Path::to_owned), faults };
        let text = match path.map(fs::read_to_string).transpose() {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => {
                let message = format!("cannot be read: {error}");
                return Err(fail(vec![Fault { line: None, key: String::new(), message }]));
            }
        };
        let base = path.and_then(Path::parent).unwrap_or(Path::new(""));
        Self::parse(&text, base, std::env::vars(), overrides).map_err(fail)
    }

    /// Reads a text and these variables; relative paths in it are relative to `base`.
    pub fn parse(
        text: &str,
        base: &Path,
        variables: impl Iterator<Item = (String, String)>,
        overrides: &Overrides,
    ) -> Result<Self, Vec<Fault>> {
        let faults = Faults::of(text);
        let mut table = registry::reader::parse(text, &faults);
        let names = environment::lay_over(&mut table, variables, overrides, &faults);
        let mut root = Table::root(table, &faults);
        let config = read::config(&mut root, base, overrides);
        root.finish();
        let mut faults = faults.into_vec();
        environment::name_sources(&mut faults, &names);
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }

    /// Every key there is, for the tests of the documentation.
    pub fn keys() -> BTreeSet<String> {
        let faults = Faults::of("");
        let mut root = Table::root(registry::reader::parse("", &faults), &faults);
        read::config(&mut root, Path::new(""), &Overrides::default());
        faults.asked()
    }
}

#[cfg(test)]
mod tests;

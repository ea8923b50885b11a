//! Where things are kept: `storage`, `[postgres]`, `[redis]`, `[keys]`.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use http_kit::outbound::TrustAnchors;
use model::Secret;
use registry::reader::{Item, Place, Table};
use storage::MasterKeys;
use url::Url;
use zeroize::Zeroizing;

use super::Overrides;

/// Where the records and values are.
#[derive(Clone, Debug)]
pub enum StorageConfig {
    /// In SQLite, in the data directory.
    Sqlite,
    /// In Postgres.
    Postgres(PostgresConfig),
}

/// Postgres.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// The database; TLS as its `sslmode` and `sslrootcert` say.
    pub url: Secret,
    /// Another database for the wrapped data keys; a schema of their own in the same one if there is none.
    pub keys_url: Option<Secret>,
    /// How many connections each replica opens at most.
    pub max_connections: u32,
    /// Whether `serve` brings the schema to its version by itself.
    pub migrate: bool,
}

/// Redis or Valkey, for what may be lost.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// The server, the sentinels or the cluster.
    pub url: Secret,
    /// How many connections each replica opens.
    pub pool: usize,
    /// Certificates in PEM form that vouch for it instead of those of the machine.
    pub ca: Option<Vec<u8>>,
    /// What every key of this installation starts with.
    pub prefix: String,
}

/// Where the master keys come from.
#[derive(Clone, Debug)]
pub enum MasterKeyConfig {
    /// `master.key` in the data directory, which is made when it is not there.
    DataDirectory,
    /// A text, as the environment has it.
    Text(Secret),
    /// A file of the operator's.
    File(PathBuf),
}

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            _ => Err("use sqlite or postgres"),
        }
    }
}

/// All of it. `None` when there is no telling what was meant; the fault is noted.
pub(super) struct Stores {
    pub(super) storage: StorageConfig,
    pub(super) redis: Option<RedisConfig>,
    pub(super) master: MasterKeyConfig,
}

/// Reads all of it but the kind.
pub(super) fn stores(root: &mut Table<'_>, base: &Path, kind: Option<Kind>) -> Option<Stores> {
    let postgres = postgres(root, base, kind);
    let redis = redis(root, base, kind);
    let master = master(root, base, kind);
    let storage = match kind? {
        Kind::Sqlite => StorageConfig::Sqlite,
        Kind::Postgres => StorageConfig::Postgres(postgres?),
    };
    Some(Stores { storage, redis, master: master? })
}

/// Which store it is; `None` when there is no telling.
pub(super) fn kind(root: &mut Table<'_>, overrides: &Overrides) -> Option<Kind> {
    let Some(item) = root.take("storage") else { return Some(Kind::Sqlite) };
    let place = item.place();
    let kind = item.parse::<Kind>()?;
    if overrides.embedded && kind != Kind::Sqlite {
        place.add("portico up keeps everything in its directory; for Postgres use portico serve");
        return None;
    }
    Some(kind)
}

fn postgres(root: &mut Table<'_>, base: &Path, kind: Option<Kind>) -> Option<PostgresConfig> {
    let mut table = root.table("postgres");
    let url = address(&mut table, "url", base, &["postgres", "postgresql"]);
    let keys_url = address(&mut table, "keys_url", base, &["postgres", "postgresql"]);
    let max_connections = super::read::number(&mut table, "max_connections", 2..1001, 20);
    let migrate = table.take("migrate").and_then(Item::boolean).unwrap_or(true);
    match (kind, &url) {
        (Some(Kind::Postgres), Given::Nothing) => {
            table.fault("url", "is missing: storage = \"postgres\" needs it, or url_file");
        }
        (Some(Kind::Sqlite), Given::Value(_, place)) => place.add("is given, but storage is not \"postgres\""),
        _ => {}
    }
    table.finish();
    let max_connections = u32::try_from(max_connections).unwrap_or(u32::MAX);
    Some(PostgresConfig { url: url.value()?, keys_url: keys_url.value(), max_connections, migrate })
}

fn redis(root: &mut Table<'_>, base: &Path, kind: Option<Kind>) -> Option<RedisConfig> {
    const SCHEMES: [&str; 6] =
        ["redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"];
    let mut table = root.table("redis");
    let url = address(&mut table, "url", base, &SCHEMES);
    if let (Some(Kind::Sqlite), Given::Value(_, place)) = (kind, &url) {
        place.add("is given, but storage is not \"postgres\": replicas share both or neither");
    }
    let pool = super::read::number(&mut table, "pool", 1..65, 4);
    let ca = table.take("ca_file").and_then(|item| certificates(item, base));
    let prefix = table.optional::<Prefix>("prefix").map_or_else(|| "portico".to_owned(), |prefix| prefix.0);
    table.finish();
    Some(RedisConfig { url: url.value()?, pool: usize::try_from(pool).unwrap_or(usize::MAX), ca, prefix })
}

/// What the names of this installation's keys start with.
struct Prefix(String);

impl FromStr for Prefix {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // Braces would decide the slot in a cluster, and a colon where the prefix ends.
        if (1..=40).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err("use 1 to 40 of a-z, 0-9 and dashes")
        }
    }
}

fn certificates(item: Item<'_>, base: &Path) -> Option<Vec<u8>> {
    let place = item.place();
    let path = base.join(item.text()?);
    let pem = fs::read(&path).map_err(|error| place.add(format!("{} cannot be read: {error}", path.display()))).ok()?;
    TrustAnchors::native().with_pem(&pem).map_err(|error| place.add(error)).ok()?;
    Some(pem)
}

fn master(root: &mut Table<'_>, base: &Path, kind: Option<Kind>) -> Option<MasterKeyConfig> {
    let mut table = root.table("keys");
    let (text, file) = (table.take("master"), table.take("master_file"));
    let master = match (text, file) {
        (Some(_), Some(file)) => {
            file.fault(BOTH);
            None
        }
        (Some(text), None) => {
            let place = text.place();
            text.text().map(Secret::new).and_then(|text| {
                MasterKeys::parse(text.expose().as_bytes()).map_err(|error| place.add(error)).ok()?;
                Some(MasterKeyConfig::Text(text))
            })
        }
        (None, Some(file)) => {
            let place = file.place();
            file.text().map(|path| base.join(path)).and_then(|path| {
                // Read again when it is needed; here, so that it is reported with everything else.
                let bytes = fs::read(&path).map(Zeroizing::new);
                let cannot = |error| place.add(format!("{} cannot be read: {error}", path.display()));
                MasterKeys::parse(&bytes.map_err(cannot).ok()?).map_err(|error| place.add(error)).ok()?;
                Some(MasterKeyConfig::File(path))
            })
        }
        (None, None) if kind == Some(Kind::Postgres) => {
            table.fault("master_file", "is missing: storage = \"postgres\" needs it, or keys.master");
            None
        }
        (None, None) => Some(MasterKeyConfig::DataDirectory),
    };
    table.finish();
    master
}

const BOTH: &str = "is given besides the value itself; use one of them";

/// What a pair of keys, the value and its file, gave.
enum Given<'a> {
    Nothing,
    /// Something that is not usable; the fault is noted.
    Fault,
    Value(Secret, Place<'a>),
}

impl Given<'_> {
    fn value(self) -> Option<Secret> {
        match self {
            Self::Value(secret, _) => Some(secret),
            Self::Nothing | Self::Fault => None,
        }
    }
}

/// A secret by value (`name`) or in a file (`name_file`), never both.
fn secret<'a>(table: &mut Table<'a>, name: &str, base: &Path) -> Given<'a> {
    let (text, file) = (table.take(name), table.take(&format!("{name}_file")));
    let (item, read) = match (text, file) {
        (None, None) => return Given::Nothing,
        (Some(_), Some(file)) => {
            file.fault(BOTH);
            return Given::Fault;
        }
        (Some(text), None) => (text, false),
        (None, Some(file)) => (file, true),
    };
    let place = item.place();
    let Some(text) = item.text() else { return Given::Fault };
    if !read {
        return Given::Value(Secret::new(text), place);
    }
    let path = base.join(text);
    match fs::read_to_string(&path).map(Secret::new) {
        // Editors and `echo` end a file with a line break.
        Ok(text) => Given::Value(Secret::new(text.expose().trim().to_owned()), place),
        Err(error) => {
            place.add(format!("{} cannot be read: {error}", path.display()));
            Given::Fault
        }
    }
}

/// A secret that is a URL of one of these schemes. What is wrong is said without showing it.
fn address<'a>(table: &mut Table<'a>, name: &str, base: &Path, schemes: &[&str]) -> Given<'a> {
    let given = secret(table, name, base);
    if let Given::Value(secret, place) = &given {
        let message = match Url::parse(secret.expose()) {
            Ok(url) if schemes.contains(&url.scheme()) => return given,
            Ok(_) => format!("is a URL of another scheme; use {}://", schemes.join("://, ")),
            Err(error) => format!("is not a URL ({error}); use {}://", schemes.join("://, ")),
        };
        place.add(message);
        return Given::Fault;
    }
    given
}

#[cfg(test)]
mod tests;

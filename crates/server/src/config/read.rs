//! From a table to a [`Config`]: every key, its default and its limits, once.

use std::{
    fmt::Display,
    fs,
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    str::FromStr,
    thread,
    time::Duration,
};

use auth::{DocumentRules, KeyRules, SigningAlgorithm};
use http_kit::{
    Origins,
    outbound::{SocketRange, TrustAnchors},
};
use registry::reader::{Item, Table};
use storage::repo::PolicyMode;

use super::{
    Config, Dcr, Log, LogFormat, Mcp, OutboundConfig, Overrides, Tokens,
    stores::{self, Kind, Stores},
    values::Span,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Reads everything; `None` when there is no telling what was meant. Faults are noted either way.
pub(super) fn config(root: &mut Table<'_>, base: &Path, overrides: &Overrides) -> Option<Config> {
    let listen = listen(root);
    let kind = stores::kind(root, overrides);
    let origins = origins(root, listen, kind);
    let configured = root.optional::<PathBuf>("data").unwrap_or_else(|| "./portico-data".into());
    let data = overrides.data.clone().unwrap_or_else(|| base.join(configured));
    let issuers = root.optional("issuer_mode").unwrap_or_default();
    let stores = stores::stores(root, base, kind);
    let storage_wait = span(root, "storage_wait", Duration::ZERO..HOUR, MINUTE);
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = number(root, "workers", 1..257, cores as u64);
    let grace = span(root, "grace", Duration::ZERO..DAY, Duration::from_secs(10));
    let trusted_proxies = list(root, "trusted_proxies");
    let tokens = tokens(root);
    let dcr = dcr(root, overrides, origins.as_ref());
    let cimd = cimd(root);
    let outbound = outbound(root, base);
    let mcp = mcp(root);
    let log = log(root);
    let Stores { storage, redis, master } = stores?;
    Some(Config {
        listen: listen?,
        origins: origins?,
        issuers,
        data,
        storage,
        redis,
        master,
        storage_wait,
        workers: usize::try_from(workers).unwrap_or(1),
        grace,
        trusted_proxies,
        tokens,
        dcr,
        cimd,
        outbound,
        mcp,
        log,
    })
}

fn listen(root: &mut Table<'_>) -> Option<SocketAddr> {
    match root.take("listen") {
        None => Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
        Some(item) => {
            let place = item.place();
            let address = item.text()?.parse().ok();
            if address.is_none() {
                place.add("use an address and a port, for example 127.0.0.1:8080");
            }
            address
        }
    }
}

/// One base URL, or an origin for each part over it.
fn origins(root: &mut Table<'_>, listen: Option<SocketAddr>, kind: Option<Kind>) -> Option<Origins> {
    let base = root.take("base_url").map(|item| (item.place(), item.text()));
    let mut table = root.table("origins");
    let [auth, mcp, app] = ["auth", "mcp", "app"].map(|name| table.take(name).map(|item| (item.place(), item.text())));
    if base.is_none() && kind == Some(Kind::Postgres) {
        if auth.is_none() || mcp.is_none() {
            root.fault(
                "base_url",
                "is missing: storage = \"postgres\" needs it. It is where browsers and clients reach Portico, the same \
                 for all replicas",
            );
        }
    } else if auth.is_none()
        && base.is_none()
        && listen.is_some_and(|listen| listen.ip().is_unspecified() || listen.port() == 0)
    {
        root.fault("base_url", "is needed when the listening address is not one that browsers can open");
    }
    let default = listen.map(|listen| format!("http://{listen}"));
    let origin = |given: Option<(registry::reader::Place<'_>, Option<String>)>, default: Option<String>| match given {
        None => default,
        Some((place, text)) => match Origins::single(&text?) {
            Ok(origins) => Some(origins.auth),
            Err(error) => {
                place.add(error);
                None
            }
        },
    };
    let base = origin(base, default);
    let auth = origin(auth, base.clone());
    let (mcp, app) = (origin(mcp, base), origin(app, auth.clone()));
    table.finish();
    let (auth, mcp, app) = (auth?, mcp?, app?);
    if auth != app {
        root.fault("origins.app", "must be the same as origins.auth in this version");
    }
    Some(Origins { auth, mcp, app })
}

fn tokens(root: &mut Table<'_>) -> Tokens {
    let mut table = root.table("tokens");
    let tokens = Tokens {
        access: span(&mut table, "access", SECOND..DAY, HOUR),
        refresh_idle: span(&mut table, "refresh_idle", SECOND..365 * DAY, 30 * DAY),
        refresh_absolute: span(&mut table, "refresh_absolute", SECOND..365 * DAY, 90 * DAY),
        code: span(&mut table, "code", SECOND..Duration::from_mins(10), MINUTE),
        refresh_grace: span(&mut table, "refresh_grace", Duration::ZERO..HOUR, 2 * MINUTE),
        keys: KeyRules {
            algorithm: signing_algorithm(&mut table),
            every: span(&mut table, "rotate_keys", HOUR..365 * DAY, 30 * DAY),
        },
    };
    if tokens.refresh_idle > tokens.refresh_absolute {
        table.fault("refresh_idle", "is longer than refresh_absolute");
    }
    table.finish();
    tokens
}

fn signing_algorithm(table: &mut Table<'_>) -> SigningAlgorithm {
    let Some(item) = table.take("algorithm") else { return SigningAlgorithm::default() };
    let place = item.place();
    let algorithm = item.text().and_then(|text| text.parse().ok());
    algorithm.unwrap_or_else(|| {
        place.add("use ES256, EdDSA or RS256");
        SigningAlgorithm::default()
    })
}

/// What is off unless it is asked for: registration by strangers, under `up`, at an address that others reach.
fn dcr(root: &mut Table<'_>, overrides: &Overrides, origins: Option<&Origins>) -> Dcr {
    let mut table = root.table("dcr");
    let defaults = auth::AuthConfig::default();
    let among_ourselves = origins.is_some_and(|origins| is_loopback(&origins.auth));
    let by_default = if overrides.embedded && !among_ourselves { Switch::Off } else { Switch::Open };
    let open = table.optional::<Switch>("mode").unwrap_or(by_default) == Switch::Open;
    let per_network = number(&mut table, "per_network", 1..100_001, 60);
    let per_day = number(&mut table, "per_day", 1..10_000_001, 2_000);
    let max_clients = number(&mut table, "max_clients", 0..1_000_001, defaults.registration.alive);
    let private_redirects = table.take("private_redirects").map_or(defaults.private_redirects, Item::list);
    table.finish();
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Dcr { open, per_network: narrow(per_network), per_day: narrow(per_day), max_clients, private_redirects }
}

/// Whether an origin is one that only this machine reaches.
fn is_loopback(origin: &str) -> bool {
    let host = origin.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

fn cimd(root: &mut Table<'_>) -> DocumentRules {
    let mut table = root.table("cimd");
    let defaults = DocumentRules::default();
    let rules = DocumentRules {
        mode: table.optional::<Mode>("mode").map_or(defaults.mode, |mode| mode.0),
        hosts: list(&mut table, "hosts"),
        redirects: table.take("redirects").map_or(defaults.redirects, Item::list),
        local: table.flag("local"),
    };
    table.finish();
    rules
}

/// `open` or `off`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Switch {
    Open,
    Off,
}

impl FromStr for Switch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "open" => Ok(Self::Open),
            "off" => Ok(Self::Off),
            _ => Err("use open or off"),
        }
    }
}

/// `open`, `allowlist` or `off`.
struct Mode(PolicyMode);

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "use open, allowlist or off")
    }
}

fn outbound(root: &mut Table<'_>, base: &Path) -> OutboundConfig {
    let mut table = root.table("outbound");
    let allow = list::<SocketRange>(&mut table, "allow");
    let anchors = table.take("ca_file").and_then(|item| {
        let place = item.place();
        let path = base.join(item.text()?);
        let pem =
            fs::read(&path).map_err(|error| place.add(format!("{} cannot be read: {error}", path.display()))).ok()?;
        TrustAnchors::native().with_pem(&pem).map_err(|error| place.add(error)).ok()
    });
    table.finish();
    OutboundConfig { allow, anchors: anchors.unwrap_or_else(TrustAnchors::native) }
}

fn mcp(root: &mut Table<'_>) -> Mcp {
    let mut table = root.table("mcp");
    let allowed_origins = list::<Origin>(&mut table, "allowed_origins").into_iter().map(|origin| origin.0).collect();
    table.finish();
    Mcp { allowed_origins }
}

fn log(root: &mut Table<'_>) -> Log {
    let mut table = root.table("log");
    let format = table.optional("format").unwrap_or(LogFormat::Text);
    let filter = table.take("filter").and_then(|item| {
        let place = item.place();
        let text = item.text()?;
        let legal = tracing_subscriber::EnvFilter::builder().parse(&text);
        legal.map_err(|_| place.add("use a level (info) or directives (info,router=debug)")).ok()?;
        Some(text)
    });
    table.finish();
    Log { format, filter: filter.unwrap_or_else(|| "info".to_owned()) }
}

/// The origin of a web page.
struct Origin(String);

impl FromStr for Origin {
    type Err = http_kit::InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Origins::single(text).map(|origins| Self(origins.auth))
    }
}

/// A duration within limits.
fn span(table: &mut Table<'_>, name: &str, limits: std::ops::Range<Duration>, default: Duration) -> Duration {
    let Some(item) = table.take(name) else { return default };
    let place = item.place();
    match item.parse::<Span>() {
        Some(Span(span)) if span < limits.start || span > limits.end => {
            place.add(format!("use {} to {} seconds", limits.start.as_secs(), limits.end.as_secs()));
            default
        }
        Some(Span(span)) => span,
        None => default,
    }
}

/// A number within limits.
pub(super) fn number(table: &mut Table<'_>, name: &str, limits: std::ops::Range<u64>, default: u64) -> u64 {
    let Some(item) = table.take(name) else { return default };
    item.number(limits).unwrap_or(default)
}

/// The values of an array.
fn list<T: FromStr<Err: Display>>(table: &mut Table<'_>, name: &str) -> Vec<T> {
    table.take(name).map(Item::list).unwrap_or_default()
}

//! What is built from what, in one list. The only place that names a backend.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context as _;
use auth::{Auth, AuthConfig, AuthParts, Setup};
use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use http_kit::{
    Problem, RequestIds,
    outbound::{Guard, Outbound, Resolve},
    request_id,
};
use model::{Clock, Entropy, OsEntropy, SystemClock};
use registry::{Directory, Registry};
use router::{Gateway, GatewayParts, Limits};
use storage::{
    Bus, Follower, KeyValue, LocalBus, Maintenance, Memory, Sealed, SealedTokens, Sealer, Split, repo::Repos,
};
use storage_sqlite::{OpenOptions, Sqlite, SqliteKeys};
use upstream::{
    Upstream, Upstreams,
    builtin::{Builtin, Demo},
    http::{HttpLimits, HttpUpstream},
};
use web::Web;

use crate::{App, DataDir, config::Config, telemetry::request_line};

/// How many bytes a form may have.
const FORM_SIZE: usize = 64 * 1024;

/// The store of one data directory, open.
#[derive(Clone, Debug)]
pub struct Store {
    /// The records.
    pub repos: Repos,
    /// Values by place: durable ones in SQLite, volatile ones in memory, all of them sealed.
    pub kv: Arc<dyn KeyValue>,
    /// What seals them.
    pub sealer: Arc<Sealer>,
    /// What says that something changed.
    pub bus: Arc<dyn Bus>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What has to be cleaned up now and then.
    pub maintenance: Vec<Arc<dyn Maintenance>>,
    sqlite: Sqlite,
    keys: Arc<SqliteKeys>,
}

impl Store {
    /// Opens the store of a data directory with the machine's clock and randomness, and makes what is not
    /// there.
    pub async fn open(path: &Path) -> anyhow::Result<Self> {
        let dir = DataDir::open(path)?;
        Self::open_with(&dir, Arc::new(SystemClock), Arc::new(OsEntropy)).await
    }

    /// The same, with a clock and randomness of the caller's.
    pub async fn open_with(dir: &DataDir, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> anyhow::Result<Self> {
        let what = || format!("the store in {} cannot be opened", dir.path().display());
        let master = dir.master_key(&*entropy)?;
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let keys = Arc::new(SqliteKeys::open(&dir.keys(), OpenOptions::default()).await.with_context(what)?);
        let wrapped = Arc::clone(&keys) as _;
        let sealer = Sealer::open_ring(Arc::new(master), wrapped, Arc::clone(&clock), Arc::clone(&entropy)).await;
        let sealer = Arc::new(sealer.with_context(what)?);
        let (path, options) = (dir.database(), OpenOptions::default());
        let sqlite = Sqlite::open(&path, options, Arc::clone(&sealer), Arc::clone(&clock), Arc::clone(&bus));
        let sqlite = sqlite.await.with_context(what)?;
        let memory = Arc::new(Memory::new(Arc::clone(&clock)));
        let split = Split::new(Arc::new(sqlite.clone()), Arc::clone(&memory) as _);
        Ok(Self {
            repos: sqlite.repos(),
            kv: Arc::new(Sealed::new(split, Arc::clone(&sealer))),
            sealer,
            bus,
            clock,
            entropy,
            maintenance: vec![Arc::new(sqlite.clone()), memory],
            sqlite,
            keys,
        })
    }

    /// The rules over these records.
    pub fn registry(&self) -> Registry {
        Registry::new(self.repos.clone(), Arc::clone(&self.clock), Arc::clone(&self.entropy))
    }

    /// Waits for running calls, moves the logs into the files and closes them.
    pub async fn close(&self) {
        self.sqlite.close().await;
        self.keys.close().await;
    }
}

/// What a platform is built from besides its store.
#[derive(Debug)]
pub struct Parts {
    /// What is configured.
    pub config: Config,
    /// The store.
    pub store: Store,
    /// Whether upstreams on loopback addresses are allowed.
    pub loopback: bool,
    /// How names become addresses.
    pub resolver: Arc<dyn Resolve>,
    /// Our own listeners, which we never connect to.
    pub own: Vec<SocketAddr>,
}

/// A platform that is built and answers, and what has to run beside it.
#[derive(Clone, Debug)]
pub struct Built {
    /// What answers.
    pub app: App,
    /// What keeps its snapshots current; to be run.
    pub follower: Arc<Follower>,
    /// What makes set-up links.
    pub setup: Setup,
    /// The rules.
    pub registry: Registry,
}

/// Builds a platform. Connects to nothing and listens nowhere.
pub async fn build(parts: Parts) -> anyhow::Result<Built> {
    let Parts { config, store, loopback, resolver, own } = parts;
    let (clock, entropy) = (Arc::clone(&store.clock), Arc::clone(&store.entropy));
    let registry = store.registry();
    let directory = Directory::new(store.repos.clone());
    let guard = Guard { allowed: config.outbound.allow.clone(), loopback, own };
    let outbound = Outbound::new(guard, config.outbound.anchors.clone(), resolver);
    let auth = Auth::new(AuthParts {
        repos: store.repos.clone(),
        kv: Arc::clone(&store.kv),
        sealer: Arc::clone(&store.sealer),
        registry: registry.clone(),
        directory: Arc::clone(&directory),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        origins: config.origins.clone(),
        outbound: outbound.clone(),
        config: auth_config(&config),
    });
    let auth = auth.await?;
    let follower = Follower::start(
        Arc::clone(&store.repos.changes),
        Arc::clone(&store.bus),
        Arc::clone(&clock),
        vec![Arc::clone(&store.sealer) as _, directory.clone(), auth.follower()],
    );
    let follower = follower.await.context("the store cannot be read")?;
    auth.bind_feed(Arc::clone(&follower));
    let http = HttpUpstream::new(outbound.connector().clone(), HttpLimits::default());
    let upstreams: Arc<dyn Upstream> = Arc::new(Upstreams::new(Arc::new(http), builtins()));
    let gateway = Gateway::new(GatewayParts {
        directory,
        guard: auth.guard(),
        upstreams: Arc::clone(&upstreams),
        tokens: SealedTokens::new(&store.sealer, Arc::clone(&clock), Arc::clone(&entropy)),
        clock: Arc::clone(&clock),
        origins: config.origins.clone(),
        allowed_origins: config.mcp.allowed_origins.clone(),
        fresh: Arc::clone(&follower),
        limits: Limits::default(),
    });
    let web = Web {
        registry: registry.clone(),
        auth: auth.clone(),
        upstream: upstreams,
        origins: Arc::new(config.origins.clone()),
        clock: Arc::clone(&clock),
    };
    // The console has the page for whatever is not there.
    let pages = web::routes(web)
        .merge(auth::routes(auth.clone()))
        .merge(health(&clock, &follower))
        .layer(DefaultBodyLimit::max(FORM_SIZE))
        .layer(middleware::from_fn(request_line))
        .layer(middleware::from_fn_with_state(RequestIds::new(clock, entropy), request_id));
    let app = App::new(gateway, pages, &config.origins, config.trusted_proxies.clone());
    Ok(Built { app, follower, setup: Setup::new(&auth), registry })
}

/// The in-process servers of this build.
pub(crate) fn builtins() -> Vec<Box<dyn Builtin>> {
    vec![Box::new(Demo)]
}

fn auth_config(config: &Config) -> AuthConfig {
    let mut auth = AuthConfig::default();
    auth.lifetimes.access = config.tokens.access;
    auth.lifetimes.code = config.tokens.code;
    auth.lifetimes.refresh_idle = config.tokens.refresh_idle;
    auth.lifetimes.grant = config.tokens.refresh_absolute;
    auth.registration.alive = config.dcr.max_clients;
    auth.private_redirects.clone_from(&config.dcr.private_redirects);
    auth
}

/// `/healthz`: the process answers. `/readyz`: it may be sent requests.
fn health(clock: &Arc<dyn Clock>, follower: &Arc<Follower>) -> Router {
    let (clock, follower) = (Arc::clone(clock), Arc::clone(follower));
    let ready = async move || {
        let age = clock.now().since(follower.fresh_at());
        if age > Limits::default().stale {
            Err(Problem::unavailable("the snapshots are too old"))
        } else {
            Ok("ready\n")
        }
    };
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready))
}

//! What is built from what, in one list.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use auth::{Auth, AuthConfig, AuthParts, Setup};
use axum::{Router, extract::DefaultBodyLimit, middleware};
use http_kit::{
    Limit, RequestIds,
    outbound::{Guard, Outbound, Resolve},
    request_id,
};
use registry::{Directory, Registry};
use router::{Gateway, GatewayParts, Limits};
use storage::{Follower, SealedTokens, usage::Counters};
use upstream::{
    Upstream, Upstreams,
    builtin::{Builtin, Demo},
    http::{HttpLimits, HttpUpstream},
};
use web::Web;

use crate::{
    App, Store,
    config::Config,
    health::{self, Health},
    telemetry::request_line,
};

/// How many bytes a form may have.
const FORM_SIZE: usize = 64 * 1024;

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
    /// What knows which backends are away; to be run.
    pub health: Health,
    /// What makes set-up links.
    pub setup: Setup,
    /// What counts calls; to be sent on.
    pub usage: Arc<Counters>,
    /// The rules.
    pub registry: Registry,
    /// Sign-in and the authorization server; has something to do beside requests.
    pub auth: Auth,
}

/// Builds a platform. Connects to nothing and listens nowhere.
pub async fn build(parts: Parts) -> anyhow::Result<Built> {
    let Parts { config, store, loopback, resolver, own } = parts;
    let registry = store.registry();
    let directory = Directory::new(store.repos.clone());
    let guard = Guard { allowed: config.outbound.allow.clone(), loopback, own };
    let outbound = Outbound::new(guard, config.outbound.anchors.clone(), resolver);
    let auth = auth(&config, &store, &registry, &directory, &outbound).await?;
    let follower = follower(&store, &directory, &auth).await?;
    let http = HttpUpstream::new(outbound.connector().clone(), HttpLimits::default());
    let upstreams: Arc<dyn Upstream> = Arc::new(Upstreams::new(Arc::new(http), builtins()));
    let usage = Arc::new(Counters::new());
    let gateway = Gateway::new(GatewayParts {
        directory,
        guard: auth.guard(),
        upstreams: Arc::clone(&upstreams),
        tokens: SealedTokens::new(&store.sealer, Arc::clone(&store.clock), Arc::clone(&store.entropy)),
        clock: Arc::clone(&store.clock),
        origins: config.origins.clone(),
        allowed_origins: config.mcp.allowed_origins.clone(),
        fresh: Arc::clone(&follower),
        usage: Arc::clone(&usage),
        limits: Limits::default(),
    });
    let web = Web {
        registry: registry.clone(),
        auth: auth.clone(),
        upstream: upstreams,
        origins: Arc::new(config.origins.clone()),
        clock: Arc::clone(&store.clock),
    };
    let (backends, stale) = (store.backends.clone(), Limits::default().stale);
    let health = Health::new(backends, Arc::clone(&follower), Arc::clone(&store.clock), stale);
    let pages = pages(&store, web, &auth, &health);
    let app = App::new(gateway, pages, &config.origins, config.trusted_proxies);
    Ok(Built { app, follower, health, usage, setup: Setup::new(&auth), registry, auth })
}

/// Sign-in and the authorization server.
async fn auth(
    config: &Config,
    store: &Store,
    registry: &Registry,
    directory: &Arc<Directory>,
    outbound: &Outbound,
) -> anyhow::Result<Auth> {
    let auth = Auth::new(AuthParts {
        repos: store.repos.clone(),
        kv: Arc::clone(&store.kv),
        sealer: Arc::clone(&store.sealer),
        registry: registry.clone(),
        directory: Arc::clone(directory),
        clock: Arc::clone(&store.clock),
        entropy: Arc::clone(&store.entropy),
        origins: config.origins.clone(),
        outbound: outbound.clone(),
        config: auth_config(config),
    });
    Ok(auth.await?)
}

/// What brings changes to everything that keeps a snapshot, each of which is loaded.
async fn follower(store: &Store, directory: &Arc<Directory>, auth: &Auth) -> anyhow::Result<Arc<Follower>> {
    let follower = Follower::start(
        Arc::clone(&store.repos.changes),
        Arc::clone(&store.bus),
        Arc::clone(&store.clock),
        vec![Arc::clone(&store.sealer) as _, Arc::clone(directory) as _, auth.follower()],
    );
    let follower = follower.await.context("the store cannot be read")?;
    auth.bind_feed(Arc::clone(&follower));
    Ok(follower)
}

/// Everything that is not an MCP endpoint, with what all of it goes through. The console has the page for whatever
/// is not there.
fn pages(store: &Store, web: Web, auth: &Auth, health: &Health) -> Router {
    let ids = RequestIds::new(Arc::clone(&store.clock), Arc::clone(&store.entropy));
    web::routes(web)
        .merge(auth::routes(auth.clone()))
        .merge(health::routes(health.clone()))
        .layer(DefaultBodyLimit::max(FORM_SIZE))
        .layer(middleware::from_fn(request_line))
        .layer(middleware::from_fn_with_state(ids, request_id))
}

/// The in-process servers of this build.
pub(crate) fn builtins() -> Vec<Box<dyn Builtin>> {
    vec![Box::new(Demo)]
}

fn auth_config(config: &Config) -> AuthConfig {
    let mut auth = AuthConfig { issuers: config.issuers, ..AuthConfig::default() };
    auth.lifetimes.access = config.tokens.access;
    auth.lifetimes.code = config.tokens.code;
    auth.lifetimes.refresh_idle = config.tokens.refresh_idle;
    auth.lifetimes.grant = config.tokens.refresh_absolute;
    auth.lifetimes.refresh_grace = config.tokens.refresh_grace;
    auth.keys = config.tokens.keys;
    let dcr = &config.dcr;
    let within = |number: u32, time: Duration| Limit { burst: number, every: time / number };
    auth.registration.open = dcr.open;
    auth.registration.per_address = within(dcr.per_network, Duration::from_hours(1));
    auth.registration.global = within(dcr.per_day, Duration::from_hours(24));
    auth.registration.alive = dcr.max_clients;
    auth.documents = config.cimd.clone();
    auth.private_redirects.clone_from(&dcr.private_redirects);
    auth
}

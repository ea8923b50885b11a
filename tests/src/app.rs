use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
};

use anyhow::Result;
use async_trait::async_trait;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use http_kit::outbound::{FixedResolver, Resolve};
use model::{Entropy, ManualClock, SeededEntropy, Timestamp};
use registry::apply::{File, Plan};
use serde_json::Value;
use server::{
    App, Store,
    config::{Config, Overrides, StorageConfig},
    store::migrate,
    wiring::{self, Built, Parts},
};
use tempfile::TempDir;

use crate::{Answer, Browser, Client, Drawn, Places, Site};

/// Where the tests' installation is reached.
pub const ORIGIN: &str = "https://portico.test";

/// What is there when a test begins, as an `apply` file; every person's password is `password of NAME`.
#[derive(Clone, Copy, Debug)]
pub struct World(pub &'static str);

impl World {
    /// Nobody and nothing.
    pub const EMPTY: Self = Self("");
    /// Two tenants, `acme` with a person of each role and `other` with an owner; a stranger in neither.
    pub const TWO_TENANTS: Self = Self(include_str!("two_tenants.toml"));
}

/// A whole platform without a socket, on a directory of its own or, when `TEST_STORE` is `postgres`, on a database
/// and keys in Redis of its own, with a clock and randomness that the test
/// holds.
pub struct TestApp {
    /// Its time; it stands still unless a test moves it.
    pub clock: Arc<ManualClock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// All of its randomness so far.
    pub drawn: Arc<Drawn>,
    /// Its store.
    pub store: Store,
    /// Its parts.
    pub built: Built,
    /// Where its data is, if that is on the servers that all tests share.
    pub places: Option<Arc<Places>>,
    config: String,
    resolver: Arc<dyn Resolve>,
    home: Arc<TempDir>,
}

impl TestApp {
    /// A platform with two tenants.
    pub async fn new() -> Self {
        Self::of(World::TWO_TENANTS, "").await
    }

    /// A platform with this in it and this configuration.
    pub async fn of(world: World, config: &str) -> Self {
        Self::over(world, config, |store| store).await
    }

    /// The same, over a store that the test puts something in front of.
    pub async fn over(world: World, config: &str, change: impl FnOnce(Store) -> Store) -> Self {
        Self::at(Places::chosen().await, world, config, change).await
    }

    /// The same, which finds names in this way; there are none otherwise.
    pub async fn reaching(world: World, config: &str, resolver: Arc<dyn Resolve>) -> Self {
        Self::built(Places::chosen().await, world, config, resolver, |store| store).await
    }

    /// The same, in these places; in a directory of its own without any.
    pub async fn at(places: Option<Places>, world: World, config: &str, change: impl FnOnce(Store) -> Store) -> Self {
        Self::built(places, world, config, Arc::new(FixedResolver::new()), change).await
    }

    async fn built(
        places: Option<Places>,
        world: World,
        config: &str,
        resolver: Arc<dyn Resolve>,
        change: impl FnOnce(Store) -> Store,
    ) -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a directory"));
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_795_181_820)));
        let places = places.map(Arc::new);
        let config = places.iter().fold(config.to_owned(), |config, places| places.configuration() + &config);
        let app = Self::start(home, places, clock, 42, &config, resolver, change).await;
        app.apply(world.0, false).await;
        app
    }

    /// Another replica: it has the same stores and the same time, and everything else for itself.
    pub async fn replica(&self) -> Self {
        // Of the same randomness it would make the same ids.
        let mut seed = [0; 8];
        self.entropy.fill(&mut seed);
        let (home, clock) = (Arc::clone(&self.home), Arc::clone(&self.clock));
        let places = self.places.clone();
        let resolver = Arc::clone(&self.resolver);
        Self::start(home, places, clock, u64::from_le_bytes(seed), &self.config, resolver, |store| store).await
    }

    /// Another replica, with this in its configuration besides.
    pub async fn reconfigured(&self, more: &str) -> Self {
        let (home, clock) = (Arc::clone(&self.home), Arc::clone(&self.clock));
        let (places, config) = (self.places.clone(), format!("{more}{}", self.config));
        Self::start(home, places, clock, 44, &config, Arc::clone(&self.resolver), |store| store).await
    }

    /// A platform whose data is there already, in a directory of its own.
    pub async fn there(home: TempDir, clock: Arc<ManualClock>, config: &str) -> Self {
        let resolver = Arc::new(FixedResolver::new());
        Self::start(Arc::new(home), None, clock, 43, config, resolver, |store| store).await
    }

    /// The configuration of a platform in this directory.
    pub fn config_of(home: &Path, config: &str) -> Config {
        let text = format!("base_url = \"{ORIGIN}\"\n{config}");
        let overrides = Overrides { data: Some(home.join("data")), ..Overrides::default() };
        let config = Config::parse(&text, Path::new(""), std::iter::empty(), &overrides);
        config.unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    /// Its configuration.
    pub fn config(&self) -> Config {
        Self::config_of(self.home.path(), &self.config)
    }

    async fn start(
        home: Arc<TempDir>,
        places: Option<Arc<Places>>,
        clock: Arc<ManualClock>,
        seed: u64,
        config: &str,
        resolver: Arc<dyn Resolve>,
        change: impl FnOnce(Store) -> Store,
    ) -> Self {
        let drawn = Arc::new(Drawn::from(SeededEntropy::new(seed)));
        let entropy: Arc<dyn Entropy> = Arc::clone(&drawn) as _;
        let given = config.to_owned();
        let config = Self::config_of(home.path(), config);
        if let StorageConfig::Postgres(postgres) = &config.storage {
            migrate(postgres).await.expect("it migrates");
        }
        let store = Store::open_with(&config, Arc::clone(&clock) as _, Arc::clone(&entropy)).await.expect("a store");
        let store = change(store);
        let parts = Parts {
            own: vec![config.listen],
            config,
            store: store.clone(),
            loopback: true,
            resolver: Arc::clone(&resolver),
        };
        let built = wiring::build(parts).await.expect("it builds");
        Self { clock, entropy, drawn, store, built, places, config: given, resolver, home }
    }

    /// Applies a file; returns what the plan printed. Passwords are made up for whoever has none.
    pub async fn apply(&self, text: &str, prune: bool) -> String {
        let base = self.home.path();
        for name in text.lines().filter_map(|line| line.strip_prefix("password_file = \"")) {
            let name = name.trim_end_matches('"');
            let person = name.trim_end_matches(".password");
            fs::write(base.join(name), format!("password of {person}\n")).expect("a password file");
        }
        let file = File::parse(text, base).unwrap_or_else(|faults| panic!("{faults:?}"));
        let plan = Plan::new(&self.built.registry, &file, prune).await.expect("a plan");
        let shown = plan.to_string();
        plan.execute(&self.built.registry).await.expect("it applies");
        self.built.follower.sync().await.expect("the feed is there");
        shown
    }

    /// The data directory.
    pub fn data(&self) -> std::path::PathBuf {
        self.home.path().join("data")
    }

    /// Somebody with a browser of their own, who has not signed in.
    pub fn browser(&self) -> Browser<'_> {
        Browser::new(self)
    }

    /// A person of the world, signed in.
    pub async fn signed_in(&self, name: &str) -> Browser<'_> {
        let mut browser = self.browser();
        browser.sign_in(name).await;
        browser
    }

    /// An AI application that registered itself.
    pub async fn client(&self, name: &str) -> Client<'_> {
        Client::register(self, name).await
    }

    /// What answers.
    pub fn app(&self) -> &App {
        &self.built.app
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        (self as &dyn Site).send(method, path, headers, body).await
    }

    /// Sends a modern MCP request with a token, if there is one.
    pub async fn call(&self, path: &str, token: Option<&str>, method: &str, params: Value) -> Answer {
        (self as &dyn Site).call(path, token, method, params).await
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp").field("home", &self.home).finish_non_exhaustive()
    }
}

#[async_trait]
impl Site for TestApp {
    async fn try_send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(path);
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header(header::HOST, "portico.test");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned()))?;
        let Ok(response) = self.app().answer(request, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let body = String::from_utf8(body.into())?;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

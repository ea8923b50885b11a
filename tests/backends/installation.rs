//! An installation of the real binary, and its replicas.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use http::Method;
use model::{Entropy as _, OsEntropy};
use services::{Port, Service};
use tempfile::TempDir;
use tests::{Answer, Browser, Client, Database, Live, ORIGIN, Prefix, Site, World, server};
use tokio::time::{Instant, sleep};

use crate::settings;

/// For how long one answer may take when nothing says that it may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// For how long a replica may take to be ready when nothing is away: builds for tests are slow.
pub(crate) const START: Duration = Duration::from_secs(30);

/// Where an installation keeps its data.
#[derive(Clone, Debug)]
pub(crate) enum Stores {
    /// In its directory.
    Sqlite,
    /// On servers: their URLs.
    Servers {
        /// Postgres.
        postgres: String,
        /// Redis or Valkey, if there is one.
        redis: Option<String>,
    },
}

/// An installation: a directory with its keys and declarations, its configuration as variables, and its stores.
#[derive(Debug)]
pub(crate) struct Installation {
    home: Arc<TempDir>,
    environment: Vec<(String, String)>,
    /// Its database, if it shares a server.
    pub(crate) database: Option<Database>,
    /// Its keys in Redis, if it shares a server.
    pub(crate) prefix: Option<Prefix>,
}

/// A running replica of an installation.
#[derive(Debug)]
pub(crate) struct Replica {
    service: Service,
    port: Port,
    /// How it is reached.
    pub(crate) live: Live,
}

impl Installation {
    /// On a database and a prefix of its own, on the servers that all tests share.
    pub(crate) async fn shared() -> Self {
        let (database, prefix) = (Database::create(&server("TEST_POSTGRES")).await, Prefix::on(&server("TEST_REDIS")));
        let stores = Stores::Servers { postgres: database.url.clone(), redis: Some(prefix.url.clone()) };
        let mut new = Self::on(&stores).with("REDIS__PREFIX", &prefix.name);
        (new.database, new.prefix) = (Some(database), Some(prefix));
        new
    }

    /// On these stores.
    pub(crate) fn on(stores: &Stores) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name).display().to_string();
        let (data, master) = (at("data"), at("master-keys"));
        let mut key = [0; 32];
        OsEntropy.fill(&mut key);
        let key = key.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        fs::write(&master, format!("# of a test\n{key}\n")).expect("a key file");
        let new = Self { home: Arc::new(home), environment: Vec::new(), database: None, prefix: None };
        let new = new
            .with("BASE_URL", ORIGIN)
            .with("DATA", &data)
            .with("WORKERS", "1")
            .with("TRUSTED_PROXIES", "127.0.0.1/32");
        let Stores::Servers { postgres, redis } = stores else { return new };
        let new =
            new.with("STORAGE", "postgres").with("POSTGRES__URL", postgres).with("POSTGRES__MAX_CONNECTIONS", "10");
        let new = new.with("KEYS__MASTER_FILE", &master);
        redis.iter().fold(new, |new, redis| new.with("REDIS__URL", redis))
    }

    /// With this configuration besides, by the name of its variable without `PORTICO_`.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let name = format!("PORTICO_{name}");
        self.environment.retain(|(other, _)| *other != name);
        self.environment.push((name, value.to_owned()));
        self
    }

    /// The same one, for another configuration. The database and the keys in Redis go with the first.
    pub(crate) fn again(&self) -> Self {
        let (home, environment) = (Arc::clone(&self.home), self.environment.clone());
        Self { home, environment, database: None, prefix: None }
    }

    /// What is configured under this name.
    #[track_caller]
    pub(crate) fn environment(&self, name: &str) -> &str {
        let name = format!("PORTICO_{name}");
        let found = self.environment.iter().find(|(other, _)| *other == name);
        &found.unwrap_or_else(|| panic!("{name} is not set")).1
    }

    /// Its directory.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs a command of the binary to its end, whatever that is.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(settings::binary());
        let command = command.args(arguments).envs(self.environment.iter().cloned()).current_dir(self.home());
        command.output().expect("the binary runs")
    }

    /// Runs a command of the binary that must succeed; what it printed.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success(), "portico {arguments:?}: {}\n{out}{err}", output.status);
        out
    }

    /// Brings it to what a world declares, with `portico apply`; passwords are `password of NAME`.
    pub(crate) fn apply(&self, world: World) {
        for name in world.0.lines().filter_map(|line| line.strip_prefix("password_file = \"")) {
            let name = name.trim_end_matches('"');
            let person = name.trim_end_matches(".password");
            fs::write(self.home().join(name), format!("password of {person}\n")).expect("a password file");
        }
        let file = self.home().join("apply.toml");
        fs::write(&file, world.0).expect("a declaration");
        self.run(&["apply", "--file", &file.display().to_string()]);
    }

    /// Starts a replica, without waiting for anything.
    pub(crate) fn begin(&self) -> Replica {
        let port = Port::free().expect("a port");
        let home = tempfile::Builder::new().prefix("portico").tempdir_in("/tmp").expect("a directory");
        let mut command = Command::new("env");
        command.arg("--chdir").arg(self.home());
        command.args(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(format!("PORTICO_LISTEN={}", port.address()));
        command.arg(settings::binary()).arg("serve");
        let service = Service::start("portico", home, "TERM", &command).expect("it starts");
        let live = Live::at(port.number(), PATIENCE);
        Replica { service, port, live }
    }

    /// Starts a replica and waits until it is ready.
    pub(crate) async fn replica(&self) -> Replica {
        let replica = self.begin();
        replica.ready_within(START).await;
        replica
    }
}

impl Replica {
    /// Waits until it says that it is ready; how long that took.
    pub(crate) async fn ready_within(&self, patience: Duration) -> Duration {
        let start = Instant::now();
        loop {
            let answer = self.readyz().await;
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return start.elapsed();
            }
            assert!(start.elapsed() < patience, "not ready after {patience:?}: {answer:?}\n{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it says that it is not ready; the answer.
    pub(crate) async fn unready_within(&self, patience: Duration) -> Answer {
        let start = Instant::now();
        loop {
            if let Ok(answer) = self.readyz().await
                && answer.status == 503
            {
                return answer;
            }
            assert!(start.elapsed() < patience, "still ready after {patience:?}:\n{}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What `/readyz` answers.
    pub(crate) async fn readyz(&self) -> Result<Answer> {
        self.live.try_send(Method::GET, "/readyz", &[], "").await
    }

    /// Waits until it has ended by itself; whether it did.
    pub(crate) async fn ended_within(&mut self, patience: Duration) -> bool {
        let start = Instant::now();
        while self.service.runs() {
            if start.elapsed() > patience {
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
        true
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.service.output()
    }

    /// The lines of that which are no mere information.
    pub(crate) fn complaints(&self) -> String {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR "));
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// Tells it to stop, without waiting for it.
    pub(crate) fn begin_stop(&mut self) {
        self.service.begin_stop();
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill9(&mut self) {
        self.service.kill9();
    }

    /// Starts it again after [`Replica::kill9`], on the same port, without waiting for anything.
    pub(crate) fn restart(&mut self) {
        // What was connected to the old one is of no use.
        self.live = Live::at(self.port.number(), PATIENCE);
        self.service.start_again().expect("it starts");
    }

    /// Somebody with a browser of their own, who has not signed in.
    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser::new(&self.live)
    }

    /// A person of the world, signed in.
    pub(crate) async fn signed_in(&self, name: &str) -> Browser<'_> {
        let mut browser = self.browser();
        browser.sign_in(name).await;
        browser
    }

    /// An AI application that registered itself.
    pub(crate) async fn client(&self, name: &str) -> Client<'_> {
        Client::register(&self.live, name).await
    }

    /// What answers there.
    pub(crate) fn site(&self) -> &dyn Site {
        &self.live
    }
}

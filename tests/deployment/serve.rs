//! `serve`, with what the files give it: it gets ready on a Postgres and a Redis that are set up by the files as
//! well.

use std::{fs, process::Command, time::Duration};

use http::Method;
use serde_json::Value;
use services::{Durability, Port, Postgres, Redis};
use tempfile::TempDir;
use tests::{Live, Site};

use crate::{
    documents::{HOST, members, prepared, read, resolved, run, secrets, text, texts, yaml},
    program::{Container, port},
};

/// Who comes in how: the superuser as next to the machine, everybody else by password.
const RULES: &str =
    "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// Postgres and Redis with the secrets of a checkout that was prepared.
struct Stores {
    checkout: TempDir,
    postgres: Postgres,
    redis: Redis,
}

impl Stores {
    fn start() -> Self {
        let checkout = prepared();
        let postgres = Postgres::with(Durability::Fast, &[], &[("pg_hba.conf", RULES)]).expect("Postgres");
        let mut script = Command::new(checkout.path().join("deploy/postgres/portico.sh"));
        script.env("POSTGRES_USER", "postgres").env("PGHOST", "127.0.0.1").env("PGPORT", postgres.port().to_string());
        script.env("ROLE_PASSWORD_FILE", secrets(checkout.path()).join("postgres_password"));
        let made = run(&mut script);
        assert!(made.status.success(), "{}", text(&made.stderr));

        let compose = resolved();
        let command = texts(&compose["services"]["redis"]["command"]);
        let users = secrets(checkout.path()).join("redis_users").display().to_string();
        let arguments: Vec<&str> =
            command[1..].iter().map(|word| if word.starts_with("/run/secrets/") { &users } else { *word }).collect();
        let redis = Redis::with(&arguments).expect("Redis");
        Self { checkout, postgres, redis }
    }

    /// How Portico reaches Postgres here.
    fn postgres_url(&self) -> String {
        let url = fs::read_to_string(secrets(self.checkout.path()).join("postgres_url")).expect("a secret");
        url.trim().replace("@postgres:5432", &format!("@127.0.0.1:{}", self.postgres.port()))
    }

    /// A container with these variables, where its names and mounts lead here.
    fn container(&self, environment: Vec<(String, String)>, mounted_at: &str, port: &Port) -> Container {
        let mut container = Container::new(environment);
        container.replace("0.0.0.0:8080", &format!("0.0.0.0:{}", port.number()));
        let at = container.path("").display().to_string();
        container.replace(&format!("{mounted_at}/"), &at);
        let (postgres, redis) = (self.postgres.port(), self.redis.port());
        for name in ["master_key", "postgres_url", "redis_url"] {
            container.mount(&secrets(self.checkout.path()).join(name), |secret| {
                let secret = secret.replace("@postgres:5432", &format!("@127.0.0.1:{postgres}"));
                secret.replace("@redis:6379", &format!("@127.0.0.1:{redis}"))
            });
        }
        container
    }
}

/// Whether Postgres did it, and what it said.
fn psql(url: &str, sql: &str) -> (bool, String) {
    let psql = services::postgres_programs().expect("Postgres").join("psql");
    let output = run(Command::new(psql).args(["--no-psqlrc", "-A", "-t", "-c", sql, url]));
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// Variables with their values, of a map in a file.
fn variables(map: &Value) -> Vec<(String, String)> {
    members(map).map(|(name, value)| (name.to_owned(), value.as_str().expect("a text").to_owned())).collect()
}

async fn assert_serves(port: &Port) {
    let live = Live::at(port.number(), Duration::from_secs(10));
    let site: &dyn Site = &live;
    assert_eq!(site.send(Method::GET, "/readyz", &[("host", "a-probe")], "").await.expect(200).body, "ready\n");
    site.send(Method::GET, "/login", &[("host", HOST)], "").await.expect(200);
    site.send(Method::GET, "/login", &[("host", "other.example.com")], "").await.expect(421);
}

#[tokio::test]
async fn the_environment_of_compose_gets_ready() {
    let stores = Stores::start();
    let port = port();
    let compose = resolved();
    let environment = variables(&compose["services"]["portico"]["environment"]);
    let container = stores.container(environment, "/run/secrets", &port);
    let test = texts(&compose["services"]["portico"]["healthcheck"]["test"]);
    assert_eq!(test, ["CMD", "portico", "healthcheck", "--ready"], "what is waited for here");
    let portico = container.serve();
    assert_serves(&port).await;
    let log = portico.output();
    assert!(log.contains(&format!("https://{HOST}/setup")), "{log}");
    assert!(log.contains("\"ready\""), "not in JSON: {log}");
    // The master key and the passwords.
    for name in ["master_key", "postgres_password", "redis_password"] {
        let secret = fs::read_to_string(secrets(stores.checkout.path()).join(name)).unwrap();
        assert!(!log.contains(secret.trim()), "{name} is in the log");
    }
    // Postgres has it all, and Redis lets it in by its own name only.
    assert_eq!(psql(&stores.postgres_url(), "SELECT count(*) > 0 FROM change").1, "t\n");
    drop(portico);
    assert!(!container.output(&["healthcheck"]).status.success(), "it has stopped");
}

#[tokio::test]
async fn two_replicas_of_kubernetes_get_ready_on_an_empty_database() {
    let stores = Stores::start();
    let config = yaml(&read("deploy/kubernetes/configmap.yaml")).remove(0);
    let ports = [port(), port()];
    let containers =
        ports.each_ref().map(|port| stores.container(variables(&config["data"]), "/run/secrets/portico", port));
    // Both at once; only one of them may migrate.
    let [first, second] = std::thread::scope(|scope| {
        let starts = containers.each_ref().map(|container| scope.spawn(|| container.serve()));
        starts.map(|start| start.join().expect("it is ready"))
    });
    for port in &ports {
        assert_serves(port).await;
    }
    drop((first, second));
}

#[test]
fn the_role_of_portico_is_no_superuser() {
    let stores = Stores::start();
    let url = stores.postgres_url();
    let flags = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user";
    assert_eq!(psql(&url, flags), (true, "f|f|f|f|f\n".to_owned()));
    // What migrations do.
    assert!(psql(&url, "CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE TABLE t (a int)").0);
    for forbidden in
        ["CREATE DATABASE other", "CREATE ROLE other", "SELECT * FROM pg_authid", "COPY t TO PROGRAM 'true'"]
    {
        let (done, said) = psql(&url, forbidden);
        assert!(
            !done && (said.contains("permission denied") || said.contains("must be superuser")),
            "{forbidden}: {said}"
        );
    }
    for other in ["postgres", "template1"] {
        let (done, said) = psql(&url.replace("/portico?", &format!("/{other}?")), "SELECT 1");
        assert!(!done && said.contains("permission denied"), "{other}: {said}");
    }
    let (done, said) = psql(&url.replacen("portico:", "portico:x", 1), "SELECT 1");
    assert!(!done && said.contains("password authentication failed"), "{said}");
}

/// The checks of the containers, at the ports that the servers have here.
#[test]
fn the_health_checks_tell_the_truth() {
    let mut stores = Stores::start();
    let compose = resolved();
    let words = |service: &str| texts(&compose["services"][service]["healthcheck"]["test"])[1..].to_vec();
    let redis_port = stores.redis.port().to_string();
    let redis = |arguments: &[&str]| {
        run(Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &redis_port]).args(arguments))
    };
    let check = words("redis");
    assert_eq!(check[0], "redis-cli");
    let pong = redis(&check[1..]);
    assert!(pong.status.success() && text(&pong.stdout) == "PONG\n", "{pong:?}");
    // Who may do this may do nothing else, and nobody may do anything without a name.
    let (_, health) = check[1..].split_last().unwrap();
    for command in [&["get", "portico:x"][..], &["set", "x", "y"], &["keys", "*"], &["acl", "list"]] {
        let refused = redis(&[health, command].concat());
        assert!(!refused.status.success(), "{command:?}: {refused:?}");
    }
    assert!(!redis(&["-e", "ping"]).status.success());

    let postgres_port = format!("--port={}", stores.postgres.port());
    let check = words("postgres");
    let postgres = || {
        let program = services::postgres_programs().unwrap().join(check[0]);
        run(Command::new(program).args(&check[1..]).arg(&postgres_port)).status.success()
    };
    assert!(postgres());
    stores.postgres.kill9();
    stores.redis.kill9();
    assert!(!postgres() && !redis(&words("redis")[1..]).status.success());
}

/// What only the image of Postgres can try: that it takes the arguments, as far as this version knows them.
#[test]
fn the_superuser_comes_in_by_password_or_as_the_containers_own_user() {
    let compose = resolved();
    let arguments = compose["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].as_str().unwrap();
    let initdb = services::postgres_programs().unwrap().join("initdb");
    let home = tempfile::Builder::new().prefix("initdb").tempdir_in("/tmp").unwrap();
    let password = home.path().join("password");
    fs::write(&password, "secret").unwrap();
    let mut command = Command::new("sh");
    let script = r#"if [ "$(id -u)" = 0 ]; then chown -R postgres "$1"; set -- "$@" && exec setpriv --reuid=postgres --regid=postgres --init-groups -- sh -c "$SCRIPT" sh "$@"; fi; eval "$SCRIPT""#;
    command.args(["-c", script, "sh"]).arg(home.path()).arg(&initdb).arg(&password).current_dir("/");
    let run_initdb = format!(r#""$2" --username=postgres --no-sync --pwfile="$3" --pgdata="$1/data" {arguments}"#);
    let output = run(command.env("SCRIPT", run_initdb));
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let rules = fs::read_to_string(home.path().join("data/pg_hba.conf")).unwrap();
    let rules: Vec<Vec<&str>> = rules
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(!rules.is_empty());
    for rule in rules {
        let method = if rule[0] == "local" { "peer" } else { "scram-sha-256" };
        assert_eq!(rule.last(), Some(&method), "{rule:?}");
    }
}

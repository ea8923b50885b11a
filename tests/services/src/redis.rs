mod cluster;
mod resp;
mod sentinel;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use self::resp::Connection;
pub use self::{cluster::Cluster, sentinel::Sentinel};
use crate::{Port, Service, host};

/// A Redis, or a Valkey. Unless its arguments say otherwise it writes nothing to the disk.
#[derive(Debug)]
pub struct Redis {
    service: Service,
    port: Port,
    scheme: &'static str,
    user: String,
    socket: PathBuf,
}

/// What of a server is not the same everywhere.
#[derive(Default)]
struct Shape<'a> {
    arguments: &'a [&'a str],
    files: &'a [(&'a str, &'a str)],
    tls: bool,
    /// In the URL, before the host: `user:password@`.
    user: String,
}

impl Redis {
    /// Starts one.
    pub fn start() -> Result<Self> {
        Self::with(&[])
    }

    /// Starts one with further arguments of `redis-server`.
    pub fn with(arguments: &[&str]) -> Result<Self> {
        Self::run("redis", &program()?, &Shape { arguments, ..Shape::default() })
    }

    /// Starts one whose acknowledged writes survive `kill -9` and a power cut.
    pub fn safe() -> Result<Self> {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Starts one that takes only TLS, with this certificate and key (PEM).
    pub fn tls(certificate: &str, key: &str) -> Result<Self> {
        let files = [("server.crt", certificate), ("server.key", key)];
        Self::run("redis", &program()?, &Shape { files: &files, tls: true, ..Shape::default() })
    }

    /// Starts one where this user with this password has what `rules` say (as in `ACL SETUSER`), and nobody else
    /// has anything.
    pub fn acl(user: &str, password: &str, rules: &str) -> Result<Self> {
        let acl = format!("user default off\nuser {user} on >{password} {rules}\n");
        let files = [("users.acl", &*acl)];
        Self::run(
            "redis",
            &program()?,
            &Shape { files: &files, user: format!("{user}:{password}@"), ..Shape::default() },
        )
    }

    pub(crate) fn start_valkey(program: &Path, arguments: &[&str]) -> Result<Self> {
        Self::run("valkey", program, &Shape { arguments, ..Shape::default() })
    }

    fn run(name: &'static str, program: &Path, shape: &Shape<'_>) -> Result<Self> {
        let home = home(name)?;
        let port = Port::free()?;
        for (file, text) in shape.files {
            fs::write(home.path().join(file), text)?;
        }
        let (socket, number) = (home.path().join("s"), port.number().to_string());
        let mut server = Command::new(program);
        server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        server.arg("--dir").arg(home.path()).arg("--unixsocket").arg(&socket).args(["--unixsocketperm", "700"]);
        if shape.tls {
            let file = |name: &str| home.path().join(name);
            server.args(["--port", "0", "--tls-port", &number, "--tls-auth-clients", "no"]);
            server.arg("--tls-cert-file").arg(file("server.crt")).arg("--tls-key-file").arg(file("server.key"));
            server.arg("--tls-ca-cert-file").arg(file("server.crt"));
        } else {
            server.args(["--port", &number]);
        }
        if shape.files.iter().any(|(name, _)| *name == "users.acl") {
            server.arg("--aclfile").arg(home.path().join("users.acl"));
        }
        server.args(shape.arguments);
        let service = Service::start(name, home, "TERM", &server)?;
        let scheme = if shape.tls { "rediss" } else { "redis" };
        let mut redis = Self { service, port, scheme, user: shape.user.clone(), socket };
        redis.await_ready()?;
        Ok(redis)
    }

    /// Its URL, with its user if it has one.
    pub fn url(&self) -> String {
        format!("{}://{}127.0.0.1:{}/0", self.scheme, self.user, self.port.number())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its files, and what can be done to any service.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// `kill -9`.
    pub fn kill9(&mut self) {
        self.service.kill9();
    }

    /// Starts it again after [`Redis::kill9`], on the same port and with whatever it has on the disk; waits until it
    /// is ready.
    pub fn restart(&mut self) -> Result<()> {
        // It would be found there before the new one listens.
        let _ = fs::remove_file(&self.socket);
        self.service.start_again()?;
        self.await_ready()
    }

    /// Stops it where it is, with `SIGSTOP`: connections stay, nothing answers.
    pub fn freeze(&self) {
        self.service.freeze();
    }

    /// Lets it go on after [`Redis::freeze`].
    pub fn thaw(&self) {
        self.service.thaw();
    }

    /// Sends a command, as an administrator next to the machine; the answer as the protocol writes it.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        Connection::open(&self.socket)?.ask(words)
    }

    /// It answers before it has read its files, then with `-LOADING`; where it wants a user it is ready as well.
    fn await_ready(&mut self) -> Result<()> {
        let socket = self.socket.clone();
        self.service.wait(|| {
            let answer = Connection::open(&socket).and_then(|mut connection| connection.ask(&["PING"]));
            answer.is_ok_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH"))
        })
    }
}

fn program() -> Result<PathBuf> {
    host::program("redis-server").context("no Redis here: `cargo xtask test` installs it")
}

fn home(name: &str) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix(name).tempdir_in("/tmp")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Valkey;

    /// What a key holds, as the protocol writes it.
    fn get(redis: &Redis) -> String {
        redis.command(&["GET", "key"]).unwrap()
    }

    #[test]
    fn a_safe_one_keeps_what_it_acknowledged_and_a_fast_one_nothing() {
        for (mut redis, after) in [(Redis::safe().unwrap(), "$5\r\nvalue\r\n"), (Redis::start().unwrap(), "$-1\r\n")] {
            redis.command(&["SET", "key", "value"]).unwrap();
            let url = redis.url();
            redis.kill9();
            assert!(redis.command(&["PING"]).is_err());
            redis.restart().unwrap();
            assert_eq!((get(&redis), redis.url()), (after.to_owned(), url));
        }
    }

    #[test]
    fn valkey_is_asked_in_the_same_way() {
        let valkey = Valkey::start().unwrap();
        valkey.command(&["SET", "key", "value"]).unwrap();
        assert_eq!(get(&valkey), "$5\r\nvalue\r\n");
        assert!(valkey.command(&["INFO", "server"]).unwrap().contains("valkey_version:8"));
    }

    #[test]
    fn a_frozen_one_answers_late() {
        let redis = Redis::start().unwrap();
        redis.freeze();
        assert!(redis.command(&["PING"]).is_err());
        redis.thaw();
        assert_eq!(redis.command(&["PING"]).unwrap(), "+PONG\r\n");
    }

    #[test]
    fn three_nodes_become_a_cluster() {
        let mut cluster = Cluster::start(3).unwrap();
        let answers: Vec<_> =
            cluster.nodes().iter().map(|node| node.command(&["SET", "key", "value"]).unwrap()).collect();
        assert_eq!(answers.iter().filter(|answer| answer.starts_with("+OK")).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.starts_with("-MOVED")).count(), 2, "{answers:?}");
    }

    #[test]
    fn a_sentinel_promotes_the_replica() {
        let mut sentinel = Sentinel::start().unwrap();
        let role = |redis: &Redis| redis.command(&["INFO", "replication"]).unwrap();
        assert!(role(&sentinel.replica).contains("role:slave"));
        sentinel.master.kill9();
        for _ in 0..200 {
            if role(&sentinel.replica).contains("role:master") {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{}", role(&sentinel.replica));
    }

    #[test]
    fn with_users_nobody_else_gets_in() {
        let redis = Redis::acl("portico", "a-password", "~portico:* &portico:* +@all").unwrap();
        assert_eq!(redis.url(), format!("redis://portico:a-password@127.0.0.1:{}/0", redis.port()));
        assert!(redis.command(&["GET", "key"]).unwrap().starts_with("-NOAUTH"));
    }
}

//! What is measured, and what it is measured with: Portico and nginx on one core, the upstream on another.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use services::{Port, Service, answer};
use tempfile::TempDir;

use super::http::{Request, once};

/// The local account of the run.
pub(crate) const EMAIL: &str = "bench@example.com";
/// Its password.
pub(crate) const PASSWORD: &str = "a password for one run";

/// Which cores there are to pin to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// For Portico and nginx, one at a time.
    pub(crate) gateway: Option<usize>,
    /// For the upstream and the load.
    pub(crate) other: Option<usize>,
}

impl Cores {
    /// Two cores, if there are two and `taskset` is there.
    pub(crate) fn find() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let pin = cores > 1 && services::program("taskset").is_some();
        Self { gateway: pin.then_some(0), other: pin.then_some(1) }
    }
}

/// A command that is run on a core, if there is one for it.
pub(crate) fn pinned(core: Option<usize>, program: &Path) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// A running server whose process is known.
pub(crate) struct Place {
    /// Where it listens.
    pub(crate) port: u16,
    /// Its process.
    pub(crate) pid: u32,
    _service: Service,
}

/// Writes down its process, allows itself as many files as it may, and becomes the program.
const BECOME: &str = r#"echo $$ >"$PID_FILE"; ulimit -n "$(ulimit -H -n)"; exec "$@""#;

impl Place {
    /// Starts a program on a core and waits until something answers at `ready`.
    pub(crate) fn start(
        name: &'static str,
        home: TempDir,
        port: u16,
        command: &Command,
        ready: &Request,
    ) -> Result<Self> {
        let pid_file = home.path().join("pid");
        let mut shell = Command::new("env");
        shell.arg(format!("PID_FILE={}", pid_file.display())).args(["sh", "-c", BECOME, "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        let service = Service::start(name, home, "TERM", &shell)?;
        let service = service.await_ready(|| once(port, ready).is_ok())?;
        let pid = fs::read_to_string(&pid_file)?.trim().parse().context("a process id")?;
        Ok(Self { port, pid, _service: service })
    }
}

/// The upstream.
pub(crate) fn upstream(program: &Path, cores: Cores) -> Result<Place> {
    let (home, port) = (home()?, free_port()?);
    let mut command = pinned(cores.other, program);
    command.arg(port.to_string());
    Place::start("bench-upstream", home, port, &command, &Request::get("/"))
}

/// nginx in front of the upstream: `proxy_pass` with kept connections, nothing written down, otherwise as it
/// comes. One process, as Portico has one worker.
pub(crate) fn nginx(upstream: &Place, cores: Cores) -> Result<Place> {
    let (home, port) = (home()?, free_port()?);
    let at = home.path().display();
    let conf = format!(
        "daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 8192; pid {at}/nginx.pid;
error_log {at}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
  uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
  keepalive_requests 1000000000;
  upstream up {{ server 127.0.0.1:{}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_read_timeout 300s;
    }}
  }}
}}
",
        upstream.port
    );
    let conf_file = home.path().join("nginx.conf");
    fs::write(&conf_file, conf)?;
    let mut command = pinned(cores.gateway, &services::nginx_program().context("nginx is not found")?);
    command.arg("-c").arg(&conf_file).arg("-e").arg(home.path().join("error.log"));
    Place::start("nginx", home, port, &command, &Request::get("/"))
}

/// Where Portico's data and its address are, whether or not it runs.
pub(crate) struct Home {
    dir: TempDir,
    port: u16,
}

impl Home {
    /// There is a declaration of a person, a server in front of the upstream, and the demo server.
    pub(crate) fn declared(upstream: &Place) -> Result<Self> {
        let home = Self { dir: home()?, port: free_port()? };
        fs::write(home.dir.path().join("password"), PASSWORD)?;
        let text = format!(
            r#"[[user]]
name = "bench"
email = "{EMAIL}"
password_file = "password"
[[tenant]]
slug = "bench"
name = "Bench"
members = [{{ user = "bench", role = "owner" }}]
[[tenant.server]]
slug = "tools"
name = "Tools"
upstream = {{ kind = "http", url = "http://127.0.0.1:{}/mcp" }}
[[tenant.server]]
slug = "demo"
name = "Demo"
upstream = {{ kind = "builtin", name = "demo" }}
"#,
            upstream.port
        );
        fs::write(home.declaration(), text)?;
        Ok(home)
    }

    fn declaration(&self) -> PathBuf {
        self.dir.path().join("apply.toml")
    }
}

/// `portico up` with one worker; the first time, it applies the declaration.
pub(crate) fn portico(program: &Path, at: &Home, cores: Cores) -> Result<Place> {
    let data = at.dir.path().join("data");
    let mut command = Command::new("env");
    command.args(["PORTICO_WORKERS=1", "PORTICO_LOG__FILTER=warn"]);
    let pinned = pinned(cores.gateway, program);
    command.arg(pinned.get_program()).args(pinned.get_args()).arg("up");
    command.arg("--data").arg(&data).args(["--listen", &format!("127.0.0.1:{}", at.port)]);
    if !data.exists() {
        command.arg("--apply").arg(at.declaration());
    }
    Place::start("portico", home()?, at.port, &command, &Request::get("/readyz"))
}

fn free_port() -> Result<u16> {
    Ok(Port::free()?.number())
}

fn home() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("bench").tempdir()?)
}

/// Processor time of a process so far, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// In the program.
    pub(crate) user: f64,
    /// In the kernel on its behalf.
    pub(crate) system: f64,
}

impl Spent {
    /// As the kernel counts it (proc(5), `utime` and `stime`).
    pub(crate) fn by(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<_> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
        let ticks: f64 = answer(Command::new("getconf").arg("CLK_TCK")).context("getconf")?.trim().parse()?;
        let seconds = |at: usize| fields[at].parse::<f64>().map(|time| time / ticks);
        // The fields after the name begin with the third.
        Ok(Self { user: seconds(14 - 3)?, system: seconds(15 - 3)? })
    }
}

/// Memory of a process in KiB, as it is resident now.
pub(crate) fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}

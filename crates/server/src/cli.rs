//! The command line.

mod audit;
mod backup;
mod counted;
mod healthcheck;
mod keys;
mod progress;
mod tenant;

use std::{
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use http_kit::Origins;
use model::UpstreamSource;
use registry::{
    Registry,
    apply::{File, Plan},
};

use self::counted::counted;
use crate::{
    DataDir, Store,
    config::{Config, Overrides},
    lifecycle::{self, Start, on_a_runtime},
    store, telemetry,
    waiting::Waiting,
    wiring::builtins,
};

/// Hosts MCP servers for many tenants behind one OAuth front door.
#[derive(Debug, Parser)]
#[command(name = "portico", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in this process, from one directory
    ///
    /// Needs no configuration: keys are made on the first start and kept, the store is SQLite in the data
    /// directory. While nobody has an account it prints a link to make the first one.
    Up(Up),
    /// Run from a configuration file, the environment, or both
    ///
    /// `docs/configuration.md` lists every key; `PORTICO_…` variables stand over the file.
    Serve(Serve),
    /// Bring people, tenants, connections and servers to what a file declares
    ///
    /// Works beside a running portico, which takes the changes in within a second. Applying the same file
    /// twice does nothing the second time. Nothing is deleted without --prune.
    Apply(Apply),
    /// Write all data and the wrapped keys to two files
    ///
    /// Works beside a running portico and holds nobody up. A file that is there is never written over. The
    /// master key is in neither file: keep it apart from both. docs/backup.md says more.
    Backup(backup::Files),
    /// Fill an empty directory or database from the two files of a backup
    ///
    /// What was backed up from SQLite can be restored to Postgres, and the reverse. Nothing half-done stays
    /// after a failure.
    Restore(backup::RestoreArgs),
    /// Bring the schema of Postgres to this version
    ///
    /// `serve` does it by itself, unless `postgres.migrate` is false. Any number may run at once: one
    /// migrates, the others find nothing to do. Waits for a database that is away, as `serve` does.
    Migrate(Serve),
    /// Print a new link for the first account
    ///
    /// Works beside a running portico. Older links do nothing any more.
    SetupLink(Place),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at the keys, rotate them, and seal values anew
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Look at what was decided
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Destroy a tenant
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    /// Ask the portico that runs here whether it is well; fails if it is not
    ///
    /// For container engines, whose images of portico have no other program to ask with.
    Healthcheck(healthcheck::Healthcheck),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read what `serve` would read, and print every fault, or "ok"
    ///
    /// Also says what it found: which store, where, and who Portico is there; never a password. Connects to
    /// nothing. Files that the configuration names are read.
    Check(Serve),
}

#[derive(Args, Debug)]
struct Up {
    /// Directory for the store and the keys
    #[arg(long, value_name = "DIR", default_value = "./portico-data")]
    data: PathBuf,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where browsers and clients reach it, if that is not the listening address
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Apply this file before serving
    #[arg(long, value_name = "FILE")]
    apply: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Serve {
    /// The configuration file; the environment alone is enough
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where an installation is, for commands that work on one.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// Directory of the store [default: ./portico-data]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// Take the store from this configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// The configuration there; the environment's, where neither is given.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        let overrides = Overrides { data: self.data.clone(), ..Overrides::default() };
        Ok(Config::load(self.config.as_deref(), &overrides)?)
    }
}

#[derive(Args, Debug)]
struct Apply {
    /// The file that declares what should be there
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Also delete what a file could declare and this one does not
    #[arg(long)]
    prune: bool,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up(args) => up(args),
        Command::Serve(args) => serve(&args),
        Command::Apply(args) => apply(&args),
        Command::Migrate(args) => migrate(&args),
        Command::SetupLink(args) => setup_link(&args),
        Command::Backup(files) => backup::write(&files),
        Command::Restore(args) => backup::read(&args),
        Command::Config(ConfigCommand::Check(args)) => check(&args),
        Command::Keys(what) => keys::run(&what),
        Command::Audit(what) => audit::run(&what),
        Command::Tenant(what) => tenant::run(&what),
        Command::Healthcheck(args) => healthcheck::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "portico: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn up(args: Up) -> anyhow::Result<()> {
    let overrides = Overrides { listen: args.listen, base_url: args.base_url, data: Some(args.data), embedded: true };
    let config = Config::load(None, &overrides)?;
    telemetry::start(&config.log);
    lifecycle::run(config, Start::Up { apply: args.apply.as_deref() })
}

fn serve(args: &Serve) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref(), &Overrides::default())?;
    telemetry::start(&config.log);
    lifecycle::run(config, Start::Serve)
}

fn migrate(args: &Serve) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref(), &Overrides::default())?;
    telemetry::start(&config.log);
    let Some(postgres) = config.postgres() else {
        return print("Nothing to do: SQLite is migrated whenever it is opened.\n");
    };
    let mut waiting = Waiting::new(config.storage_wait, false);
    let applied = on_a_runtime(async {
        loop {
            match store::migrate(postgres).await {
                Ok(applied) => return Ok(applied),
                Err(error) => waiting.after(error).await?,
            }
        }
    })?;
    match applied {
        0 => print("Nothing to do: the schema is up to date.\n"),
        some => print(format_args!("Applied: {}.\n", counted(some as u64, "migration"))),
    }
}

fn setup_link(args: &Place) -> anyhow::Result<()> {
    let config = args.config()?;
    telemetry::start(&config.log);
    on_a_runtime(async {
        let store = Store::open(&config).await?;
        let link = async { Ok(lifecycle::build(&config, &store, false).await?.setup.issue().await?) };
        let link: anyhow::Result<_> = link.await;
        store.close().await;
        match link? {
            Some(link) => lifecycle::invite(&link, "`portico setup-link` prints a new link."),
            None => bail!("set-up is over: somebody has an account"),
        }
    })
}

fn check(args: &Serve) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref(), &Overrides::default())?;
    let mut lines = store::places(&config)?;
    lines.push(("listens at", config.listen.to_string()));
    let Origins { auth, mcp, app: _ } = &config.origins;
    lines.push(("reached at", if auth == mcp { auth.clone() } else { format!("{auth}, MCP endpoints at {mcp}") }));
    let mut lines: Vec<_> = lines.iter().map(|(name, value)| format!("{name:<18}{value}")).collect();
    lines.push("ok\n".to_owned());
    print(lines.join("\n"))
}

fn apply(args: &Apply) -> anyhow::Result<()> {
    let config = args.place.config()?;
    if args.dry_run && config.postgres().is_none() && !DataDir::exists(&config.data) {
        // Opening it would make it, and a dry run makes nothing.
        bail!("there is no installation in {} yet: a dry run has nothing to compare with", config.data.display());
    }
    telemetry::start(&config.log);
    let file = File::read(&args.file)?;
    on_a_runtime(async {
        // A dry run makes nothing, and migrates nothing.
        let store = if args.dry_run { Store::open(&config).await? } else { lifecycle::open(&config).await? };
        let done = apply_file(&store.registry(), &file, args.dry_run, args.prune).await;
        store.close().await;
        done
    })
}

/// Plans, prints, and does it unless it is a dry run.
pub(crate) async fn apply_file(registry: &Registry, file: &File, dry_run: bool, prune: bool) -> anyhow::Result<()> {
    check_builtins(file)?;
    let plan = Plan::new(registry, file, prune).await?;
    print(&plan)?;
    if dry_run {
        return Ok(());
    }
    let done = plan.execute(registry).await?;
    if done > 0 {
        print(format_args!("Applied: {}.\n", counted(done as u64, "change")))?;
    }
    Ok(())
}

/// Refuses servers that this build cannot answer for: they would be live and never work.
fn check_builtins(file: &File) -> anyhow::Result<()> {
    let known: Vec<&str> = builtins().iter().map(|builtin| builtin.name()).collect();
    let servers = file.tenants.iter().flat_map(|tenant| tenant.servers.iter().map(move |server| (tenant, server)));
    let unknown: Vec<String> = servers
        .filter_map(|(tenant, server)| match &server.source {
            UpstreamSource::Builtin { name } if !known.contains(&&**name) => {
                Some(format!("server {} of {}: there is no built-in server \"{name}\"", server.slug, tenant.slug))
            }
            UpstreamSource::Builtin { .. } | UpstreamSource::Http { .. } => None,
        })
        .collect();
    if unknown.is_empty() { Ok(()) } else { bail!("{}\nThere are: {}", unknown.join("\n"), known.join(", ")) }
}

/// Writes to standard output what the command was asked for.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).context("standard output cannot be written")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_dry_run_makes_no_installation() {
        let home = tempfile::tempdir().unwrap();
        let (file, data) = (home.path().join("state.toml"), home.path().join("data"));
        fs::write(&file, "").unwrap();
        let place = Place { data: Some(data.clone()), config: None };
        let args = Apply { file, place, dry_run: true, prune: false };
        assert!(apply(&args).unwrap_err().to_string().contains("no installation"));
        assert!(!data.exists());
    }

    #[test]
    fn built_in_servers_that_do_not_exist_are_refused() {
        let state = |name| {
            let upstream = format!("upstream = {{ kind = \"builtin\", name = \"{name}\" }}");
            format!("[[tenant]]\nslug = \"acme\"\nname = \"Acme\"\n[[tenant.server]]\nslug = \"one\"\n{upstream}")
        };
        let check = |name| check_builtins(&File::parse(&state(name), Path::new("")).unwrap());
        assert!(check("demo").is_ok());
        let refused = check("nothing").unwrap_err().to_string();
        assert!(refused.contains("server one of acme") && refused.ends_with("There are: demo"), "{refused}");
    }

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }
}

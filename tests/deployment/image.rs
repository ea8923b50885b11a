//! `deploy/Dockerfile` and `.dockerignore`.

use std::{collections::BTreeSet, fs, process::Command};

use cargo_metadata::MetadataCommand;

use crate::{
    compose::assert_pinned,
    documents::{assert_known, read, root, run, text},
};

/// The user of the image.
pub(crate) const USER: &str = "65532:65532";

/// Instructions with what follows them, in order; lines that are continued are one.
fn instructions() -> Vec<(String, String)> {
    let lines = read("deploy/Dockerfile");
    let lines: Vec<&str> = lines.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let split = |line: &str| line.split_once(' ').map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()));
    joined.lines().filter(|line| !line.is_empty()).map(|line| split(line).expect("an instruction")).collect()
}

fn all<'a>(instructions: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    instructions.iter().filter(move |(own, _)| own == name).map(|(_, rest)| rest.as_str())
}

#[test]
fn the_bases_are_pinned_and_fit() {
    let file = instructions();
    let bases: Vec<&str> = all(&file, "FROM").map(|rest| rest.split(' ').next().unwrap()).collect();
    assert_eq!(bases.len(), 2);
    for base in &bases {
        assert_pinned(base);
    }
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"')).unwrap();
    assert!(bases[0].starts_with(&format!("rust:{version}-slim-bookworm@")), "{}", bases[0]);
    // An older C library than the one that was linked with would not do.
    assert!(bases[1].starts_with("debian:bookworm-"), "{}", bases[1]);
    assert!(all(&file, "ENV").any(|rest| rest == format!("RUSTUP_TOOLCHAIN={version}")));
}

#[test]
fn it_runs_as_nobody_with_nothing_but_the_program() {
    let file = instructions();
    let last = |name: &str| all(&file, name).last().unwrap_or_else(|| panic!("no {name}")).to_owned();
    assert_eq!(last("USER"), USER);
    assert_eq!(last("STOPSIGNAL"), "SIGTERM");
    assert_eq!(last("ENTRYPOINT"), r#"["portico"]"#);
    assert_eq!(last("CMD"), r#"["serve"]"#);
    assert!(last("HEALTHCHECK").ends_with(r#"CMD ["portico", "healthcheck"]"#));
    assert!(last("LABEL").contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"")));
    // Nothing is fetched into the image that runs.
    let runtime = file.iter().rposition(|(name, _)| name == "FROM").unwrap();
    let after: BTreeSet<&str> = file[runtime..].iter().map(|(name, _)| name.as_str()).collect();
    assert!(!after.contains("RUN") && !after.contains("ADD"), "{after:?}");
    assert!(
        file[runtime..].iter().filter(|(name, _)| name == "COPY").all(|(_, rest)| rest.starts_with("--from=build "))
    );
}

#[test]
fn it_is_built_from_the_lock_file() {
    let file = instructions();
    let build: Vec<&str> = all(&file, "RUN").filter(|rest| rest.contains("cargo ")).collect();
    assert_eq!(build.len(), 1);
    assert!(build[0].contains("cargo build --locked --release --package server --bin portico"));
    for kept in ["/usr/local/cargo/registry", "/src/target"] {
        assert!(build[0].contains(&format!("--mount=type=cache,target={kept},")), "{kept}");
    }
    assert!(!file.iter().any(|(name, _)| name == "ADD" || name == "ARG"), "what comes from outside is pinned");
}

#[test]
fn serve_knows_its_variables() {
    let file = instructions();
    let variables: Vec<_> = all(&file, "ENV").filter_map(|rest| rest.split('=').next()).collect();
    assert_known(variables.into_iter().filter(|name| name.starts_with("PORTICO_")));
}

/// Whether `.dockerignore` leaves a path out: exact names and what is below them, `**/` anywhere, `*` in a name.
fn left_out(patterns: &[&str], path: &str) -> bool {
    let matches = |pattern: &str, name: &str| match pattern.split_once('*') {
        Some((start, end)) => name.len() >= pattern.len() - 1 && name.starts_with(start) && name.ends_with(end),
        None => name == pattern,
    };
    patterns.iter().any(|pattern| match pattern.strip_prefix("**/") {
        Some(name) => path.split('/').any(|part| matches(name, part)),
        None => matches(pattern, path) || path.starts_with(&format!("{pattern}/")),
    })
}

#[test]
fn secrets_stay_out_of_the_build_and_all_of_the_workspace_is_in_it() {
    let ignore = read(".dockerignore");
    let patterns: Vec<&str> = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for secret in [".env", "deploy/secrets/master_key", "portico-data/master.key", ".git/config", "target/x"] {
        assert!(left_out(&patterns, secret), "{secret}");
    }
    let tracked = run(Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root()));
    let tracked = text(&tracked.stdout);
    let context = tempfile::tempdir().unwrap();
    for path in tracked.split_terminator('\0').filter(|path| !left_out(&patterns, path)) {
        let (from, to) = (root().join(path), context.path().join(path));
        // Of a checkout that is being worked on, what is there.
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
    }
    let offline = ["--offline", "--locked"].map(str::to_owned);
    let metadata = MetadataCommand::new().current_dir(context.path()).other_options(offline).exec();
    let metadata = metadata.unwrap_or_else(|error| panic!("it would not build: {error}"));
    for package in metadata.workspace_packages() {
        for target in &package.targets {
            assert!(target.src_path.exists(), "{}", target.src_path);
        }
    }
    // What the program takes in besides its source.
    for path in ["templates", "migrations", "crates/storage-sqlite/.sqlx", "crates/storage-postgres/.sqlx"] {
        assert!(context.path().join(path).is_dir(), "{path}");
    }
}

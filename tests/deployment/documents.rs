//! The files under test, and how they are read.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The host name that is put into the files.
pub(crate) const HOST: &str = "portico.example.com";

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A file of the checkout.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a program that `cargo xtask test` installs.
pub(crate) fn run(command: &mut Command) -> Output {
    let program = command.get_program().display().to_string();
    command.output().unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask test` installs what is missing"))
}

/// What it wrote to one of its outputs.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The documents of a YAML text. The Python is that of Debian, where docker-compose has brought its own YAML.
pub(crate) fn yaml(source: &str) -> Vec<Value> {
    let program = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Debian's Python: `cargo xtask test` installs it");
    python.stdin.take().expect("it is piped").write_all(source.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What Compose makes of the file in `directory`; what a developer has beside it is not read.
pub(crate) fn compose(directory: &Path, host: Option<&str>) -> Output {
    let nothing = tempfile::NamedTempFile::new().expect("a file");
    let mut command = Command::new("docker-compose");
    command.args(["--file", "docker-compose.yml", "--env-file"]).arg(nothing.path()).arg("config");
    command.current_dir(directory);
    command.env_remove("PORTICO_HOST").envs(host.map(|host| ("PORTICO_HOST", host)));
    run(&mut command)
}

/// `docker-compose.yml` as Compose understands it.
pub(crate) fn resolved() -> Value {
    let output = compose(root(), Some(HOST));
    assert!(output.status.success(), "{}", text(&output.stderr));
    yaml(&text(&output.stdout)).remove(0)
}

/// The members of a JSON object.
#[track_caller]
pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.as_object().unwrap_or_else(|| panic!("an object: {value}"));
    object.iter().map(|(name, value)| (&**name, value))
}

/// The texts of a JSON list.
#[track_caller]
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    let list = value.as_array().unwrap_or_else(|| panic!("a list: {value}"));
    list.iter().map(|item| item.as_str().unwrap_or_else(|| panic!("a text: {item}"))).collect()
}

/// Fails for a variable of ours that `serve` does not know, which it would refuse.
#[track_caller]
pub(crate) fn assert_known<'a>(variables: impl Iterator<Item = &'a str>) {
    let known: BTreeSet<String> = server::config::Config::keys()
        .into_iter()
        .map(|key| format!("PORTICO_{}", key.replace('.', "__").to_uppercase()))
        .collect();
    let unknown: Vec<_> = variables.filter(|name| !known.contains(*name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

/// A copy of the files that `deploy/prepare.sh` works on, in a directory of its own.
pub(crate) fn checkout() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(home.path().join("deploy/postgres")).expect("directories");
    for file in ["docker-compose.yml", "deploy/prepare.sh", "deploy/Caddyfile", "deploy/postgres/portico.sh"] {
        fs::copy(root().join(file), home.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    home
}

/// The same after `deploy/prepare.sh`.
pub(crate) fn prepared() -> tempfile::TempDir {
    let home = checkout();
    let output = run(Command::new("sh").arg(home.path().join("deploy/prepare.sh")).arg(HOST));
    assert!(output.status.success(), "{}", text(&output.stderr));
    home
}

/// Where the secrets are in a checkout.
pub(crate) fn secrets(home: &Path) -> PathBuf {
    home.join("deploy/secrets")
}

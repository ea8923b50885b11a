//! `deploy/prepare.sh`, and that the scripts are what they should be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use sha2::{Digest as _, Sha256};

use crate::documents::{HOST, checkout, root, run, secrets, text};

const SCRIPTS: [&str; 2] = ["deploy/prepare.sh", "deploy/postgres/portico.sh"];

fn prepare(shell: &[&str], home: &Path, arguments: &[&str]) -> Output {
    let script = home.join("deploy/prepare.sh");
    run(Command::new(shell[0]).args(&shell[1..]).arg(script).args(arguments))
}

/// Every file and its bytes.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.expect("it can be listed"));
    let read = |path: &Path| fs::read_to_string(path).expect("a text");
    entries.map(|entry| (entry.file_name().into_string().expect("a name"), read(&entry.path()))).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

#[test]
fn the_scripts_are_plain_shell() {
    for script in SCRIPTS {
        let path = root().join(script);
        assert_eq!(mode(&path) & 0o111, 0o111, "{script} cannot be run");
        assert!(fs::read_to_string(&path).unwrap().starts_with("#!/bin/sh\n"), "{script}");
        let parsed = run(Command::new("dash").arg("-n").arg(&path));
        assert!(parsed.status.success(), "{script}: {}", text(&parsed.stderr));
        let checked = run(Command::new("shellcheck").args(["--shell=sh", "--severity=style"]).arg(&path));
        assert!(checked.status.success(), "{script}: {}", text(&checked.stdout));
    }
}

#[test]
fn every_secret_is_made_once() {
    for shell in [["dash"].as_slice(), &["bash", "--posix"]] {
        let home = checkout();
        let made = prepare(shell, home.path(), &[HOST]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let first = files(&secrets(home.path()));
        assert_eq!(first.len(), 7, "{:?}", first.keys());
        let random = ["master_key", "postgres_admin_password", "postgres_password", "redis_password"];
        let random: BTreeSet<&str> = random.iter().map(|name| first[*name].trim_end()).collect();
        assert_eq!(random.len(), 4, "some are the same");
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(random.iter().all(|secret| secret.len() == 64 && secret.bytes().all(hex)));
        // What it prints may be in a terminal's history.
        assert!(random.iter().all(|secret| !text(&made.stdout).contains(secret)));

        let env = fs::read_to_string(home.path().join(".env")).unwrap();
        assert_eq!(env, format!("COMPOSE_PROJECT_NAME=portico\nPORTICO_HOST={HOST}\n"));
        for arguments in [&[HOST][..], &[]] {
            assert!(prepare(shell, home.path(), arguments).status.success());
            assert_eq!(files(&secrets(home.path())), first, "something was made again");
            assert_eq!(fs::read_to_string(home.path().join(".env")).unwrap(), env);
        }
    }
}

#[test]
fn what_belongs_together_fits() {
    let home = crate::documents::prepared();
    let made = files(&secrets(home.path()));
    let (postgres, redis) = (made["postgres_password"].trim_end(), made["redis_password"].trim_end());
    assert_eq!(made["postgres_url"], format!("postgres://portico:{postgres}@postgres:5432/portico?sslmode=disable\n"));
    assert_eq!(made["redis_url"], format!("redis://portico:{redis}@redis:6379/0\n"));
    let hash = hex(&Sha256::digest(redis));
    assert!(made["redis_users"].contains(&format!("\nuser portico on #{hash} ")));
    assert!(made["redis_users"].starts_with("user default off\n") && !made["redis_users"].contains(redis));
}

/// Containers run as users of their own, and Compose mounts files as they are: they have to be readable for
/// everybody, and the directory must let nobody in.
#[test]
fn containers_can_read_the_secrets_and_others_here_cannot() {
    let home = checkout();
    // As a checkout with a narrow umask has them.
    for file in ["deploy/Caddyfile", "deploy/postgres/portico.sh"] {
        fs::set_permissions(home.path().join(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(prepare(&["sh"], home.path(), &[HOST]).status.success());
    assert_eq!(mode(&secrets(home.path())), 0o700);
    for name in files(&secrets(home.path())).keys() {
        assert_eq!(mode(&secrets(home.path()).join(name)), 0o644, "{name}");
    }
    assert_eq!(mode(&home.path().join("deploy/Caddyfile")), 0o644);
    assert_eq!(mode(&home.path().join("deploy/postgres/portico.sh")), 0o755);
    assert_eq!(mode(&home.path().join(".env")), 0o600);
}

#[test]
fn what_is_no_host_name_is_refused_before_anything_is_made() {
    for wrong in ["", "https://a.example", "a.example:8443", "A.example", "a..b", ".a", "-a", "a b", "a\nb", "a;b"] {
        let home = checkout();
        let refused = prepare(&["dash"], home.path(), &[wrong]);
        assert!(!refused.status.success(), "{wrong:?}");
        assert!(files(&secrets(home.path())).is_empty() && !home.path().join(".env").exists(), "{wrong:?}");
    }
}

#[test]
fn another_host_name_is_not_taken_silently() {
    let home = crate::documents::prepared();
    let refused = prepare(&["dash"], home.path(), &["other.example.com"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains(HOST), "{}", text(&refused.stderr));
}

#[test]
fn half_of_a_pair_is_not_made_up() {
    let home = crate::documents::prepared();
    fs::remove_file(secrets(home.path()).join("redis_password")).unwrap();
    let before = files(&secrets(home.path()));
    let refused = prepare(&["dash"], home.path(), &[]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("put it back"), "{}", text(&refused.stderr));
    assert_eq!(files(&secrets(home.path())), before);
}

#[test]
fn settings_of_the_operator_stay() {
    let home = checkout();
    fs::write(home.path().join(".env"), "COMPOSE_PROJECT_NAME=mine\nTZ=UTC").unwrap();
    assert!(prepare(&["dash"], home.path(), &[HOST]).status.success());
    let env = fs::read_to_string(home.path().join(".env")).unwrap();
    assert_eq!(env, format!("COMPOSE_PROJECT_NAME=mine\nTZ=UTC\nPORTICO_HOST={HOST}\n"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

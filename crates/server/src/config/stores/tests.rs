use std::iter;

use super::*;
use crate::config::Config;

const PASSWORD: &str = "hunter2-hunter2";
const BASE: (&str, &str) = ("PORTICO_BASE_URL", "https://p.example");
const KEY: &str = "abababababababababababababababababababababababababababababababab";

fn parse(text: &str, variables: &[(&str, &str)], overrides: &Overrides, base: &Path) -> Result<Config, Vec<String>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, base, variables, overrides).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn faults(text: &str) -> Vec<String> {
    parse(text, &[BASE], &Overrides::default(), Path::new("")).unwrap_err()
}

#[test]
fn the_environment_alone_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let postgres = file("postgres", &format!("postgres://portico:{PASSWORD}@db/portico?sslmode=verify-full\n"));
    let redis = file("redis", &format!("rediss://:{PASSWORD}@cache:6380\n"));
    let master = file("master", KEY);
    let variables = [
        BASE,
        ("PORTICO_STORAGE", "postgres"),
        ("PORTICO_POSTGRES__URL_FILE", &postgres),
        ("PORTICO_POSTGRES__MAX_CONNECTIONS", "7"),
        ("PORTICO_POSTGRES__MIGRATE", "false"),
        ("PORTICO_REDIS__URL_FILE", &redis),
        ("PORTICO_KEYS__MASTER_FILE", &master),
        ("PORTICO_STORAGE_WAIT", "5s"),
    ];
    let config = parse("", &variables, &Overrides::default(), Path::new("")).unwrap();
    let StorageConfig::Postgres(found) = &config.storage else { panic!("{config:?}") };
    assert!(found.url.expose().ends_with("sslmode=verify-full") && found.keys_url.is_none());
    assert_eq!((found.max_connections, found.migrate, config.storage_wait.as_secs()), (7, false, 5));
    let found = config.redis.as_ref().unwrap();
    assert_eq!((found.url.expose().ends_with(":6380"), found.pool, &*found.prefix), (true, 4, "portico"));
    assert!(matches!(&config.master, MasterKeyConfig::File(path) if path.ends_with("master")));
    assert!(!format!("{config:?}").contains(PASSWORD));
}

#[test]
fn files_are_relative_to_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("url"), "postgres://db/portico").unwrap();
    fs::write(dir.path().join("key"), KEY).unwrap();
    let text = "storage = \"postgres\"\n[postgres]\nurl_file = \"url\"\n[keys]\nmaster_file = \"key\"";
    let config = parse(text, &[BASE], &Overrides::default(), dir.path()).unwrap();
    assert!(matches!(config.storage, StorageConfig::Postgres(found) if found.url.expose() == "postgres://db/portico"));
    let missing = faults(text);
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing[0].starts_with("line 3: postgres.url_file: url cannot be read"), "{missing:?}");
    assert!(missing[1].starts_with("line 5: keys.master_file: key cannot be read"), "{missing:?}");
}

#[test]
fn a_secret_comes_from_one_place() {
    let text = "storage = \"postgres\"\n[postgres]\nurl_file = \"f\"\n[keys]\nmaster_file = \"f\"";
    let variables = [BASE, ("PORTICO_POSTGRES__URL", "postgres://db/x"), ("PORTICO_KEYS__MASTER", KEY)];
    let found = parse(text, &variables, &Overrides::default(), Path::new("")).unwrap_err();
    let expected = [
        "line 3: postgres.url_file: is given besides the value itself; use one of them",
        "line 5: keys.master_file: is given besides the value itself; use one of them",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_a_store_needs_and_what_it_does_not_know() {
    let found =
        faults("storage = \"postgres\"\n[postgres]\nuser = \"x\"\n[redis]\nhost = \"x\"\n[keys]\nfile = \"x\"\n");
    let expected = [
        "line 2: postgres.url: is missing: storage = \"postgres\" needs it, or url_file",
        "line 3: postgres.user: is not a known key",
        "line 5: redis.host: is not a known key",
        "line 6: keys.master_file: is missing: storage = \"postgres\" needs it, or keys.master",
        "line 7: keys.file: is not a known key",
    ];
    assert_eq!(found, expected);
    assert_eq!(faults("storage = \"mysql\""), ["line 1: storage: use sqlite or postgres"]);
    for (section, url) in [("postgres", "postgres://db/x"), ("redis", "redis://cache")] {
        let found = faults(&format!("[{section}]\nurl = \"{url}\""));
        assert!(found[0].contains("storage is not \"postgres\""), "{found:?}");
    }
    assert_eq!(faults("[redis]\nprefix = \"a{b}\""), ["line 2: redis.prefix: use 1 to 40 of a-z, 0-9 and dashes"]);
}

#[test]
fn replicas_have_one_address() {
    let given = format!("storage = \"postgres\"\npostgres.url = \"postgres://db/x\"\nkeys.master = \"{KEY}\"\n");
    let faults = |text: &str| parse(text, &[], &Overrides::default(), Path::new("")).unwrap_err();
    let missing = "base_url: is missing: storage = \"postgres\" needs it. It is where browsers and clients reach Portico, the \
                   same for all replicas";
    assert_eq!(faults(&given), [missing]);
    // Once, together with whatever else is wrong, and whatever it listens at.
    let found = faults("storage = \"postgres\"\nlisten = \"0.0.0.0:8080\"\n");
    assert_eq!((found.len(), &*found[0]), (3, missing), "{found:?}");
    let origins = |which: &[&str]| {
        let lines: Vec<_> = which.iter().map(|name| format!("origins.{name} = \"https://{name}.example\"")).collect();
        parse(&format!("{given}{}", lines.join("\n")), &[], &Overrides::default(), Path::new(""))
    };
    assert_eq!(origins(&["auth"]).unwrap_err(), [missing]);
    assert!(origins(&["auth", "mcp"]).is_ok());
}

#[test]
fn a_fault_shows_no_secret() {
    for url in ["mysql://u:hunter2-hunter2@db/x", "u:hunter2-hunter2@db", "postgres://u:hunter2-hunter2@db:x/y"] {
        let text = format!("storage = \"postgres\"\n[postgres]\nurl = \"{url}\"\n[keys]\nmaster = \"{KEY}\"");
        let found = faults(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("line 3: postgres.url: is ") && !found[0].contains(PASSWORD), "{found:?}");
    }
}

#[test]
fn what_is_no_master_key_is_a_fault() {
    let found = faults("storage = \"postgres\"\n[postgres]\nurl = \"postgres://db/x\"\n[keys]\nmaster = \"short\"");
    assert_eq!(found, ["line 5: keys.master: key 1 of it is neither 64 hexadecimal digits nor 32 bytes in base64"]);
}

#[test]
fn the_embedded_form_has_one_store() {
    let overrides = Overrides { embedded: true, ..Overrides::default() };
    let variables = iter::once(("PORTICO_STORAGE".to_owned(), "postgres".to_owned()));
    let found = Config::parse("", Path::new(""), variables, &overrides).unwrap_err();
    assert!(found[0].to_string().contains("use portico serve"), "{found:?}");
}

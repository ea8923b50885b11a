use std::iter;

use super::*;

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, Path::new(""), variables, &Overrides::default())
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn everything_has_a_default() {
    let config = parse("", &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.origins.auth, "http://127.0.0.1:8080");
    assert_eq!(config.tokens.access, Duration::from_hours(1));
    assert_eq!(config.dcr.max_clients, 10_000);
}

#[test]
fn the_environment_stands_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\n[tokens]\naccess = \"2h\"\ncode = \"30s\"\n";
    let variables = [
        ("PORTICO_TOKENS__ACCESS", "5s"),
        ("PORTICO_DCR__MAX_CLIENTS", "0"),
        ("PORTICO_WORKERS", "3"),
        ("PORTICO_OUTBOUND__ALLOW", "10.0.0.0/8:443, 192.168.1.1:80"),
        ("OTHER", "x"),
    ];
    let config = parse(file, &variables).unwrap();
    assert_eq!((config.tokens.access.as_secs(), config.tokens.code.as_secs()), (5, 30));
    assert_eq!((config.dcr.max_clients, config.workers, config.outbound.allow.len()), (0, 3, 2));
}

#[test]
fn strangers_do_not_register_under_up_where_others_reach_it() {
    let under = |embedded, text: &str| {
        let overrides = Overrides { embedded, ..Overrides::default() };
        Config::parse(text, Path::new(""), iter::empty(), &overrides).unwrap().dcr.open
    };
    assert!(under(true, ""), "only programs of this machine reach it");
    assert!(under(true, "listen = \"[::1]:8080\""));
    assert!(!under(true, "base_url = \"https://portico.example.com\""));
    assert!(!under(true, "listen = \"192.168.1.2:8080\""));
    assert!(under(true, "base_url = \"https://portico.example.com\"\n[dcr]\nmode = \"open\""));
    assert!(under(false, "base_url = \"https://portico.example.com\""));
    assert!(!under(false, "[dcr]\nmode = \"off\""));
}

#[test]
fn the_command_line_stands_over_both() {
    let overrides = Overrides { listen: Some("127.0.0.1:2".to_owned()), ..Overrides::default() };
    let variables = iter::once(("PORTICO_LISTEN".to_owned(), "127.0.0.1:3".to_owned()));
    let config = Config::parse("listen = \"127.0.0.1:1\"", Path::new(""), variables, &overrides).unwrap();
    assert_eq!(config.listen.port(), 2);
}

#[test]
fn all_faults_are_reported_each_with_its_key() {
    let file = "listen = 5\nsecret = \"x\"\n\n[tokens]\naccess = \"2 hours\"\nrefresh_idle = \"91d\"\n\n\
                [outbound]\nallow = [\"10.0.0.0/8\"]\n\n[postgres]\nurl = \"x\"\nmax_connections = 1\n";
    let variables = [("PORTICO_TOKENS__CODE", "1d"), ("PORTICO_NOPE", "1"), ("PORTICO_LISTEN__X", "1")];
    let faults = parse(file, &variables).unwrap_err();
    assert_eq!(
        faults,
        [
            "PORTICO_LISTEN__X: cannot stand over what the file has there",
            "PORTICO_TOKENS__CODE (tokens.code): use 1 to 600 seconds",
            "PORTICO_NOPE (nope): is not a known key",
            "line 1: listen: use a text; this is of type integer",
            "line 2: secret: is not a known key",
            "line 4: tokens.refresh_idle: is longer than refresh_absolute",
            "line 5: tokens.access: use a whole number and s, m, h or d, for example 90s or 1h",
            "line 9: outbound.allow[0]: not a network and a port, for example 10.1.0.0/16:8080 or [fd00::/8]:443",
            "line 12: postgres.url: is not a URL (relative URL without a base); use postgres://, postgresql://",
            "line 13: postgres.max_connections: use a number from 2 to 1000",
        ]
    );
}

#[test]
fn origins_follow_the_base_url() {
    let config = parse("base_url = \"https://p.example/\"\n[origins]\nmcp = \"https://m.example\"", &[]).unwrap();
    assert_eq!(config.origins, Origins::new("https://p.example", "https://m.example", "https://p.example").unwrap());
    assert!(parse("listen = \"0.0.0.0:80\"", &[]).unwrap_err()[0].contains("base_url"));
    assert!(parse("[origins]\napp = \"https://x.example\"", &[]).unwrap_err()[0].contains("origins.auth"));
}

/// What stands in backquotes in the first column of the tables, with the default in the second.
fn documented() -> Vec<(String, String)> {
    let text = include_str!("../../../../docs/configuration.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(key, rest)| (key.to_owned(), rest.split(" | ").next().unwrap_or_default().to_owned())).collect()
}

#[test]
fn the_documentation_has_every_key_and_no_other() {
    let documented: BTreeSet<_> = documented().into_iter().map(|(key, _)| key).collect();
    assert_eq!(documented, Config::keys());
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let shown = |text: &str| format!("{:?}", parse(text, &[]).unwrap_or_else(|faults| panic!("{text}: {faults:?}")));
    let defaults = shown("");
    for (key, default) in documented() {
        if let Some(value) = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
            assert_eq!(shown(&format!("{key} = {value}")), defaults, "{key}");
        }
    }
}

/// The example, with what is commented out there set.
#[test]
fn the_example_parses_and_has_every_key() {
    let example = include_str!("../../../../deploy/config.example.toml");
    let mut text = String::new();
    for line in example.lines() {
        let set = line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line);
        text.push_str(set);
        text.push('\n');
    }
    let faults = Faults::of(&text);
    let mut keys = BTreeSet::new();
    flatten("", &toml::Value::Table(text.parse().unwrap()), &mut keys);
    drop(faults);
    assert_eq!(keys, Config::keys());
    let written = parse(example, &[]).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(written.origins.auth, "https://portico.example.com");
}

fn flatten(at: &str, value: &toml::Value, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                flatten(&at, value, keys);
            }
        }
        _ => {
            keys.insert(at.to_owned());
        }
    }
}

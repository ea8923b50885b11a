//! `docker-compose.yml`, as Compose understands it.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::{Value, json};

use crate::documents::{assert_known, compose, members, prepared, resolved, root, run, text, texts};

#[test]
fn only_the_front_is_reached_from_outside() {
    let config = resolved();
    for (name, service) in members(&config["services"]) {
        let networks: Vec<_> = members(&service["networks"]).map(|(network, _)| network).collect();
        let expected: &[&str] = match name {
            "front" => &["edge"],
            "portico" => &["edge", "inside"],
            _ => &["inside"],
        };
        assert_eq!(networks, expected, "{name}");
        for way_out in ["network_mode", "links", "expose", "privileged", "pid", "ipc", "devices"] {
            assert_eq!(service.get(way_out), None, "{name}: {way_out}");
        }
        let published: Vec<_> = service["ports"].as_array().into_iter().flatten().collect();
        let ports = [json!({"published": 80, "target": 8080}), json!({"published": 443, "target": 8443})];
        let ports: Vec<_> = if name == "front" { ports.iter().collect() } else { Vec::new() };
        assert_eq!(published, ports, "{name}");
    }
    assert_eq!(config["networks"], json!({"edge": {}, "inside": {"internal": true}}));
}

#[test]
fn nothing_may_do_more_than_it_needs() {
    for (name, service) in members(&resolved()["services"]) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        // Only so that its program starts at all, see the comment there.
        let added: &[&str] = if name == "front" { &["NET_BIND_SERVICE"] } else { &[] };
        assert_eq!(service.get("cap_add").map(texts).unwrap_or_default(), added, "{name}");
        let (user, group) = service["user"].as_str().and_then(|user| user.split_once(':')).expect("user:group");
        assert!(user.parse::<u32>().unwrap() > 0 && group.parse::<u32>().unwrap() > 0, "{name}");
        for limit in ["mem_limit", "pids_limit"] {
            assert!(service.get(limit).is_some(), "{name}: {limit}");
        }
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        assert!(service["logging"]["options"]["max-size"].is_string(), "{name}: its log would fill the disk");
    }
}

#[test]
fn every_service_says_whether_it_is_well() {
    let config = resolved();
    for (name, service) in members(&config["services"]) {
        let check = &service["healthcheck"];
        // No shell: the image of Portico has nothing to run in one.
        assert_eq!(check["test"][0], "CMD", "{name}");
        for time in ["interval", "timeout", "retries", "start_period"] {
            assert!(check.get(time).is_some(), "{name}: {time}");
        }
        for (_, dependency) in members(service.get("depends_on").unwrap_or(&json!({}))) {
            assert_eq!(dependency["condition"], "service_healthy", "{name}");
        }
    }
    let needs = |name: &str| members(&config["services"][name]["depends_on"]).map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!((needs("front"), needs("portico")), (vec!["portico"], vec!["postgres", "redis"]));
}

#[test]
fn images_are_pinned() {
    for (name, service) in members(&resolved()["services"]) {
        let image = service["image"].as_str().expect("an image");
        if name == "portico" {
            assert_eq!(image, concat!("portico:", env!("CARGO_PKG_VERSION")));
            assert_eq!(service["build"]["dockerfile"], "deploy/Dockerfile");
        } else {
            assert_pinned(image);
            assert!(service.get("build").is_none(), "{name}");
        }
    }
}

/// An exact version and the bytes it had.
#[track_caller]
pub(crate) fn assert_pinned(image: &str) {
    let (tagged, digest) = image.split_once("@sha256:").unwrap_or_else(|| panic!("{image} has no digest"));
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(digest.len() == 64 && digest.bytes().all(hex), "{image}");
    let (_, tag) = tagged.split_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
    assert!(tag.matches(|symbol: char| symbol.is_ascii_digit()).count() >= 3, "{image} is no exact version");
}

#[test]
fn secrets_are_files_and_go_where_they_are_needed() {
    let config = resolved();
    let declared: BTreeSet<&str> = members(&config["secrets"]).map(|(name, _)| name).collect();
    for (name, secret) in members(&config["secrets"]) {
        let file = Path::new(secret["file"].as_str().expect("a file"));
        assert_eq!(file.strip_prefix(root().canonicalize().unwrap()).unwrap(), Path::new("deploy/secrets").join(name));
    }
    let mut given = BTreeSet::new();
    for (name, service) in members(&config["services"]) {
        let own: BTreeSet<&str> = service["secrets"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|secret| secret["source"].as_str().expect("a source"))
            .collect();
        let mut places = Vec::new();
        values(service, &mut places);
        let named: BTreeSet<&str> = places.iter().filter_map(|value| value.strip_prefix("/run/secrets/")).collect();
        assert_eq!(own, named, "{name}");
        given.extend(own);
    }
    assert_eq!(declared, given);
    let ignored =
        run(Command::new("git").args(["check-ignore", "deploy/secrets/master_key", ".env"]).current_dir(root()));
    assert_eq!(text(&ignored.stdout).lines().count(), 2, "git would take secrets in");
}

/// All texts in a value.
fn values<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|item| values(item, into)),
        Value::Object(members) => members.values().for_each(|member| values(member, into)),
        _ => {}
    }
}

#[test]
fn no_secret_is_a_variable() {
    for (name, service) in members(&resolved()["services"]) {
        for (variable, _) in members(service.get("environment").unwrap_or(&json!({}))) {
            let telling = ["PASSWORD", "SECRET", "TOKEN", "_KEY", "MASTER", "__URL"];
            let secret = telling.iter().any(|word| variable.contains(word));
            assert!(!secret || variable.ends_with("_FILE"), "{name}: {variable}");
        }
    }
}

#[test]
fn what_is_kept_is_on_named_volumes() {
    let config = resolved();
    let volumes: BTreeSet<&str> = members(&config["volumes"]).map(|(name, _)| name).collect();
    assert_eq!(volumes, BTreeSet::from(["front", "postgres", "redis"]));
    let mounts = |name: &str| texts(&config["services"][name]["volumes"]);
    // From 18 on the image has its data one level higher; a volume at the old place stays empty, and the database
    // goes with its container.
    let image = config["services"]["postgres"]["image"].as_str().unwrap();
    let major: u32 = image.split(':').nth(1).and_then(|tag| tag.split('.').next()).unwrap().parse().unwrap();
    assert!(major >= 18);
    assert!(mounts("postgres").contains(&"postgres:/var/lib/postgresql:rw"));
    assert!(mounts("redis").contains(&"redis:/data:rw"));
    assert!(mounts("front").contains(&"front:/data/caddy:rw"));
    // Everything else that is mounted is in the checkout, and cannot be written.
    let services = members(&config["services"]).filter_map(|(_, service)| service["volumes"].as_array()).flatten();
    for mount in services.map(|mount| mount.as_str().unwrap()).filter(|mount| mount.starts_with('/')) {
        let (file, _) = mount.split_once(':').unwrap();
        assert!(Path::new(file).is_file() && mount.ends_with(":ro"), "{mount}");
    }
}

#[test]
fn serve_knows_every_variable() {
    let config = resolved();
    let environment = &config["services"]["portico"]["environment"];
    assert_known(members(environment).map(|(name, _)| name));
    for (name, service) in members(&config["services"]).filter(|(name, _)| *name != "portico") {
        let variables = service.get("environment").cloned().unwrap_or(json!({}));
        assert!(members(&variables).all(|(variable, _)| !variable.starts_with("PORTICO_")), "{name}");
    }
}

#[test]
fn without_a_host_name_it_says_what_to_do() {
    let output = compose(root(), None);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("run deploy/prepare.sh HOST once"), "{}", text(&output.stderr));
}

#[test]
fn prepare_makes_the_host_name_and_every_secret() {
    let home = prepared();
    let output = run(Command::new("docker-compose").arg("config").env_remove("PORTICO_HOST").current_dir(home.path()));
    // Compose 1 only warns of a secret whose file is not there, and the container fails to start.
    assert_eq!(text(&output.stderr), "");
    let config = crate::documents::yaml(&text(&output.stdout)).remove(0);
    let environment = &config["services"]["portico"]["environment"];
    assert_eq!(environment["PORTICO_BASE_URL"], format!("https://{}", crate::documents::HOST));
    for (name, secret) in members(&config["secrets"]) {
        assert!(Path::new(secret["file"].as_str().unwrap()).is_file(), "{name}");
    }
}

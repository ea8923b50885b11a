//! The arrows between crates: each crate depends only on those that are listed for it.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("protocol", &["model"]),
    ("storage", &["model"]),
    ("storage-sqlite", &["storage", "model"]),
    ("storage-postgres", &["storage", "model"]),
    ("storage-redis", &["storage", "model"]),
    ("http-kit", &["storage", "model"]),
    ("registry", &["storage", "model"]),
    ("auth", &["http-kit", "protocol", "registry", "storage", "model"]),
    ("upstream", &["http-kit", "protocol", "storage", "model"]),
    ("router", &["auth", "registry", "upstream", "http-kit", "protocol", "storage", "model"]),
    ("web", &["auth", "registry", "router", "upstream", "http-kit", "protocol", "storage", "model"]),
    (
        "server",
        &[
            "auth",
            "http-kit",
            "model",
            "protocol",
            "registry",
            "router",
            "storage",
            "storage-postgres",
            "storage-redis",
            "storage-sqlite",
            "upstream",
            "web",
        ],
    ),
    (
        "tests",
        &[
            "server", "services", "auth", "http-kit", "model", "protocol", "registry", "router", "storage", "upstream",
            "web",
        ],
    ),
    ("bench-upstream", &[]),
    ("bench-storage", &["model", "storage", "storage-postgres", "storage-redis", "storage-sqlite"]),
    ("services", &[]),
    ("xtask", &["services"]),
];

#[test]
fn the_crates_depend_only_along_the_arrows() {
    let metadata = MetadataCommand::new().no_deps().other_options(["--offline".to_owned()]).exec().expect("metadata");
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(name, to)| (*name, to.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some(allowed) = allowed.get(name) else {
            wrong.push(format!("{name} is not in the list"));
            continue;
        };
        for dependency in &package.dependencies {
            let ours = dependency.path.is_some() && dependency.kind == DependencyKind::Normal;
            if ours && !allowed.contains(dependency.name.as_str()) {
                wrong.push(format!("{name} -> {}", dependency.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(metadata.packages.len(), ARROWS.len(), "a crate in the list is gone");
}

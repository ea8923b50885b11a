//! What `deny.toml` says about dependencies, checked on what cargo would build.
//!
//! The file is `cargo-deny`'s, and that tool reads it too. Installing it takes longer than building
//! Portico, and these three of its checks are a page of code that needs no network. Advisories, which do
//! need it, stay with the tool.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};
use cargo_metadata::Package;
use serde::Deserialize;
use services::answer;

use super::licence;
use crate::{
    command::cargo,
    machine::{Machine, metadata},
};

/// The parts of `deny.toml` that are checked here.
#[derive(Deserialize)]
struct Policy {
    graph: Graph,
    bans: Bans,
    licenses: Licences,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_git: Vec<String>,
}

/// Prints each breach; whether there was none.
pub(crate) fn holds(machine: &Machine) -> Result<bool> {
    println!("$ the dependency policy of deny.toml");
    let policy = read(&machine.root.join("deny.toml"))?;
    let mut breaches = BTreeSet::new();
    for target in &policy.graph.targets {
        let filter = ["--locked", "--filter-platform", target].map(str::to_owned);
        let metadata = metadata(|command| command.other_options(filter))?;
        let built = built(machine, target)?;
        let is_built = |package: &&Package| built.contains(&format!("{} v{}", package.name, package.version));
        breaches.extend(metadata.packages.iter().filter(is_built).flat_map(|package| policy.breaches(package)));
    }
    for breach in &breaches {
        println!("{breach}");
    }
    Ok(breaches.is_empty())
}

fn read(path: &Path) -> Result<Policy> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// The packages that are built for a platform, as `name vVersion`. Metadata also lists optional ones that
/// only a weak feature (`ring?/std`) mentions.
fn built(machine: &Machine, target: &str) -> Result<BTreeSet<String>> {
    let mut command = cargo(machine, &["tree", "--locked", "--workspace", "--prefix=none", "--format={p}", "--target"]);
    let tree = answer(command.arg(target)).context("cargo tree")?;
    let label = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(tree.lines().map(label).collect())
}

impl Policy {
    fn breaches(&self, package: &Package) -> Vec<String> {
        let mut breaches = Vec::new();
        let label = format!("{} {}", package.name, package.version);
        if let Some(ban) = self.bans.deny.iter().find(|ban| ban.name == package.name.as_str()) {
            breaches.push(format!("{label} is banned: {}", ban.reason));
        }
        match &package.license {
            None => breaches.push(format!("{label} names no licence")),
            Some(expression) if !licence::is_allowed(expression, &self.licenses.allow) => {
                breaches.push(format!("{label} is under {expression}, which deny.toml does not allow"));
            }
            Some(_) => {}
        }
        // Packages of the workspace have no source.
        if let Some(source) = &package.source
            && source.repr.starts_with("git+")
            && !self.sources.allow_git.iter().any(|allowed| source.repr[4..].starts_with(allowed.as_str()))
        {
            breaches.push(format!("{label} comes from {source}, which deny.toml does not allow"));
        }
        breaches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml")).unwrap()
    }

    fn package(name: &str, licence: Option<&str>, source: &str) -> Package {
        let json = format!(
            r#"{{"name":"{name}","version":"1.0.0","id":"{name} 1.0.0","source":"{source}","dependencies":[],"targets":[],
            "features":{{}},"manifest_path":"/x/Cargo.toml","metadata":null,"authors":[],"categories":[],"keywords":[],
            "edition":"2024","license":{}}}"#,
            licence.map_or("null".to_owned(), |licence| format!("\"{licence}\"")),
        );
        toml_free_json(&json)
    }

    /// `Package` can only be made from what cargo prints.
    fn toml_free_json(json: &str) -> Package {
        let whole = format!(
            r#"{{"packages":[{json}],"workspace_members":[],"resolve":null,"workspace_root":"/x","target_directory":"/x",
            "version":1}}"#
        );
        let mut metadata = cargo_metadata::MetadataCommand::parse(whole).unwrap();
        metadata.packages.remove(0)
    }

    const REGISTRY: &str = "registry+index";

    #[test]
    fn what_is_allowed_passes() {
        assert_eq!(policy().breaches(&package("serde", Some("MIT OR Apache-2.0"), REGISTRY)), Vec::<String>::new());
    }

    #[test]
    fn each_rule_catches_its_breach() {
        for (package, expected) in [
            (package("openssl", Some("MIT"), REGISTRY), "is banned"),
            (package("secretive", None, REGISTRY), "names no licence"),
            (package("copyleft", Some("AGPL-3.0-only"), REGISTRY), "is under AGPL-3.0-only"),
            (package("forked", Some("MIT"), "git+https://example.com/forked"), "comes from git+"),
        ] {
            let breaches = policy().breaches(&package);
            assert!(breaches.len() == 1 && breaches[0].contains(expected), "{breaches:?}");
        }
    }
}

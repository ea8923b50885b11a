//! The conformance suite of MCP against the authorization server: npm `@modelcontextprotocol/conformance`, as it is,
//! without a list of failures to expect.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Live, Site};
use tokio::{process::Command, time::Instant};

use crate::{
    browser::{Browser, Decision},
    portico::{Place, Portico},
    process::{Process, free_port},
    settings,
};

/// Both versions of the protocol that the suite has requirements for.
const VERSIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
/// How long the suite may take between two things that it says.
const PATIENCE: Duration = Duration::from_secs(90);
const SERVER: &str =
    "[[tenant.server]]\nslug = \"demo\"\nname = \"Demo\"\nupstream = { kind = \"builtin\", name = \"demo\" }\n";

/// A client that registered itself with the suite's callback.
async fn register(portico: &Portico, callback: u16) -> Result<String> {
    let metadata = json!({
        "client_name": "Conformance",
        "redirect_uris": [format!("http://127.0.0.1:{callback}/callback")],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let host = portico.origin().strip_prefix("http://").context("http")?;
    let live: &dyn Site = &Live::at(host.rsplit_once(':').context("a port")?.1.parse()?, Duration::from_secs(20));
    let headers = [("host", host), ("content-type", "application/json")];
    let answer = live.send(Method::POST, "/oauth/register", &headers, &metadata.to_string()).await.expect(201);
    Ok(answer.json()["client_id"].as_str().context("an id")?.to_owned())
}

/// Runs the suite; a person answers in a browser when it asks for one. What it wrote down of each check.
async fn run(portico: &Portico, version: &str, resource: Option<&str>) -> Result<Vec<Value>> {
    let (home, port) = (TempDir::new()?, free_port()?);
    let client = register(portico, port).await?;
    let modules = settings::environment("conformance").join("node_modules");
    let mut command = Command::new(modules.join(".bin/node"));
    command.arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"));
    command.args(["authorization", "--url", portico.origin(), "--client-id", &client, "--spec-version", version]);
    command.args(["-p", &port.to_string()]).arg("-o").arg(home.path().join("results"));
    if let Some(resource) = resource {
        command.args(["--resource", resource]);
    }
    let mut suite = Process::start(command.env("HOME", home.path()), &home.path().join("log"))?;
    let (mut answered, end) = (false, Instant::now() + PATIENCE);
    let status = loop {
        if let Some(status) = suite.ended()? {
            break status;
        }
        if Instant::now() > end {
            bail!("the suite does not end:\n{}", suite.output());
        }
        let output = suite.output();
        let start = format!("{}/oauth/authorize?", portico.origin());
        if let Some(at) = output.find(&start).filter(|_| !answered) {
            let url = output[at..].split(|c: char| c.is_whitespace() || c == '"' || c == '\u{1b}').next();
            let browser = Browser::open().await?;
            browser.goto(url.context("an address")?).await?;
            browser.answer(portico.origin(), Decision::Allow).await?;
            browser.close().await?;
            answered = true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    ensure!(status.success() && answered, "{status}, asked {answered}:\n{}", suite.output());
    let mut checks = Vec::new();
    for entry in walk(&home.path().join("results"))? {
        let text = fs::read_to_string(&entry)?;
        if let Ok(Value::Array(more)) = serde_json::from_str(&text) {
            checks.extend(more);
        }
    }
    Ok(checks)
}

fn walk(directory: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(walk(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    Ok(found)
}

#[tokio::test]
async fn authorization_server() -> Result<()> {
    let portico = Place::new()?.declared("", SERVER, &[]).await?;
    let resource = portico.mcp("demo");
    for version in VERSIONS {
        // Without a resource, the person picks the server.
        for resource in [None, Some(&*resource)] {
            let checks = run(&portico, version, resource).await?;
            let failed: Vec<_> = checks.iter().filter(|check| check["status"] == "FAILURE").collect();
            ensure!(failed.is_empty(), "{version}: {failed:#?}");
            let passed = checks.iter().filter(|check| check["status"] == "SUCCESS").count();
            ensure!(passed >= 2, "{version}: only {passed} checks: {checks:#?}");
        }
    }
    Ok(())
}

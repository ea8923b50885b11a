//! WebDriver servers. Browsers that their sessions leave behind end with them.

use std::{net::TcpStream, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{Port, Service, command::must, host};

/// The version that the end-to-end tests were tried with.
const GECKODRIVER: &str = "0.37.1";
/// Where Debian has the browser that drives WebKit, below the directory of its architecture.
const MINI_BROWSER: &str = "webkit2gtk-4.1/MiniBrowser";

/// One for Chromium, with its URL.
pub fn chromedriver() -> Result<(Service, String)> {
    start("chromedriver", |port| vec!["chromedriver".into(), format!("--port={port}")])
}

/// One for Firefox, with its URL.
pub fn geckodriver() -> Result<(Service, String)> {
    let program = geckodriver_program().context("geckodriver is not installed")?.display().to_string();
    start("geckodriver", |port| vec![program, "--port".into(), port.to_string()])
}

/// One for WebKit, with its URL. It has one session at a time, and needs a screen: one that nobody sees.
pub fn webkitdriver() -> Result<(Service, String)> {
    // The port is free, so is the screen of that number. Without what is switched off it asks for a graphics card
    // and for user namespaces, which containers have not.
    let script = "Xvfb \":$0\" -screen 0 1200x900x24 -nolisten tcp & \
                  until [ -S \"/tmp/.X11-unix/X$0\" ]; do sleep 0.05; done; \
                  export DISPLAY=\":$0\" XDG_RUNTIME_DIR=\"$HOME\" LIBGL_ALWAYS_SOFTWARE=1 \
                  WEBKIT_DISABLE_COMPOSITING_MODE=1 WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS=1; \
                  exec WebKitWebDriver --port=\"$0\"";
    start("WebKitWebDriver", |port| vec!["sh".into(), "-c".into(), script.into(), port.to_string()])
}

fn start(name: &'static str, command: impl FnOnce(u16) -> Vec<String>) -> Result<(Service, String)> {
    let home = tempfile::Builder::new().prefix("webdriver").tempdir_in("/tmp")?;
    let port = Port::free()?;
    let mut server = Command::new("env");
    server.arg(format!("HOME={}", home.path().display())).args(command(port.number()));
    let service =
        Service::start(name, home, "TERM", &server)?.await_ready(|| TcpStream::connect(port.address()).is_ok())?;
    Ok((service, format!("http://{}", port.address())))
}

/// Where geckodriver is, on the path or in the cache.
pub(crate) fn geckodriver_program() -> Option<PathBuf> {
    let cached = || Some(host::cache().ok()?.join("geckodriver/bin/geckodriver"));
    host::program("geckodriver").or_else(|| cached().filter(|program| program.is_file()))
}

/// Builds it: Debian 12 has none.
pub(crate) fn build_geckodriver() -> Result<()> {
    let root = host::cache()?.join("geckodriver");
    let arguments = ["install", "--locked", "--quiet", "geckodriver", "--version", GECKODRIVER, "--root"];
    must(Command::new("cargo").args(arguments).arg(root))
}

/// The browser that WebKitWebDriver drives.
pub(crate) fn mini_browser() -> Option<PathBuf> {
    let architecture = std::env::consts::ARCH;
    let program = PathBuf::from(format!("/usr/lib/{architecture}-linux-gnu")).join(MINI_BROWSER);
    program.is_file().then_some(program)
}

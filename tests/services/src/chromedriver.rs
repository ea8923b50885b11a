use std::{net::TcpStream, process::Command};

use anyhow::Result;

use crate::{Port, Service};

/// A WebDriver server, with its URL. Browsers that its sessions leave behind end with it.
pub fn chromedriver() -> Result<(Service, String)> {
    let home = tempfile::Builder::new().prefix("chrome").tempdir_in("/tmp")?;
    let port = Port::free()?;
    let mut server = Command::new("env");
    server.arg(format!("HOME={}", home.path().display())).arg("chromedriver").arg(format!("--port={}", port.number()));
    let service = Service::start("chromedriver", home, "TERM", &server)?
        .await_ready(|| TcpStream::connect(port.address()).is_ok())?;
    Ok((service, format!("http://{}", port.address())))
}

//! Real servers for tests and developer commands: Postgres, Redis, Valkey, a WebDriver.
//!
//! Each listens on a free loopback port, keeps its files below a directory of its own in `/tmp`, and stops
//! when its value is dropped, even when the process that started it was killed. They can be killed, frozen
//! and started again on the same port and data; [`Cut`] is a network that can fail. Everything here blocks,
//! and needs neither a runtime nor a client library.
//!
//! Nothing is installed by starting a server: [`install`] does that, for `cargo xtask`.

mod caddy;
mod command;
mod cut;
mod debian;
mod host;
mod port;
mod postgres;
mod processes;
mod redis;
mod service;
mod unpacked;
mod valkey;
mod webdriver;

pub use crate::{
    caddy::caddy_program,
    command::{answer, must, passes},
    cut::Cut,
    debian::{
        CADDY, CHROMEDRIVER, CHROMIUM, DOCKER_COMPOSE, FIREFOX, GECKODRIVER, NGINX, POSTGRES, PYTHON, Package, REDIS,
        SHELLCHECK, VALKEY, WEBKIT, WRK, XVFB, install, nginx_program, postgres_programs,
    },
    host::{cache, program},
    port::Port,
    postgres::{Durability, Postgres},
    redis::{Cluster, Redis, Sentinel},
    service::Service,
    valkey::Valkey,
    webdriver::{chromedriver, geckodriver, webkitdriver},
};

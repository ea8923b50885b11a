//! What the tests share: identity providers, and the application without a socket.

mod answer;
mod app;
mod browser;
mod client;
pub mod idp;
mod live;
mod outage;
mod servers;
mod site;

pub use crate::{
    answer::Answer,
    app::{ORIGIN, TestApp, World},
    browser::Browser,
    client::{Client, REDIRECT, Tokens, VERIFIER, code_in, modern},
    live::Live,
    outage::{Outage, Switch},
    servers::{Database, Prefix, server},
    site::Site,
};

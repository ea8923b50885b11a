//! What the tests share: identity providers, and the application without a socket.

mod answer;
mod app;
mod browser;
mod client;
mod drawn;
pub mod idp;
mod live;
mod needles;
pub mod observer;
mod outage;
mod servers;
mod site;

pub use crate::{
    answer::Answer,
    app::{ORIGIN, TestApp, World},
    browser::Browser,
    client::{Client, REDIRECT, Tokens, VERIFIER, code_in, modern},
    drawn::Drawn,
    live::Live,
    needles::{Needles, hex},
    outage::{Outage, Switch},
    servers::{Database, Places, Prefix, server},
    site::Site,
};

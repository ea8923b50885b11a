//! Sign-in, sessions, the authorization server and the guard in front of resources: a module per step of
//! the protocol.
//!
//! Invariants:
//! - Nothing is redirected to a client before a person consented in this browser.
//! - What is single use and mints something durable is consumed in the transaction that mints it.
//! - An access token is for one resource, one tenant and one server, and is checked against all three.
//! - [`Guard`] does no I/O.

mod access;
mod admission;
mod authorize;
mod authorized;
#[cfg(test)]
mod bench;
mod client;
mod collections;
mod config;
mod connect;
mod consent;
mod cors;
mod document;
mod documents;
mod flow;
mod follow;
mod grants;
mod guard;
mod issuer;
mod keys;
mod leave;
mod own_clients;
mod pages;
mod parts;
mod refusal;
mod register;
mod routes;
mod session;
mod signin;
mod tend;
mod token;
#[cfg(test)]
mod trial;
mod uses;
mod watch;

pub use crate::{
    authorized::Authorized,
    collections::{COLLECTIONS, SESSIONS},
    config::{AuthConfig, DocumentRules, Lifetimes, RegistrationLimits},
    connect::Probe,
    guard::Guard,
    issuer::IssuerMode,
    keys::{ANNOUNCED, KeyRotation, KeyRules, RotatedKey, SigningAlgorithm},
    own_clients::{InvalidClient, NewClient},
    parts::{Auth, AuthError, AuthParts},
    routes::{pages, plain_pages, routes},
    session::{Browser, SignedIn},
    signin::{Offered, Setup, SetupLink, login_path},
    watch::Watch,
};

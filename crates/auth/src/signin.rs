//! The pages of signing in and out, and of set-up.
//!
//! Invariants:
//! - What is wrong about a sign-in is never said: one message for every reason.
//! - After sign-in a browser goes to a path of this site and nowhere else.
//! - `GET` changes nothing here.

mod attempts;
mod login;
mod logout;
mod return_path;
mod setup;

use axum::{Router, routing::get};

pub(crate) use self::{attempts::Attempts, return_path::ReturnPath, setup::LINKS};
pub use self::{
    return_path::login_path,
    setup::{Offered, Setup, SetupLink},
};
use crate::Auth;

/// `/login`, `/logout` and `/setup`.
pub(crate) fn routes() -> Router<Auth> {
    Router::new()
        .route(login::PATH, get(login::get).post(login::post))
        .route(login::CONNECTION_PATH, get(login::connection))
        .route(logout::PATH, get(logout::get).post(logout::post))
        .route(setup::PATH, get(setup::get).post(setup::post))
}

#[cfg(test)]
mod tests;

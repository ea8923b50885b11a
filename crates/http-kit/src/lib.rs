//! What every HTTP surface shares: problems, origins, cookies, CSRF tokens, the headers of pages, request
//! ids, the client's address, throttling, bounded log lines, strict form fields, the guarded outbound client.
//!
//! Invariants:
//! - Public URLs come from [`Origins`], which configuration fixes, never from `Host` or `X-Forwarded-*`.
//! - An answer of status 500 or more tells its caller nothing but that; the log has the cause, once.
//! - No cookie is ever set without `HttpOnly`, `SameSite=Lax` and `Path=/`.

// Shared templates name this crate by its name, from inside it as well.
extern crate self as http_kit;

mod budget;
mod client_address;
pub mod cookies;
mod csrf;
mod fields;
mod origins;
pub mod outbound;
mod page_headers;
mod problem;
mod request_id;
mod same_origin;
mod seldom;
pub mod stylesheet;
mod throttle;

pub use crate::{
    budget::{BUDGETS, Budget, Spent, WhenAway},
    client_address::ClientAddress,
    csrf::Csrf,
    fields::{Fields, InvalidFields},
    origins::{InvalidOrigin, Origins},
    page_headers::page_headers,
    problem::{AWAY, Problem, problem_pages, put_off},
    request_id::{RequestIds, request_id},
    same_origin::same_origin_guard,
    seldom::Seldom,
    throttle::{Limit, Throttle},
};

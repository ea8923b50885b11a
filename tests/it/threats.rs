//! The threats to an authorization server, each with the tests that prove the defence.
//!
//! A test is `tNN_what_holds`, its doc comment begins with `Threat NN: `, and it is in the file of its group; a few
//! that need real servers or browsers are in `tests/backends` and `tests/e2e` under the same kind of name. What is
//! here is held against the register ([`register`]) and written into `docs/security.md`:
//!
//! ```text
//! TEST_UPDATE=1 cargo nextest run --workspace -E 'test(threats::complete)'
//! ```

mod addresses;
mod codes;
mod complete;
mod consent;
pub(crate) mod document_host;
mod documents;
mod exposure;
mod hub;
mod later;
mod machines;
mod outbound;
mod redirects;
mod refresh;
mod register;
mod registration;
mod sign_in;
mod tokens;

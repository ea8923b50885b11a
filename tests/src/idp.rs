//! Identity providers for tests: each listens on a loopback port and behaves like the one it is named
//! after, down to the quirks that its documentation states or its users have met.
//!
//! People sign in with a page that has a button per account, so that a browser can click and a test
//! without one can post `account=<subject>`. A cookie remembers who signed in: the next time, the real
//! ones skip their own pages, and so do these.

mod desk;
mod github;
mod google;
mod host;
mod page;
mod signer;
#[cfg(test)]
mod tests;
mod visit;

pub use desk::{Account, Registration};
pub use github::GithubIdp;
pub use google::{Fault, GoogleIdp};
pub use visit::choose;

//! What the tests share: identity providers, and the application without a socket.

pub mod idp;

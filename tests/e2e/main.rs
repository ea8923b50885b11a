//! The whole thing: the real binary, real clients unchanged, real servers, a real browser.
//!
//! Run by `cargo xtask e2e`, which installs and starts what these tests need and says where it is.
//! Each test has a Portico, a browser session and processes of its own.

mod browser;
mod client;
mod clients;
mod conformance;
mod console;
mod crash;
mod engines;
mod portico;
mod process;
mod settings;
mod shim;
mod signin;
mod upstream;

//! What `docker-compose.yml`, `deploy/` and `docs/deployment.md` promise, as far as it can be tried without a
//! container engine: what Compose makes of its file, what the scripts do, and the real programs with exactly the
//! settings of the files.
//!
//! Run by `cargo xtask test`, which installs what these need.

mod compose;
mod documents;
mod image;
mod kubernetes;
mod prepare;

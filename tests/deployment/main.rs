//! What `docker-compose.yml`, `deploy/` and `docs/deployment.md` promise, as far as it can be tried without a
//! container engine: what Compose makes of its file, what the scripts do, and the real programs with exactly the
//! settings of the files.
//!
//! Run by `cargo xtask backends`, which builds the binary; `cargo xtask test` installs what these need.

mod compose;
mod documents;
mod front;
mod image;
mod kubernetes;
mod nginx;
mod prepare;
mod program;
mod serve;
mod visitor;

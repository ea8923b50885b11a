//! The binary `portico`.

use std::process::ExitCode;

/// Half the cost of the system's allocator per request; huge pages are off (`no_thp`), which would keep an
/// idle process at several times its size.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    server::cli::run()
}

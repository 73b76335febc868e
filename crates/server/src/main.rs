//! The `bastide` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::hook::run().unwrap_or_else(server::cli::run)
}

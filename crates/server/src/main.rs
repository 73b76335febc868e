//! The `bastide` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::hook::run().or_else(server::cli::runner::hidden).unwrap_or_else(server::cli::run)
}

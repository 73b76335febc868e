//! Developer commands: `cargo xtask test`, `tidy`, `prove`, `portable`, `fuzz` and `bench`.
//!
//! What is here: what must hold before a change lands, run in the one right order, and measurements beside known
//! baselines. What is not: anything that the program itself needs; it is built and run without this crate.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for developers speaks to its terminal"
)]

mod bench;
mod fuzz;
mod packages;
mod portable;
mod postgres;
mod process;
mod prove;
mod screenshots;
mod test;
mod test_count;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

/// A result whose error is a sentence for the developer.
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const HELP: &str = "\
Developer commands of Bastide.

Usage: cargo xtask <COMMAND>

Commands:
  test [--fast]      everything that must hold before a change lands; --fast leaves out PostgreSQL and the proofs
  tidy               layers, code map, migrations, sizes, words and documents
  prove              the invariants of the access model, by the solver
  portable           whether the runner compiles for macOS and Windows, where it is not tested
  fuzz [TARGET]      the fuzz targets on stable Rust; --rounds N inputs each (200000)
  screenshots [NAME] pictures of every page, light and dark, at two widths, and what axe-core says of them
  bench [NAME…]      measurements beside known baselines; --list names them; writes docs/benchmarks.md
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("--help", arguments.as_slice()),
    };
    if matches!(command, "--help" | "-h" | "help") || rest.iter().any(|a| a == "--help" || a == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let outcome = match command {
        "test" => test::run(rest),
        "tidy" => tidy::run(rest),
        "prove" => prove::run(rest),
        "portable" => portable::run(rest),
        "fuzz" => fuzz::run(rest),
        "screenshots" => screenshots::run(rest),
        "bench" => bench::run(rest),
        other => Err(format!("no command `{other}`: see `cargo xtask --help`").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = error.to_string();
            if !error.is_empty() {
                eprintln!("xtask: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The top of the source tree.
fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// Refuses arguments that a command does not know, so that a mistyped one is not taken for granted.
fn only(arguments: &[String], known: &[&str]) -> Result<()> {
    match arguments.iter().find(|a| !known.contains(&a.as_str())) {
        Some(other) => Err(format!("no such argument: `{other}`; see `cargo xtask --help`").into()),
        None => Ok(()),
    }
}

//! `cargo xtask fuzz`: the fuzz targets for longer than the tests run them, on stable Rust.

use crate::{Result, process};

/// Runs all targets, or those whose names contain the word given.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut rounds = "200000".to_owned();
    let mut target = None;
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        if argument == "--rounds" {
            let number = left.next().filter(|n| n.parse::<u64>().is_ok());
            rounds = number.ok_or("`--rounds` needs a number")?.clone();
        } else if argument.starts_with('-') || target.is_some() {
            return Err(format!("no such argument: `{argument}`; see `cargo xtask --help`").into());
        } else {
            target = Some(argument);
        }
    }
    let mut fuzz = process::command("cargo", &["test", "--package", "fuzz", "--test", "brief"]);
    fuzz.args(target).env("BASTIDE_FUZZ_ROUNDS", rounds);
    process::run(&mut fuzz)
}

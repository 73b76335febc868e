//! `cargo xtask prove`: the invariants of the access model, each proved over all requests by the solver.

use crate::{Result, packages, process};

/// Runs the proofs and shows what they say.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::only(arguments, &[])?;
    packages::for_tests()?;
    process::run(&mut process::command("cargo", &["test", "--package", "prover", "--", "--nocapture"]))
}

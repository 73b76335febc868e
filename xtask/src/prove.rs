//! `cargo xtask prove`: the invariants of the access model, each proved over all requests by the solver.

use crate::{Result, packages, process};

/// Runs the proofs and shows what they say.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    crate::only(arguments, &[])?;
    packages::for_tests()?;
    let mut proofs = process::command("cargo", &["test", "--package", "prover", "--", "--nocapture"]);
    process::run(proofs.envs(solver()))
}

/// How the proofs find the solver, and that a missing one is a failure rather than a reason to skip them.
pub(crate) fn solver() -> Vec<(&'static str, String)> {
    let mut variables = vec![("BASTIDE_REQUIRE_SOLVER", "1".to_owned())];
    if let Some(solver) = process::found("cvc5") {
        variables.push(("CVC5", solver.display().to_string()));
    }
    variables
}

//! Starting the solver.

use std::io;
use std::path::Path;

use cedar_policy_symcc::CedarSymCompiler;
use cedar_policy_symcc::solver::{LocalSolver, SolverError};
use model::{Error, Result};
use tokio::process::Command;

/// A running solver, which ends with this value.
pub(crate) type Solver = CedarSymCompiler<LocalSolver>;

/// The longest that one question may take, in milliseconds. The slowest takes a hundredth of it.
const LIMIT: &str = "--tlimit-per=30000";

/// Starts the program at `path`, or the one of that name on the search path.
pub(crate) fn start(path: &Path) -> Result<Solver> {
    let mut command = Command::new(path);
    command.args(["--lang", "smt", LIMIT]).kill_on_drop(true);
    let solver = LocalSolver::from_command(&mut command).map_err(|error| match error {
        SolverError::Io(error) if error.kind() == io::ErrorKind::NotFound => Error::invalid(format!(
            "the solver `{}` is not installed: install cvc5 (Debian: `apt install cvc5`)",
            path.display()
        )),
        error => Error::internal(error),
    })?;
    CedarSymCompiler::new(solver).map_err(Error::internal)
}

//! `bastide runner`: the agent that runs steps of pipelines, on this machine or any other. It needs no installation.

use std::process::ExitCode;

use model::{Error, Result};
use runner::command::Command;

use super::Verdict;
use super::output::Output;

/// The hidden commands of the runner, by which this program does its part behind a step's walls.
#[must_use]
pub fn hidden() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (first, rest) = arguments.split_first()?;
    if first == "runner" { runner::hidden(rest) } else { None }
}

/// Runs the command.
pub(super) async fn run(command: Command) -> Result<Verdict> {
    let program = std::env::current_exe().map_err(Error::internal)?;
    let told = command.carry_out(vec![program.into(), "runner".into()]).await?;
    if let Some(told) = told {
        Output::new().line(format_args!("{told}"))?;
    }
    Ok(Verdict::Good)
}

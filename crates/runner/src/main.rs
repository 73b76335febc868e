//! `bastide-runner`: the runner alone, for machines that run steps and nothing else. What it does is what `bastide runner` does.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use model::{Error, Result};
use runner::command::Command;

/// Runs the steps of pipelines of a Bastide server.
#[derive(Parser)]
#[command(name = "bastide-runner", version, about, max_term_width = 100)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(ended) = runner::hidden(&arguments) {
        return ended;
    }
    let line = Line::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Error::internal).and_then(|runtime| {
        let ended = runtime.block_on(carry_out(line.command));
        // What still runs after a second signal is not waited for.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to read it.
            let _ = writeln!(std::io::stderr(), "bastide-runner: {error}");
            ExitCode::from(2)
        }
    }
}

async fn carry_out(command: Command) -> Result<()> {
    let program = std::env::current_exe().map_err(Error::internal)?;
    let told = command.carry_out(vec![program.into()]).await?;
    if let Some(told) = told {
        writeln!(std::io::stdout(), "{told}").map_err(Error::internal)?;
    }
    Ok(())
}

//! The command line: one file per command. Commands reach an installation through one [`client`]; results go to
//! standard output, everything else to standard error.

mod access;
mod admin;
mod audit;
mod aws;
mod aws_key;
mod break_glass;
mod client;
mod demo;
mod doctor;
pub mod hook;
mod identity_token;
mod installation;
mod mail;
mod output;
mod own_runner;
mod pipeline;
pub mod runner;
mod serve;
mod sign_in;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use model::{Error, Result};

pub use client::{Answer, Client};
pub use installation::{Config, Installation, Lock, Place};
pub use serve::{Running, Serve, start};

/// A self-hosted home for Git repositories in which every access is scoped, explained and recorded.
#[derive(Parser)]
#[command(name = "bastide", version, about, max_term_width = 100)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// See the main job done, step by step, on a temporary instance
    Demo(demo::Demo),
    /// Run the server
    Serve(serve::Serve),
    /// Make the first administrator; manage users and tokens
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Ask who may do what, and why; prove the access model
    #[command(subcommand)]
    Access(access::Access),
    /// Verify the audit trail, or export it
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Check a `bitbucket-pipelines.yml`, and see what it would run
    #[command(subcommand)]
    Pipeline(pipeline::Pipeline),
    /// Run the steps of pipelines, on this machine or any other
    #[command(subcommand)]
    Runner(::runner::command::Command),
    /// Give steps of pipelines roles at Amazon
    #[command(subcommand)]
    Aws(aws::Aws),
    /// Look whether everything is as it should be
    Doctor(doctor::Doctor),
}

/// Whether what was asked about is as it should be: decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
}

/// Runs the command that the program's arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let line = Line::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::failure(&Error::internal(error));
            return ExitCode::from(2);
        }
    };
    let ended = runtime.block_on(carry_out(line.command));
    // What still runs after a second signal is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Err(error) => {
            output::failure(&error);
            ExitCode::from(2)
        }
    }
}

async fn carry_out(command: Command) -> Result<Verdict> {
    match command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::Serve(serve) => serve::run(serve).await,
        Command::Admin(admin) => admin::run(admin).await,
        Command::Access(access) => access::run(access).await,
        Command::Audit(audit) => audit::run(audit).await,
        Command::Pipeline(pipeline) => pipeline::run(pipeline),
        Command::Runner(runner) => runner::run(runner).await,
        Command::Aws(aws) => aws::run(aws).await,
        Command::Doctor(doctor) => doctor::run(doctor).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Line::command().debug_assert();
    }
}

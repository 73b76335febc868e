//! `bastide runner`: the agent that runs steps of pipelines, on this machine or any other. It needs no installation.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use model::{Clock, Error, Result, Secret};
use runner::{Registering, Settings};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::Verdict;
use super::installation::secret_file;
use super::output::Output;
use super::serve::Signals;

/// The variable that may hold a registration code.
const CODE: &str = "BASTIDE_RUNNER_CODE";

/// The commands.
#[derive(Subcommand)]
pub(super) enum Runner {
    /// Exchange a registration code for a runner's credential, and keep that in a folder
    Register(Register),
    /// Run steps until a signal; the steps that run then come to their end
    Run(Run),
}

/// The flags of `register`.
#[derive(Args)]
pub(super) struct Register {
    /// The server's address
    #[arg(long)]
    url: String,
    /// The runner's folder; made where it is not there
    #[arg(long)]
    directory: PathBuf,
    /// A file with the code, `-` for standard input; without it, the variable BASTIDE_RUNNER_CODE, then standard input
    #[arg(long)]
    code_file: Option<PathBuf>,
    /// A file of certificates, in PEM, that are trusted beside the system's
    #[arg(long)]
    trust: Option<PathBuf>,
    /// Replace the runner that is registered in the folder
    #[arg(long)]
    replace: bool,
}

/// The flags of `run`.
#[derive(Args)]
pub(super) struct Run {
    /// The runner's folder
    #[arg(long)]
    directory: PathBuf,
    /// How many steps may run at once
    #[arg(long, default_value_t = 1)]
    max_steps: u32,
    /// End after one step
    #[arg(long)]
    once: bool,
    /// Take no steps that run in an image
    #[arg(long)]
    no_containers: bool,
    /// Take no steps that run without an image
    #[arg(long)]
    no_shell: bool,
    /// A folder or file of this machine that steps without an image may read too, as often as needed
    #[arg(long, value_name = "PATH")]
    expose: Vec<PathBuf>,
    /// How much a step may have on the disk, in megabytes
    #[arg(long, default_value_t = 20 * 1024)]
    disk: u64,
    /// How many processes a step may have
    #[arg(long, default_value_t = 4096)]
    processes: u32,
    /// What is logged: a level, or a filter by target
    #[arg(long, default_value = "info")]
    log: String,
}

/// The hidden commands of the runner, by which this program does its part behind a step's walls.
#[must_use]
pub fn hidden() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (first, rest) = arguments.split_first()?;
    if first == "runner" { runner::hidden(rest) } else { None }
}

/// Runs the command.
pub(super) async fn run(command: Runner) -> Result<Verdict> {
    match command {
        Runner::Register(register) => register.carry_out().await,
        Runner::Run(run) => run.carry_out().await,
    }
}

impl Register {
    async fn carry_out(self) -> Result<Verdict> {
        let code = self.code()?;
        let registering = Registering {
            url: self.url,
            directory: self.directory,
            code,
            trusted: self.trust,
            replace: self.replace,
        };
        let name = runner::register(registering, &Clock::system()).await?;
        Output::new().line(format_args!("registered as {name}"))?;
        Ok(Verdict::Good)
    }

    /// The code. Never an argument: those can be read by every user of the machine.
    fn code(&self) -> Result<Secret> {
        if let Some(file) = &self.code_file {
            return secret_file(file);
        }
        if let Ok(code) = std::env::var(CODE) {
            return Ok(Secret::new(code.trim().to_owned()));
        }
        let mut text = String::new();
        io::stdin().take(4096).read_to_string(&mut text).map_err(Error::internal)?;
        Ok(Secret::new(text.trim().to_owned()))
    }
}

impl Run {
    async fn carry_out(self) -> Result<Verdict> {
        let filter = EnvFilter::try_new(&self.log)
            .map_err(|error| Error::invalid(format!("`{}` is no log filter: {error}", self.log)))?;
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
        let program = std::env::current_exe().map_err(Error::internal)?;
        let mut settings = Settings::new(self.directory, vec![program.into(), "runner".into()]);
        settings.steps = self.max_steps;
        settings.once = self.once;
        settings.containers = !self.no_containers;
        settings.shell = !self.no_shell;
        settings.exposed = self.expose;
        settings.disk = self.disk.saturating_mul(1024 * 1024);
        settings.processes = self.processes;
        let (end, shutdown) = watch::channel(false);
        let mut signals = Signals::new()?;
        let mut running = std::pin::pin!(runner::run(settings, shutdown));
        tokio::select! {
            ended = &mut running => return ended.map(|()| Verdict::Good),
            () = signals.next() => {}
        }
        // Nobody may be left to hear it.
        let _ = end.send(true);
        tracing::info!("stopping: steps that run come to their end; a second signal does not wait for them");
        tokio::select! {
            ended = &mut running => ended.map(|()| Verdict::Good),
            () = signals.next() => Err(Error::Internal("stopped without waiting for steps that ran".to_owned())),
        }
    }
}

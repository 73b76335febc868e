//! The commands `register` and `run`, as the program `bastide` and the small one of this crate have them.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::{Clock, Error, Result, Secret};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::{Registering, Settings, Signals};

/// The variable that may hold a registration code.
const CODE: &str = "BASTIDE_RUNNER_CODE";
/// How long a code may be, in bytes.
const LONGEST_CODE: u64 = 4096;

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Exchange a registration code for a runner's credential, and keep that in a folder
    Register(Register),
    /// Run steps until a signal; the steps that run then come to their end
    Run(Run),
}

/// The flags of `register`.
#[derive(Args)]
pub struct Register {
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
pub struct Run {
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
    /// Give steps in images that ask for the service `docker` a daemon of their own: this image, such as docker:dind, run
    /// with --privileged. Whoever pushes is root on the machine then
    #[arg(long, value_name = "IMAGE")]
    docker_image: Option<String>,
    /// Take no steps that run without an image
    #[arg(long)]
    no_shell: bool,
    /// Take steps that run without an image only where there is a sandbox for them
    #[arg(long)]
    sandboxed: bool,
    /// A folder or file of this machine that steps without an image may read too, as often as needed
    #[arg(long, value_name = "PATH")]
    expose: Vec<PathBuf>,
    /// A folder of this machine that steps without an image must not see, as often as needed
    #[arg(long, value_name = "PATH")]
    hide: Vec<PathBuf>,
    /// How much a step may have on the disk, in its folder and its containers, in megabytes
    #[arg(long, default_value_t = 20 * 1024)]
    disk: u64,
    /// How many processes a step may have
    #[arg(long, default_value_t = 4096)]
    processes: u32,
    /// What is logged: a level, or a filter by target
    #[arg(long, default_value = "info")]
    log: String,
}

impl Command {
    /// Carries it out. `program` does what [`crate::hidden`] does. Gives a line for who has typed the command, if there is
    /// something to tell.
    ///
    /// # Errors
    /// When a runner cannot be registered, or cannot go on.
    pub async fn carry_out(self, program: Vec<OsString>) -> Result<Option<String>> {
        match self {
            Self::Register(register) => register.carry_out().await.map(Some),
            Self::Run(run) => run.carry_out(program).await.map(|()| None),
        }
    }
}

impl Register {
    async fn carry_out(self) -> Result<String> {
        let code = self.code()?;
        let registering = Registering {
            url: self.url,
            directory: self.directory,
            code,
            trusted: self.trust,
            replace: self.replace,
        };
        let name = crate::register(registering, &Clock::system()).await?;
        Ok(format!("registered as {name}"))
    }

    /// The code. Never an argument: those can be read by every user of the machine.
    fn code(&self) -> Result<Secret> {
        let read = |from: &mut dyn Read| {
            let mut text = String::new();
            from.take(LONGEST_CODE).read_to_string(&mut text).map(|_| text)
        };
        let text = match (&self.code_file, std::env::var(CODE)) {
            (Some(file), _) if file.as_os_str() != "-" => std::fs::File::open(file)
                .and_then(|mut file| read(&mut file))
                .map_err(|error| Error::invalid(format!("cannot read `{}`: {error}", file.display())))?,
            (None, Ok(code)) => code,
            _ => read(&mut io::stdin()).map_err(Error::internal)?,
        };
        Ok(Secret::new(text.trim().to_owned()))
    }
}

impl Run {
    async fn carry_out(self, program: Vec<OsString>) -> Result<()> {
        // By this command alone: the other ends by a signal as programs do.
        let mut signals = Signals::new()?;
        let filter = EnvFilter::try_new(&self.log)
            .map_err(|error| Error::invalid(format!("`{}` is no log filter: {error}", self.log)))?;
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
        let mut settings = Settings::new(self.directory, program);
        settings.steps = self.max_steps;
        settings.once = self.once;
        settings.containers = !self.no_containers;
        settings.docker_image = self.docker_image;
        settings.shell = !self.no_shell;
        settings.sandboxed = self.sandboxed;
        settings.exposed = self.expose;
        settings.hidden = self.hide;
        settings.disk = self.disk.saturating_mul(1024 * 1024);
        settings.processes = self.processes;
        let (end, shutdown) = watch::channel(false);
        let mut running = std::pin::pin!(crate::run(settings, shutdown));
        tokio::select! {
            ended = &mut running => return ended,
            () = signals.next() => {}
        }
        // Nobody may be left to hear it.
        let _ = end.send(true);
        tracing::info!("stopping: steps that run come to their end; a second signal does not wait for them");
        tokio::select! {
            ended = &mut running => ended,
            () = signals.next() => Err(Error::Internal("stopped without waiting for steps that ran".to_owned())),
        }
    }
}

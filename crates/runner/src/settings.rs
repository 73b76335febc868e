//! How an agent is set up.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use model::{Clock, Random};
use pipeline::protocol::LOG_LIMIT;

/// How an agent is set up. [`Settings::new`] has what holds where nothing else is said.
#[derive(Clone)]
pub struct Settings {
    /// The folder of a runner that is registered.
    pub directory: PathBuf,
    /// How many steps may run at once.
    pub steps: u32,
    /// Whether it ends after one step.
    pub once: bool,
    /// Whether it takes steps that run without an image.
    pub shell: bool,
    /// Whether it takes steps that run without an image only where they have a sandbox.
    pub sandboxed: bool,
    /// Whether it takes steps that run in an image.
    pub containers: bool,
    /// The image of the Docker daemon that a step in an image gets where it asks for one: a container with every privilege.
    /// Without an image, no step gets one.
    pub docker_image: Option<String>,
    /// A program and its first arguments that does what [`crate::hidden`] does.
    pub program: Vec<OsString>,
    /// Folders and files of the machine that steps without an image see too, read-only.
    pub exposed: Vec<PathBuf>,
    /// Folders of the machine that steps without an image do not see.
    pub hidden: Vec<PathBuf>,
    /// How much a step may have on the disk, in its folder and its containers, in bytes.
    pub disk: u64,
    /// How many processes a step may have.
    pub processes: u32,
    /// How much a log holds, in bytes.
    pub log_limit: u64,
    /// How often a lease is renewed; what suits the lease where nothing is said.
    pub heartbeat: Option<Duration>,
    /// How long a minute of a step's time is.
    pub minute: Duration,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
}

impl Settings {
    /// For the runner of a folder.
    #[must_use]
    pub fn new(directory: PathBuf, program: Vec<OsString>) -> Self {
        Self {
            directory,
            steps: 1,
            once: false,
            shell: true,
            sandboxed: false,
            containers: true,
            docker_image: None,
            program,
            exposed: Vec::new(),
            hidden: Vec::new(),
            disk: 20 * 1024 * 1024 * 1024,
            processes: 4096,
            log_limit: LOG_LIMIT,
            heartbeat: None,
            minute: Duration::from_secs(60),
            clock: Clock::system(),
            random: Random::system(),
        }
    }

    /// How one of the hidden commands is called.
    pub(crate) fn helper(&self, command: &str) -> Vec<OsString> {
        let mut line = self.program.clone();
        if !line.is_empty() {
            line.push(command.into());
        }
        line
    }
}

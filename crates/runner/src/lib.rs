//! The agent that runs the steps of pipelines: claims them from a server, keeps them apart from everything else, and
//! tells what came of them.
//!
//! Whoever can push decides what a step does, so all that a step does is hostile: to the machine, to other steps, and to
//! the agent itself, which has the runner's credential. [`register`] makes a folder a runner's; [`run`] is the agent.
//! What the agent and the server say to each other stands in [`pipeline::protocol`].
//!
//! What is not here: which step runs where and when, and what it may read. The server decides that; this crate knows no
//! database and no use case. On macOS and Windows steps run without images and without walls; there the compiler alone has
//! looked at it (`cargo xtask portable`).

mod agent;
mod archive;
mod aws;
mod checkout;
pub mod command;
#[cfg(target_os = "linux")]
mod container;
#[cfg(not(target_os = "linux"))]
#[path = "container/absent.rs"]
mod container;
#[cfg(target_os = "linux")]
mod enter;
#[cfg(target_os = "linux")]
mod forward;
mod keep;
mod lease;
mod limits;
mod local;
mod log;
mod process;
#[cfg(target_os = "linux")]
mod reach;
mod registration;
mod sandbox;
mod sarif;
mod script;
mod secrets;
mod server;
mod settings;
mod ssh;
mod step;
mod system;
mod test_report;
#[cfg(target_os = "linux")]
mod tied;
mod variables;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

pub use agent::run;
pub use registration::{Registering, enroll, register};
pub use settings::Settings;
pub use system::Signals;

/// The hidden commands, by which the agent's program does its part inside of a step's walls. Nothing when the first
/// argument names none of them.
#[must_use]
#[cfg(target_os = "linux")]
pub fn hidden(arguments: &[OsString]) -> Option<ExitCode> {
    let (command, rest) = arguments.split_first()?;
    match command.to_str()? {
        "sandbox" => Some(enter::enter(rest.iter().cloned())),
        "tied" => Some(tied::tied(rest.iter().cloned())),
        "forward" => Some(forward::forward(rest)),
        "reach" => Some(reach::reach(rest)),
        _ => None,
    }
}

/// There are no walls on other systems, and so nothing to do inside of them.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub fn hidden(_arguments: &[OsString]) -> Option<ExitCode> {
    None
}

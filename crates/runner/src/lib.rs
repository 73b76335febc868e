//! The agent that runs the steps of pipelines: claims them from a server, keeps them apart from everything else, and
//! tells what came of them.
//!
//! Whoever can push decides what a step does, so all that a step does is hostile: to the machine, to other steps, and to
//! the agent itself, which has the runner's credential. [`register`] makes a folder a runner's; [`run`] is the agent.
//! What the agent and the server say to each other stands in [`pipeline::protocol`].
//!
//! What is not here: which step runs where and when, and what it may read. The server decides that; this crate knows no
//! database and no use case. It is built for Linux and macOS; on macOS steps run without walls, and it is untested.

mod agent;
mod archive;
mod checkout;
mod container;
mod enter;
mod forward;
mod keep;
mod lease;
mod limits;
mod local;
mod log;
mod process;
mod registration;
mod sandbox;
mod script;
mod server;
mod settings;
mod step;
mod tied;
mod variables;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

pub use agent::run;
pub use registration::{Registering, register};
pub use settings::Settings;

/// The hidden commands, by which the agent's program does its part inside of a step's walls. Nothing when the first
/// argument names none of them.
#[must_use]
pub fn hidden(arguments: &[OsString]) -> Option<ExitCode> {
    let (command, rest) = arguments.split_first()?;
    match command.to_str()? {
        "sandbox" => Some(enter::enter(rest.iter().cloned())),
        "tied" => Some(tied::tied(rest.iter().cloned())),
        "forward" => Some(forward::forward(rest)),
        _ => None,
    }
}

//! A process of a step: started, its output copied into a log, and ended with all its descendants when the step must end.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::lease::{Ending, Lease};
use crate::log::Log;

/// How long output is waited for after a process has ended: one of its descendants may hold it open.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this status; 128 and the signal where one ended it.
    Exit(i32),
    /// The step had to end.
    Killed(Ending),
}

/// Runs a process to its end, or the step's. Both of its outputs go into the log as they come.
pub(crate) async fn run(command: Command, log: &Log, lease: Lease) -> io::Result<Ended> {
    start(command, log)?.end(lease).await
}

/// A process that runs.
pub(crate) struct Running {
    child: Child,
    output: tokio::task::JoinHandle<()>,
}

/// Starts a process. One pipe takes both outputs, so that they stay in order.
pub(crate) fn start(mut command: Command, log: &Log) -> io::Result<Running> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn()?;
    // The command holds the writing ends; without this the output would never end.
    drop(command);
    let reader = pipe::Receiver::from_owned_fd(reader.into())?;
    let log = log.clone();
    let output = tokio::spawn(async move { log.copy(reader).await });
    Ok(Running { child, output })
}

impl Running {
    /// Waits until the process has ended, without making an end of its output.
    pub(crate) async fn exited(&mut self) {
        let _ = self.child.wait().await;
    }

    /// Waits for the end. A step that must end is killed at once.
    pub(crate) async fn end(mut self, mut lease: Lease) -> io::Result<Ended> {
        let ended = tokio::select! {
            status = self.child.wait() => Ended::Exit(code(status?)),
            ending = lease.ending() => Ended::Killed(ending),
        };
        if let Ended::Killed(_) = ended {
            self.kill().await;
        } else if let Some(group) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let aborted = self.output.abort_handle();
        let draining = async {
            tokio::select! {
                _ = &mut self.output => {}
                () = lease.lost() => {}
            }
        };
        if timeout(LAST_OUTPUT, draining).await.is_err() || !self.output.is_finished() {
            aborted.abort();
        }
        Ok(ended)
    }

    /// Kills the process and its group. What is behind walls dies with the first process in there.
    pub(crate) async fn kill(&mut self) {
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let _ = self.child.start_kill();
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait().await;
    }
}

/// The exit status, as shells tell it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

//! A process of a step: started, its output copied into a log, and ended with all its descendants when the step must end.

use std::io;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::lease::{Ending, Lease};
use crate::log::Log;
use crate::system::{Tree, code, read_end};

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

/// What becomes of a process's descendants when it ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They end: they are the step's.
    Ends,
    /// They stay: an engine's own processes, which containers live by.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "engines are called on Linux alone"))]
    Stays,
}

/// Runs a process to its end, or the step's. Both of its outputs go into the log as they come.
pub(crate) async fn run(command: Command, log: &Log, lease: Lease, rest: Rest) -> io::Result<Ended> {
    start(command, log)?.end(lease, rest).await
}

/// A process that runs.
pub(crate) struct Running {
    child: Child,
    tree: Tree,
    output: tokio::task::JoinHandle<()>,
}

/// Starts a process. One pipe takes both outputs, so that they stay in order.
pub(crate) fn start(mut command: Command, log: &Log) -> io::Result<Running> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds the writing ends; without this the output would never end.
    drop(command);
    let tree = Tree::of(&mut child)?;
    let reader = read_end(reader)?;
    let log = log.clone();
    let output = tokio::spawn(async move { log.copy(reader).await });
    Ok(Running { child, tree, output })
}

impl Running {
    /// Waits until the process has ended, without making an end of its output.
    #[cfg(target_os = "linux")]
    pub(crate) async fn exited(&mut self) {
        let _ = self.child.wait().await;
    }

    /// Waits for the end. A step that must end is killed at once.
    pub(crate) async fn end(mut self, mut lease: Lease, rest: Rest) -> io::Result<Ended> {
        let ended = tokio::select! {
            status = self.child.wait() => Ended::Exit(code(status?)),
            ending = lease.ending() => Ended::Killed(ending),
        };
        match (&ended, rest) {
            (Ended::Killed(_), _) => self.kill().await,
            // Behind walls nothing is left; elsewhere what is left keeps the group's number from being given anew.
            (Ended::Exit(_), Rest::Ends) => self.tree.kill(),
            (Ended::Exit(_), Rest::Stays) => {}
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
        let _ = self.child.start_kill();
        self.tree.kill();
        let _ = self.child.wait().await;
    }
}

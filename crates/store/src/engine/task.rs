//! A closure on its way through a worker thread: run, perhaps again, and answered after the commit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use model::{Error, Result};
use tokio::sync::oneshot;

use super::Connection;

/// Which kind of transaction a task needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sees one state of the data and changes nothing.
    Read,
    /// Serializable; `access` when it also raises the generation of access.
    Write {
        /// Whether it raises the generation.
        access: bool,
    },
    /// Sees the newest committed rows, statement by statement: leases, counters, cursors.
    Keep,
}

/// What is to become of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Commit.
    Commit,
    /// Roll back; the answer is the closure's own error.
    Undo,
    /// Roll back and run again, where that can help.
    Again,
    /// A unique key was taken. Where others write at the same time, a second run lets the closure see the row that
    /// took it and answer in its own words.
    Taken,
    /// The closure panicked: roll back, and do not trust the connection.
    Panicked,
}

/// A closure whose types are forgotten.
pub(crate) trait Work: Send {
    /// The transaction it needs.
    fn mode(&self) -> Mode;
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Runs it once.
    fn run(&mut self, connection: &mut dyn Connection) -> Verdict;
    /// Answers whoever waits: with what the last run gave, or with the error that kept it from being committed.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// What one run gave.
pub(crate) struct Ran<T> {
    pub(crate) result: Result<T>,
    pub(crate) verdict: Verdict,
}

/// A closure, what it gave, and who waits for it.
pub(crate) struct Task<T, F, C> {
    mode: Mode,
    body: F,
    /// Called after a commit and before the answer.
    committed: Option<C>,
    result: Option<Result<T>>,
    verdict: Verdict,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F, C> Task<T, F, C>
where
    T: Send + 'static,
    F: FnMut(&mut dyn Connection) -> Ran<T> + Send + 'static,
    C: FnOnce() + Send + 'static,
{
    /// A task and the end at which its answer arrives.
    pub(crate) fn boxed(mode: Mode, body: F, committed: C) -> (Box<dyn Work>, oneshot::Receiver<Result<T>>) {
        let (answer, receiver) = oneshot::channel();
        let task =
            Self { mode, body, committed: Some(committed), result: None, verdict: Verdict::Undo, answer };
        (Box::new(task), receiver)
    }
}

impl<T, F, C> Work for Task<T, F, C>
where
    T: Send + 'static,
    F: FnMut(&mut dyn Connection) -> Ran<T> + Send + 'static,
    C: FnOnce() + Send + 'static,
{
    fn mode(&self) -> Mode {
        self.mode
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, connection: &mut dyn Connection) -> Verdict {
        let ran = catch_unwind(AssertUnwindSafe(|| (self.body)(connection))).unwrap_or_else(|panic| Ran {
            result: Err(Error::internal(format_args!(
                "a database closure panicked: {}",
                panic_text(&*panic)
            ))),
            verdict: Verdict::Panicked,
        });
        self.result = Some(ran.result);
        self.verdict = ran.verdict;
        ran.verdict
    }

    fn answer(mut self: Box<Self>, committed: Result<()>) {
        let result = match committed {
            Ok(()) => {
                if let (Verdict::Commit, Some(committed)) = (self.verdict, self.committed.take()) {
                    committed();
                }
                self.result.take().unwrap_or_else(|| Err(Error::internal("a database closure was never run")))
            }
            Err(error) => Err(error),
        };
        // Nobody waits when the request was dropped; what was committed stays committed.
        let _ = self.answer.send(result);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

//! Events that go with no write of their own, appended together: whoever comes while one transaction is on its way to
//! the disk waits for the next, with all others who came meanwhile. Each is answered after its commit. For PostgreSQL:
//! SQLite's one writer does the same for every transaction.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{AuditEvent, Result};
use tokio::sync::oneshot;

/// The most events of one transaction.
pub(crate) const MOST: usize = 512;

/// An event, and who waits for it to be on disk.
pub(crate) struct Waiting {
    pub(crate) event: AuditEvent,
    pub(crate) answer: oneshot::Sender<Result<()>>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Whether somebody is at work on the events that wait.
    busy: bool,
}

/// Those who wait.
#[derive(Default)]
pub(crate) struct Recorder {
    state: Mutex<State>,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event. Tells whether nobody is at work, so that the caller has to see to it.
    #[must_use]
    pub(crate) fn push(&self, waiting: Waiting) -> bool {
        let mut state = self.lock();
        state.waiting.push(waiting);
        !std::mem::replace(&mut state.busy, true)
    }

    /// The events for the next transaction, in the order they came. With none left, the work is over.
    pub(crate) fn take(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            state.busy = false;
        }
        let number = state.waiting.len().min(MOST);
        state.waiting.drain(..number).collect()
    }
}

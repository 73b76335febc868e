//! The queue between those who wait and the threads that work.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// More than this many waiting is overload: the next is turned away rather than kept for minutes.
const LIMIT: usize = 10_000;

struct State<W> {
    items: VecDeque<W>,
    closed: bool,
}

/// First in, first out, with an end.
pub(crate) struct Queue<W> {
    state: Mutex<State<W>>,
    ready: Condvar,
}

impl<W> Queue<W> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { items: VecDeque::new(), closed: false }), ready: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item; gives it back when the queue is closed or full.
    pub(crate) fn push(&self, item: W) -> Result<(), W> {
        let mut state = self.lock();
        if state.closed || state.items.len() >= LIMIT {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// The next item; waits for one. `None` when the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<W> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next item, if there is one now.
    pub(crate) fn try_pop(&self) -> Option<W> {
        self.lock().items.pop_front()
    }

    /// No more items; those in it are still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }
}

//! The lease of a step: renewed while the step runs, and the word that it must end.
//!
//! The server gives a step to nobody else before a lease and a margin are over. A runner that could not renew its
//! lease therefore ends the step before that, by its own clock, counted from before the last renewal that was
//! answered. That holds whether the server is gone or only the way to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::server::{Attempt, CallError, Server};

/// Why a step must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Another may run it soon: nothing of it may go on, and nothing is told of it.
    Lost,
    /// Somebody stopped it.
    Stopped,
    /// It took too long.
    TimedOut,
    /// It used more than it may: a sentence.
    Exceeded(String),
}

/// A lease. Clones are the same lease.
#[derive(Clone)]
pub(crate) struct Lease {
    attempt: Arc<Attempt>,
    ending: watch::Sender<Option<Ending>>,
    heard: watch::Receiver<Option<Ending>>,
}

/// Renews a lease until it is dropped.
pub(crate) struct Renewing(JoinHandle<()>);

impl Drop for Renewing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Lease {
    /// A lease that was given at `given` for some seconds.
    pub(crate) fn begin(
        attempt: Attempt,
        given: Instant,
        seconds: u32,
        every: Duration,
        server: Server,
    ) -> (Self, Renewing) {
        let (ending, heard) = watch::channel(None);
        let lease = Self { attempt: Arc::new(attempt), ending, heard };
        let renewing = lease.clone().renew(given + safe(seconds), every, server);
        (lease, Renewing(tokio::spawn(renewing)))
    }

    /// Which attempt at which step it is for.
    pub(crate) fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Says that the step must end. The first reason counts, but for a lost lease, which is above all.
    pub(crate) fn end(&self, why: Ending) {
        self.ending.send_if_modified(|ending| {
            let counts = ending.is_none() || why == Ending::Lost;
            if counts {
                *ending = Some(why);
            }
            counts
        });
    }

    /// Waits until the step must end.
    pub(crate) async fn ending(&mut self) -> Ending {
        loop {
            if let Some(ending) = self.heard.borrow_and_update().clone() {
                return ending;
            }
            // The sender lives as long as this does.
            let _ = self.heard.changed().await;
        }
    }

    /// Why the step must end, if it must.
    pub(crate) fn must_end(&self) -> Option<Ending> {
        self.heard.borrow().clone()
    }

    /// Waits until the lease is lost.
    pub(crate) async fn lost(&mut self) {
        while *self.heard.borrow_and_update() != Some(Ending::Lost) {
            let _ = self.heard.changed().await;
        }
    }

    async fn renew(self, mut until: Instant, every: Duration, server: Server) {
        // A claim that was long under way has used up some of the lease: it is renewed at once.
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                () = sleep_until(until) => return self.end(Ending::Lost),
            }
            let asked = Instant::now();
            next = asked + every;
            let beat = tokio::select! {
                beat = server.heartbeat(&self.attempt) => beat,
                () = sleep_until(until) => return self.end(Ending::Lost),
            };
            match beat {
                Ok(beat) => {
                    until = asked + safe(beat.lease);
                    if beat.stop {
                        self.end(Ending::Stopped);
                    }
                }
                Err(CallError::Lost) => return self.end(Ending::Lost),
                // A credential that was revoked, or a server that is away: the lease runs out by itself.
                Err(error) => tracing::warn!(%error, step = %self.attempt.step, "the lease was not renewed"),
            }
        }
    }
}

/// How long a lease of so many seconds is relied on: killing a step takes a moment.
fn safe(seconds: u32) -> Duration {
    let lease = Duration::from_secs(u64::from(seconds));
    lease - (lease / 5).min(Duration::from_secs(3))
}

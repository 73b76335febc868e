//! Pipelines: how soon a push's script speaks, and how fast runners drain a queue.

mod latency;
mod queue;
mod site;

use super::Bench;
use super::report::Finding;
use crate::Result;

/// From the acknowledged push to the script's first line in the log.
pub(super) fn first_output(bench: &Bench) -> Result<Finding> {
    latency::first_output(bench)
}

/// A thousand steps that wait, and runners that take them.
pub(super) fn drained(bench: &Bench) -> Result<Finding> {
    queue::drained(bench)
}

//! Which findings of scanners fail a run of a pipeline: a rule of a workspace.

use crate::report::Severity;

/// The most tools that a rule names.
pub const MOST_TOOLS: usize = 50;

/// A workspace's rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeScanning {
    /// An open finding that is at least so grave fails the run; none does without one.
    pub fail_at: Option<Severity>,
    /// Of these tools alone, in small letters; of all where it is empty.
    pub tools: Vec<String>,
}

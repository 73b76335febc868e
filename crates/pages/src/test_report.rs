//! What the test tools of a step reported: a part of the page of its run.

use crate::pipeline_run::Standing;

/// A test case that failed.
#[derive(Clone, Debug, Default)]
pub struct FailedCase {
    /// Its class or suite; may be empty.
    pub of: String,
    /// Its name.
    pub name: String,
    /// `Failed` or `Error`.
    pub standing: Standing,
    /// Its message; may be empty.
    pub reason: String,
    /// What else is told; may be empty.
    pub output: String,
}

/// What was reported.
#[derive(Clone, Debug, Default)]
pub struct TestReportView {
    /// How many there are and how long they took, for readers.
    pub total: String,
    /// How many ended how, none of them 0.
    pub counts: Vec<(Standing, i64)>,
    /// Those that failed, as many as are shown.
    pub failed: Vec<FailedCase>,
    /// That some of them are not shown; empty where all are.
    pub left_out: String,
}

//! What the test tools of steps reported. The published contract names the paths and no shapes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::format::{Braced, typed};

/// How many test cases of a step ended how.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_step_test_report")]
#[schemars(transform = typed("pipeline_step_test_report"))]
pub struct TestReport {
    /// The step.
    pub step_uuid: Braced,
    /// All of them.
    pub number_of_test_cases: i64,
    /// Passed.
    pub number_of_successful_test_cases: i64,
    /// Failed.
    pub number_of_failed_test_cases: i64,
    /// Could not be carried out.
    pub number_of_error_test_cases: i64,
    /// Left out.
    pub number_of_skipped_test_cases: i64,
    /// How long all of them took.
    pub duration_in_seconds: f64,
}

/// A test case.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_step_test_case")]
#[schemars(transform = typed("pipeline_step_test_case"))]
pub struct TestCase {
    /// Its id.
    pub uuid: Braced,
    /// Its name.
    pub name: String,
    /// Its class and its name.
    pub fully_qualified_name: String,
    /// The suite that it stands in; may be empty.
    pub suite_name: String,
    /// Its class or file; may be empty.
    pub class_name: String,
    /// `SUCCESSFUL`, `FAILED`, `ERROR` or `SKIPPED`.
    pub status: &'static str,
    /// How long it took.
    pub duration_in_seconds: f64,
}

/// Why a test case failed or was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "pipeline_step_test_case_reason")]
#[schemars(transform = typed("pipeline_step_test_case_reason"))]
pub struct TestCaseReason {
    /// Its message; may be empty.
    pub message: String,
    /// What else is told, and what was printed; may be empty.
    pub output: String,
}

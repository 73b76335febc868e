//! What the test tools of steps reported.

use std::time::Duration;

use axum::http::StatusCode;
use model::{Error, Result, TestCaseId};
use service::{Listing, TestCaseRow};
use wire::test_report::{TestCase, TestCaseReason, TestReport};

use super::pipeline_run::{name, step};
use super::{Shape, list_request, no_filter, page, repository_path, send};
use crate::http::{Cx, Response};

fn seconds(micros: i64) -> f64 {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64()
}

fn shown(row: TestCaseRow) -> TestCase {
    TestCase {
        uuid: row.id.into(),
        fully_qualified_name: match row.class_name.as_str() {
            "" => row.name.clone(),
            class => format!("{class}.{}", row.name),
        },
        name: row.name,
        suite_name: row.suite,
        class_name: row.class_name,
        status: match row.status.as_str() {
            "passed" => "SUCCESSFUL",
            "failed" => "FAILED",
            "skipped" => "SKIPPED",
            _ => "ERROR",
        },
        duration_in_seconds: seconds(row.duration),
    }
}

/// The address of a step's report, or of what lies below it.
fn address(cx: &Cx, below: &[&str]) -> String {
    let (workspace, slug) = (cx.param("workspace"), cx.param("repo_slug"));
    let (pipeline, step) = (cx.param("pipeline_uuid"), cx.param("step_uuid"));
    let report = ["repositories", workspace, slug, "pipelines", pipeline, "steps", step, "test_reports"];
    Shape::of(cx).api(&[report.as_slice(), below].concat())
}

/// `GET …/steps/{step_uuid}/test_reports`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let (path, name, step) = (repository_path(&cx)?, name(&cx)?, step(&cx)?);
    let row = cx.service()?.test_report(&cx.caller, &path, name, step).await?;
    let report = TestReport {
        step_uuid: row.step.into(),
        number_of_test_cases: row.passed + row.failed + row.errors + row.skipped,
        number_of_successful_test_cases: row.passed,
        number_of_failed_test_cases: row.failed,
        number_of_error_test_cases: row.errors,
        number_of_skipped_test_cases: row.skipped,
        duration_in_seconds: seconds(row.duration),
    };
    send(&cx, StatusCode::OK, &report)
}

/// `GET …/steps/{step_uuid}/test_reports/test_cases`: those that failed first.
///
/// # Errors
/// When there are none, or the caller may not see them.
pub async fn list_cases(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let (path, name, step) = (repository_path(&cx)?, name(&cx)?, step(&cx)?);
    let found = cx.service()?.test_cases(&cx.caller, &path, (name, step), window).await?;
    let here = address(&cx, &["test_cases"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, shown))
}

/// `GET …/test_reports/test_cases/{test_case_uuid}/test_case_reasons`
///
/// # Errors
/// When there is no such case, or the caller may not see it.
pub async fn list_reasons(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let (path, name, step) = (repository_path(&cx)?, name(&cx)?, step(&cx)?);
    let id: TestCaseId = cx.param("test_case_uuid").parse().map_err(|_| Error::not_found("the test case"))?;
    let case = cx.service()?.test_case(&cx.caller, &path, (name, step), id).await?;
    let reason =
        TestCaseReason { message: case.reason.unwrap_or_default(), output: case.output.unwrap_or_default() };
    let told = !reason.message.is_empty() || !reason.output.is_empty();
    let list = Listing::cut(told.then_some(reason).into_iter().collect(), window);
    let here = address(&cx, &["test_cases", cx.param("test_case_uuid"), "test_case_reasons"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, list, &here, |reason| reason))
}

//! What the test tools of a step reported: a part of the page of its run.

use std::time::Duration;

use model::{Error, Result};
use pages::pipeline_run::Standing;
use pages::test_report::{FailedCase, TestReportView};
use service::{PipelineName, RepositoryPath, StepView, TestCaseRow, Window};

use crate::http::Cx;

/// How many cases that failed are shown.
const SHOWN: i64 = 200;

const FAILED: Standing = Standing { word: "Failed", look: "danger" };
const ERROR: Standing = Standing { word: "Error", look: "danger" };
const PASSED: Standing = Standing { word: "Passed", look: "open" };
const SKIPPED: Standing = Standing { word: "Skipped", look: "" };

fn failed(case: TestCaseRow) -> Option<FailedCase> {
    let standing = match case.status.as_str() {
        "failed" => FAILED,
        "error" => ERROR,
        _ => return None,
    };
    Some(FailedCase {
        of: if case.class_name.is_empty() { case.suite } else { case.class_name },
        name: case.name,
        standing,
        reason: case.reason.unwrap_or_default(),
        output: case.output.unwrap_or_default(),
    })
}

/// The part; none where the step's last attempt reported nothing.
pub(super) async fn part(
    cx: &Cx,
    path: &RepositoryPath,
    name: PipelineName,
    step: &StepView,
) -> Result<Option<TestReportView>> {
    let (service, id) = (cx.service()?, step.row.id);
    let report = match service.test_report(&cx.caller, path, name, id).await {
        Ok(report) => report,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let bad = report.failed + report.errors;
    let mut shown = Vec::new();
    if bad > 0 {
        let first = Window { limit: SHOWN, offset: 0 };
        let cases = service.test_cases(&cx.caller, path, (name, id), first).await?;
        shown = cases.values.into_iter().filter_map(failed).collect();
    }
    let all =
        [(FAILED, report.failed), (ERROR, report.errors), (PASSED, report.passed), (SKIPPED, report.skipped)];
    let count = bad + report.passed + report.skipped;
    let took = Duration::from_micros(u64::try_from(report.duration).unwrap_or(0)).as_secs_f64();
    let left_out = bad - i64::try_from(shown.len()).unwrap_or(0);
    Ok(Some(TestReportView {
        total: format!("{count} {}, {took:.1} s", if count == 1 { "test" } else { "tests" }),
        counts: all.into_iter().filter(|(_, count)| *count > 0).collect(),
        failed: shown,
        left_out: if left_out > 0 {
            format!("{left_out} more that failed are not shown.")
        } else {
            String::new()
        },
    }))
}

//! What scanners found, uploaded as SARIF.

use axum::http::StatusCode;
use model::{Action, Result};
use service::{LONGEST_SARIF, Named, RepositoryPath, SarifReport as Made, SarifUpload};
use wire::api::{SarifReport, SarifReports};

use super::admitted;
use crate::http::{Cx, Response, answer};
use crate::rest::report::shown;

fn shape(made: &Made) -> SarifReport {
    SarifReport { report: shown(&made.report), annotations: made.annotations, left_out: made.left_out }
}

/// `POST /api/repositories/{workspace}/{repo_slug}/commit/{commit}/sarif?report=&title=`
///
/// # Errors
/// When the caller may not, there is no such commit, the file is not SARIF 2.1.0 or too large, or a report of the same
/// name belongs to somebody else.
pub async fn upload(mut cx: Cx) -> Result<Response> {
    let path = RepositoryPath::parse(cx.param("workspace"), cx.param("repo_slug"))?;
    // Nobody else makes the server take in ten times what other calls may send.
    admitted(&cx)?.ask(&cx.caller, Action::ReportSet, Named::Repository(path.clone())).await?;
    cx.must_be_json()?;
    let file = cx.bytes_up_to(LONGEST_SARIF).await?;
    let word =
        |name: &str| cx.query.get(name).map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned));
    let upload = SarifUpload { file, report: word("report")?, title: word("title")? };
    let (_, made) = cx.service()?.upload_sarif(&cx.caller, &path, cx.param("commit"), upload).await?;
    answer::json(StatusCode::CREATED, &SarifReports { reports: made.iter().map(shape).collect() })
}

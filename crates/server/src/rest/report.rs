//! Reports on commits and their annotations.

use axum::http::StatusCode;
use model::{Annotation, Error, Report, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{NewAnnotation, NewReport, ReportName};
use wire::report::{
    Annotation as ShownAnnotation, AnnotationInput, Report as Shown, ReportData, ReportInput,
};

use super::{Shape, list_request, no_filter, page, repository_path, send};
use crate::http::{Cx, Response, answer};

/// The most annotations of one call.
const MOST_AT_ONCE: usize = 100;

/// A report as its own address gives it; `/api` answers in it as well.
pub(crate) fn shown(one: &Report) -> Shown {
    let data = one.data.iter().map(|figure| ReportData {
        title: figure.title.clone(),
        kind: figure.kind.as_str(),
        value: figure.value.clone(),
    });
    Shown {
        uuid: one.id.into(),
        external_id: one.external_id.clone(),
        title: one.title.clone(),
        details: one.details.clone(),
        reporter: one.reporter.clone(),
        link: one.link.clone(),
        remote_link_enabled: one.remote_link_enabled,
        logo_url: one.logo_url.clone(),
        report_type: one.report_type.map(|word| word.as_str()),
        result: one.result.map(|word| word.as_str()),
        data: data.collect(),
        created_on: one.created_on.into(),
        updated_on: one.updated_on.into(),
    }
}

fn shown_annotation(one: &Annotation) -> ShownAnnotation {
    ShownAnnotation {
        uuid: one.id.into(),
        external_id: one.external_id.clone(),
        annotation_type: one.annotation_type.as_str(),
        summary: one.summary.clone(),
        details: one.details.clone(),
        path: one.path.clone(),
        line: one.line,
        severity: one.severity.map(|word| word.as_str()),
        result: one.result.map(|word| word.as_str()),
        link: one.link.clone(),
        created_on: one.created_on.into(),
        updated_on: one.updated_on.into(),
    }
}

fn new(input: ReportInput) -> NewReport {
    let data = input.data.unwrap_or_default().into_iter().map(|one| (one.title, one.kind, one.value));
    NewReport {
        title: input.title,
        details: input.details,
        external_id: input.external_id,
        reporter: input.reporter,
        link: input.link,
        remote_link_enabled: input.remote_link_enabled.unwrap_or(false),
        logo_url: input.logo_url,
        report_type: input.report_type,
        result: input.result,
        data: data.collect(),
    }
}

fn new_annotation(input: AnnotationInput) -> NewAnnotation {
    NewAnnotation {
        external_id: input.external_id,
        annotation_type: input.annotation_type,
        summary: input.summary,
        details: input.details,
        path: input.path,
        line: input.line,
        severity: input.severity,
        result: input.result,
        link: input.link,
    }
}

/// The report that the path names.
fn named(cx: &Cx) -> ReportName<'_> {
    ReportName { revision: cx.param("commit"), report: cx.param("report_id") }
}

/// `GET …/commit/{commit}/reports`
///
/// # Errors
/// When there is no such commit, or the caller may not see the repository.
pub async fn list(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let (path, commit) = (repository_path(&cx)?, cx.param("commit"));
    let (at, found) = cx.service()?.commit_reports(&cx.caller, &path, commit, window).await?;
    let here = Shape::of(&cx).at_revision(&at, "commit", commit, "reports");
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, |one| shown(&one)))
}

/// `GET …/commit/{commit}/reports/{report_id}`
///
/// # Errors
/// When there is none, or the caller may not see the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    let (_, found) = cx.service()?.commit_report(&cx.caller, &repository_path(&cx)?, named(&cx)).await?;
    send(&cx, StatusCode::OK, &shown(&found))
}

/// `PUT …/commit/{commit}/reports/{report_id}`: a new report, or another one in place of one of the caller's.
///
/// # Errors
/// When the caller may not, there is no such commit, or the report belongs to somebody else.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let input = new(cx.json().await?);
    let (_, made) = cx.service()?.put_report(&cx.caller, &repository_path(&cx)?, named(&cx), input).await?;
    send(&cx, StatusCode::OK, &shown(&made))
}

/// `DELETE …/commit/{commit}/reports/{report_id}`
///
/// # Errors
/// When the caller may not, there is none, or it belongs to somebody else.
pub async fn delete(cx: Cx) -> Result<Response> {
    cx.service()?.remove_report(&cx.caller, &repository_path(&cx)?, named(&cx)).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `GET …/commit/{commit}/reports/{report_id}/annotations`
///
/// # Errors
/// When there is no such report, or the caller may not see the repository.
pub async fn list_annotations(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let path = repository_path(&cx)?;
    let (at, found) = cx.service()?.annotations(&cx.caller, &path, named(&cx), window).await?;
    let reports = Shape::of(&cx).at_revision(&at, "commit", cx.param("commit"), "reports");
    let report = utf8_percent_encode(cx.param("report_id"), NON_ALPHANUMERIC);
    let here = format!("{reports}/{report}/annotations");
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, |one| shown_annotation(&one)))
}

/// `POST …/commit/{commit}/reports/{report_id}/annotations`: up to a hundred, each over the one of its name.
///
/// # Errors
/// When the caller may not, there is no such report, or it belongs to somebody else.
pub async fn put_annotations(mut cx: Cx) -> Result<Response> {
    let input = cx.json_list(MOST_AT_ONCE).await?.into_iter().map(new_annotation).collect();
    let path = repository_path(&cx)?;
    let made = cx.service()?.put_annotations(&cx.caller, &path, named(&cx), None, input).await?;
    send(&cx, StatusCode::OK, &made.iter().map(shown_annotation).collect::<Vec<_>>())
}

/// `GET …/commit/{commit}/reports/{report_id}/annotations/{annotation_id}`
///
/// # Errors
/// When there is none, or the caller may not see the repository.
pub async fn get_annotation(cx: Cx) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, cx.param("annotation_id"));
    let found = cx.service()?.annotation(&cx.caller, &path, named(&cx), name).await?;
    send(&cx, StatusCode::OK, &shown_annotation(&found))
}

/// `PUT …/commit/{commit}/reports/{report_id}/annotations/{annotation_id}`
///
/// # Errors
/// When the caller may not, there is no such report, or it belongs to somebody else.
pub async fn put_annotation(mut cx: Cx) -> Result<Response> {
    let input = vec![new_annotation(cx.json().await?)];
    let (path, name) = (repository_path(&cx)?, Some(cx.param("annotation_id")));
    let made = cx.service()?.put_annotations(&cx.caller, &path, named(&cx), name, input).await?;
    let made = made.first().ok_or_else(|| Error::internal("an annotation that was not written"))?;
    send(&cx, StatusCode::OK, &shown_annotation(made))
}

/// `DELETE …/commit/{commit}/reports/{report_id}/annotations/{annotation_id}`
///
/// # Errors
/// When the caller may not, there is none, or its report belongs to somebody else.
pub async fn delete_annotation(cx: Cx) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, cx.param("annotation_id"));
    cx.service()?.remove_annotation(&cx.caller, &path, named(&cx), name).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

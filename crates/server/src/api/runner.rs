//! What runners ask: the protocol of `pipeline::protocol`.

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderValue, StatusCode, header};
use model::{Error, Result, StepId};
use service::LARGEST_TEST_REPORT;
use service::protocol::{
    AwsRequest, Claim, Finish, Heartbeat, LOG_CHUNK, Registration, RegistryRequest, SarifReport,
    SarifReports, TokenRequest,
};
use service::{BodyReader, KeptFile, LONGEST_SARIF, SarifUpload};

use crate::http::{Cx, Response, answer};

fn step(cx: &Cx) -> Result<StepId> {
    cx.param("step").parse().map_err(|_| Error::not_found("the step"))
}

fn number<T: std::str::FromStr>(cx: &Cx, name: &str) -> Result<T> {
    let text = cx.query.get(name)?.ok_or_else(|| Error::invalid_field(name, "this is required"))?;
    text.parse().map_err(|_| Error::invalid_field(name, "use a whole number"))
}

/// `POST /api/runner/register`
///
/// # Errors
/// When the code is unknown, used or too old.
pub async fn register(mut cx: Cx) -> Result<Response> {
    let asked: Registration = cx.json().await?;
    answer::json(StatusCode::OK, &cx.service()?.register_runner(&cx.caller, &asked).await?)
}

/// `POST /api/runner/rotate`
///
/// # Errors
/// When the caller is no runner.
pub async fn rotate(cx: Cx) -> Result<Response> {
    answer::json(StatusCode::OK, &cx.service()?.rotate_runner(&cx.caller).await?)
}

/// `POST /api/runner/claim`: waits for a step.
///
/// # Errors
/// When the caller is no runner, or speaks another version.
pub async fn claim(mut cx: Cx) -> Result<Response> {
    let asked: Claim = cx.json().await?;
    match cx.service()?.claim_step(&cx.caller, &asked).await? {
        Some(assignment) => answer::json(StatusCode::OK, &assignment),
        None => Ok(answer::empty(StatusCode::NO_CONTENT)),
    }
}

/// `POST /api/runner/steps/{step}/heartbeat`
///
/// # Errors
/// When the lease is lost.
pub async fn heartbeat(mut cx: Cx) -> Result<Response> {
    let beat: Heartbeat = cx.json().await?;
    let step = step(&cx)?;
    answer::json(StatusCode::OK, &cx.service()?.keep_step(&cx.caller, step, &beat).await?)
}

/// `POST /api/runner/steps/{step}/logs/{log}`
///
/// # Errors
/// When the lease is lost, or the log is too long.
pub async fn log(mut cx: Cx) -> Result<Response> {
    let (step, attempt, offset) = (step(&cx)?, number(&cx, "attempt")?, number(&cx, "offset")?);
    let bytes = cx.bytes().await?;
    if bytes.len() > LOG_CHUNK {
        return Err(Error::TooLarge { limit: u64::try_from(LOG_CHUNK).unwrap_or(u64::MAX) });
    }
    let log = cx.param("log").to_owned();
    let position = cx.service()?.log_step(&cx.caller, step, attempt, &log, offset, bytes.to_vec()).await?;
    answer::json(StatusCode::OK, &position)
}

/// `POST /api/runner/steps/{step}/tokens`
///
/// # Errors
/// When the lease is lost, or the step may have none.
pub async fn token(mut cx: Cx) -> Result<Response> {
    let asked: TokenRequest = cx.json().await?;
    let step = step(&cx)?;
    answer::json(StatusCode::OK, &cx.service()?.step_token(&cx.caller, step, &asked).await?)
}

/// `POST /api/runner/steps/{step}/aws`
///
/// # Errors
/// When the lease is lost, or the step may not have the role.
pub async fn aws(mut cx: Cx) -> Result<Response> {
    let asked: AwsRequest = cx.json().await?;
    let step = step(&cx)?;
    answer::json(StatusCode::OK, &cx.service()?.step_aws(&cx.caller, step, asked.attempt).await?)
}

/// `POST /api/runner/steps/{step}/registry`
///
/// # Errors
/// When the lease is lost, the step has no such image, or Amazon refuses.
pub async fn registry(mut cx: Cx) -> Result<Response> {
    let asked: RegistryRequest = cx.json().await?;
    let step = step(&cx)?;
    answer::json(StatusCode::OK, &cx.service()?.step_registry(&cx.caller, step, &asked).await?)
}

/// The body as it comes.
fn body(cx: &mut Cx) -> BodyReader<BodyDataStream> {
    BodyReader::new(cx.body.take().into_data_stream())
}

/// What is kept, as it is sent.
pub(crate) fn sent(kept: KeptFile) -> Result<Response> {
    let mut response = answer::empty(StatusCode::OK);
    *response.body_mut() = Body::from_stream(kept.bytes);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(kept.size));
    let tag = HeaderValue::from_str(&format!("\"{}\"", kept.sha256)).map_err(Error::internal)?;
    headers.insert(header::ETAG, tag);
    Ok(response)
}

/// `PUT /api/runner/steps/{step}/artifacts/{artifact}`
///
/// # Errors
/// When the lease is lost, or it is too large.
pub async fn put_artifact(mut cx: Cx) -> Result<Response> {
    let (step, attempt) = (step(&cx)?, number(&cx, "attempt")?);
    let (name, input) = (cx.param("artifact").to_owned(), body(&mut cx));
    let kept = cx.service()?.put_artifact(&cx.caller, step, attempt, &name, input).await?;
    answer::json(StatusCode::OK, &kept)
}

/// `GET /api/runner/steps/{step}/artifacts/{artifact}`: by its id.
///
/// # Errors
/// When the lease is lost, or there is none.
pub async fn artifact(cx: Cx) -> Result<Response> {
    let (step, attempt) = (step(&cx)?, number(&cx, "attempt")?);
    let id = cx.param("artifact").parse().map_err(|_| Error::not_found("the artifact"))?;
    sent(cx.service()?.artifact(&cx.caller, step, attempt, id).await?)
}

/// `PUT /api/runner/steps/{step}/caches/{cache}`
///
/// # Errors
/// When the lease is lost, or it is too large.
pub async fn put_cache(mut cx: Cx) -> Result<Response> {
    let (step, attempt) = (step(&cx)?, number(&cx, "attempt")?);
    let key = cx.query.get("key")?.unwrap_or_default().to_owned();
    let (name, input) = (cx.param("cache").to_owned(), body(&mut cx));
    let kept = cx.service()?.put_cache(&cx.caller, step, attempt, &name, &key, input).await?;
    answer::json(StatusCode::OK, &kept)
}

/// `GET /api/runner/steps/{step}/caches/{cache}`
///
/// # Errors
/// When the lease is lost, or there is none.
pub async fn cache(cx: Cx) -> Result<Response> {
    let (step, attempt) = (step(&cx)?, number(&cx, "attempt")?);
    let key = cx.query.get("key")?.unwrap_or_default();
    sent(cx.service()?.cache(&cx.caller, step, attempt, cx.param("cache"), key).await?)
}

/// `PUT /api/runner/steps/{step}/test-report`
///
/// # Errors
/// When the lease is lost, or it tells of too much.
pub async fn put_test_report(mut cx: Cx) -> Result<Response> {
    let (step, attempt) = (step(&cx)?, number(&cx, "attempt")?);
    cx.must_be_json()?;
    let bytes = cx.bytes_up_to(LARGEST_TEST_REPORT).await?;
    let told = wire::body::read(&bytes)?;
    cx.service()?.put_test_report(&cx.caller, step, attempt, told).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `PUT /api/runner/steps/{step}/sarif?attempt=&report=`
///
/// # Errors
/// When the lease is lost, the file is not SARIF 2.1.0 or too large, or a report of the same name belongs to somebody else.
pub async fn put_sarif(mut cx: Cx) -> Result<Response> {
    let (step, attempt) = (step(&cx)?, number(&cx, "attempt")?);
    cx.must_be_json()?;
    let report = cx.query.get("report")?.filter(|name| !name.is_empty()).map(str::to_owned);
    let file = cx.bytes_up_to(LONGEST_SARIF).await?;
    let upload = SarifUpload { file, report, title: None };
    let made = cx.service()?.upload_step_sarif(&cx.caller, step, attempt, upload).await?;
    let told = |one: service::SarifReport| SarifReport {
        name: one.report.external_id,
        annotations: one.annotations,
    };
    answer::json(StatusCode::OK, &SarifReports { reports: made.into_iter().map(told).collect() })
}

/// `POST /api/runner/steps/{step}/finish`
///
/// # Errors
/// When the lease is lost.
pub async fn finish(mut cx: Cx) -> Result<Response> {
    let finish: Finish = cx.json().await?;
    let step = step(&cx)?;
    cx.service()?.finish_step(&cx.caller, step, &finish).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

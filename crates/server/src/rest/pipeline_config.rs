//! How a repository's pipelines run.

use axum::http::StatusCode;
use model::Result;
use service::{Located, PipelineConfig as Config};
use wire::pipeline_config::{BuildNumber, BuildNumberInput, PipelineConfig, PipelineConfigInput};

use super::{Shape, repository_path, send};
use crate::http::{Cx, Response};

fn told(cx: &Cx, located: &Located, config: Config) -> Result<Response> {
    let repository = Shape::of(cx).repository(located);
    send(cx, StatusCode::OK, &PipelineConfig { enabled: config.enabled, repository })
}

/// `GET …/pipelines_config`
///
/// # Errors
/// When the caller does not administer the repository.
pub async fn get(cx: Cx) -> Result<Response> {
    let (located, config) = cx.service()?.pipeline_config(&cx.caller, &repository_path(&cx)?).await?;
    told(&cx, &located, config)
}

/// `PUT …/pipelines_config`
///
/// # Errors
/// When the caller may not, or the body does not say whether they run.
pub async fn put(mut cx: Cx) -> Result<Response> {
    let PipelineConfigInput { enabled } = cx.json().await?;
    let path = repository_path(&cx)?;
    let (located, config) = cx.service()?.enable_pipelines(&cx.caller, &path, enabled).await?;
    told(&cx, &located, config)
}

/// `PUT …/pipelines_config/build_number`
///
/// # Errors
/// When the caller may not, or a run has had that number, or a higher one.
pub async fn put_build_number(mut cx: Cx) -> Result<Response> {
    let BuildNumberInput { next } = cx.json().await?;
    let next = cx.service()?.raise_build_number(&cx.caller, &repository_path(&cx)?, next).await?;
    send(&cx, StatusCode::OK, &BuildNumber { next })
}

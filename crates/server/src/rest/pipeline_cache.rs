//! What caches of pipelines keep.

use axum::http::{HeaderValue, StatusCode, header};
use model::{CacheId, Error, Result};
use service::{CacheName, CacheRow};
use wire::pipeline_cache::{PipelineCache, PipelineCacheContent};

use super::{Shape, list_request, no_filter, page, repository_path, send};
use crate::api::runner::sent;
use crate::http::{Cx, Response, answer};

fn shown(row: CacheRow) -> PipelineCache {
    PipelineCache {
        uuid: row.id.into(),
        pipeline_uuid: row.pipeline.map(Into::into),
        step_uuid: row.step.map(Into::into),
        name: row.name,
        key_hash: row.key,
        path: row.path,
        file_size_bytes: row.size,
        created_on: row.created_on.into(),
    }
}

fn id(cx: &Cx) -> Result<CacheId> {
    cx.param("cache_uuid").parse().map_err(|_| Error::not_found("the cache"))
}

/// `GET …/pipelines-config/caches`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    no_filter(&cx)?;
    let (request, window) = list_request(&cx)?;
    let found = cx.service()?.caches(&cx.caller, &repository_path(&cx)?, window).await?;
    let (workspace, slug) = (cx.param("workspace"), cx.param("repo_slug"));
    let here = Shape::of(&cx).api(&["repositories", workspace, slug, "pipelines-config", "caches"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, shown))
}

/// `DELETE …/pipelines-config/caches?name=`: all versions of one name.
///
/// # Errors
/// When the caller may not, no name is given, or there is none of this name.
pub async fn delete_named(cx: Cx) -> Result<Response> {
    let name = cx.query.get("name")?.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::invalid_field("name", "name the cache that is removed"))?;
    let of = CacheName::Name(name.to_owned());
    cx.service()?.remove_caches(&cx.caller, &repository_path(&cx)?, of).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `DELETE …/pipelines-config/caches/{cache_uuid}`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn delete(cx: Cx) -> Result<Response> {
    let of = CacheName::Id(id(&cx)?);
    cx.service()?.remove_caches(&cx.caller, &repository_path(&cx)?, of).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `GET …/pipelines-config/caches/{cache_uuid}/content-uri`: an address on this server, which asks for a credential as
/// this one does. It holds no secret.
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn content_uri(cx: Cx) -> Result<Response> {
    let row = cx.service()?.cache_row(&cx.caller, &repository_path(&cx)?, id(&cx)?).await?;
    let (workspace, slug, id) = (cx.param("workspace"), cx.param("repo_slug"), row.id.to_string());
    let parts = ["api", "repositories", workspace, slug, "pipelines-config", "caches", &id, "content"];
    let uri = Shape::of(&cx).base.html(&parts).href;
    send(&cx, StatusCode::OK, &PipelineCacheContent { uri })
}

/// `GET /api/repositories/…/pipelines-config/caches/{cache_uuid}/content`: the files as a tar, compressed with gzip.
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn content(cx: Cx) -> Result<Response> {
    let kept = cx.service()?.cache_content(&cx.caller, &repository_path(&cx)?, id(&cx)?).await?;
    let mut response = sent(kept)?;
    let name = HeaderValue::from_static("attachment; filename=\"cache.tar.gz\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

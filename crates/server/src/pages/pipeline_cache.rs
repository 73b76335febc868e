//! What caches of a repository's pipelines keep: a part of the page of its pipelines, and what removes one.

use model::{Error, Result};
use pages::measure::{Moment, size};
use pages::pipeline_cache::{CacheRow, CachesPart};
use pages::pipeline_run::Button;
use service::{CacheName, RepositoryPath, Window};
use wire::Parameters;

use super::pipeline_config::back;
use super::{form, now, repository_path};
use crate::http::{Cx, Response};

/// How many are shown.
const SHOWN: Window = Window { limit: 200, offset: 0 };

/// The part. `here` is the address of the page.
pub(super) async fn part(cx: &Cx, path: &RepositoryPath, here: &str) -> Result<CachesPart> {
    let found = cx.service()?.caches(&cx.caller, path, SHOWN).await?;
    let now = now(cx);
    let rows = found.values.into_iter().map(|row| {
        let href = format!("{here}/caches/{}", row.id);
        CacheRow {
            name: row.name,
            key: row.key.chars().take(12).collect(),
            size: size(u64::try_from(row.size).unwrap_or(0)),
            time: Moment::of(row.created_on, now),
            remove: Button { token: form::token(cx, &href), href },
        }
    });
    Ok(CachesPart { rows: rows.collect() })
}

/// `POST …/settings/pipelines/caches/{cache_uuid}`: removes one.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let id = cx.param("cache_uuid").parse().map_err(|_| Error::not_found("the cache"))?;
    cx.service()?.remove_caches(&cx.caller, &repository_path(&cx)?, CacheName::Id(id)).await?;
    back(&cx, "#caches").await
}

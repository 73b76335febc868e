//! What a step has left: a part of the page of its run, and each as a file.

use model::{Result, StepId};
use pages::measure::{Moment, size};
use pages::step_artifact::ArtifactRow;
use service::{PipelineName, RepositoryPath, Window};

use super::pipeline_run::step_of;
use super::{now, repository_path};
use crate::api::step_artifact::attached;
use crate::http::{Cx, Response};

/// How many are shown: more than a step may leave.
const SHOWN: Window = Window { limit: 200, offset: 0 };

/// The part. `here` is the address of the step.
pub(super) async fn part(
    cx: &Cx,
    path: &RepositoryPath,
    step: (PipelineName, StepId),
    here: &str,
) -> Result<Vec<ArtifactRow>> {
    let found = cx.service()?.step_artifacts(&cx.caller, path, step, SHOWN).await?;
    let now = now(cx);
    let rows = found.values.into_iter().map(|one| ArtifactRow {
        href: format!("{here}/artifacts/{}", one.id),
        name: one.name,
        size: size(one.size),
        until: Moment::of(one.expires_on, now),
    });
    Ok(rows.collect())
}

/// `GET …/pipelines/{number}/steps/{step}/artifacts/{artifact_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn download(cx: Cx) -> Result<Response> {
    let (view, step) = step_of(&cx).await?;
    let step = (PipelineName::Id(view.run.id), step.row.id);
    let (path, artifact) = (repository_path(&cx)?, cx.param("artifact_uuid"));
    let (name, kept) = cx.service()?.step_artifact(&cx.caller, &path, step, artifact).await?;
    attached(&name, kept)
}

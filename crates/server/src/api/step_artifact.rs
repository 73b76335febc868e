//! What steps of pipelines leave: the list, and one as a file.

use axum::http::{HeaderValue, header};
use model::{Error, Result, StepId};
use service::{KeptFile, PipelineName, RepositoryPath, StepArtifact};
use wire::{PageRequest, api};

use super::runner::sent;
use super::{page, window};
use crate::http::{Cx, Response};
use crate::rest::source::attachment;

fn shape(artifact: StepArtifact) -> api::StepArtifact {
    api::StepArtifact {
        uuid: format!("{{{}}}", artifact.id),
        name: artifact.name,
        file_size_bytes: artifact.size,
        sha256: artifact.sha256,
        created_on: artifact.created_on.into(),
        expires_on: artifact.expires_on.into(),
    }
}

/// The repository, and the step that the path names.
fn step(cx: &Cx) -> Result<(RepositoryPath, (PipelineName, StepId))> {
    let path = RepositoryPath::parse(cx.param("workspace"), cx.param("repo_slug"))?;
    let pipeline = PipelineName::parse(cx.param("pipeline_uuid"))?;
    let step = cx.param("step_uuid").parse().map_err(|_| Error::not_found("the step"))?;
    Ok((path, (pipeline, step)))
}

/// `GET /api/…/pipelines/{pipeline_uuid}/steps/{step_uuid}/artifacts`
///
/// # Errors
/// When there is no such step, or the caller may not see it.
pub async fn list(cx: Cx) -> Result<Response> {
    let request = PageRequest::list(&cx.query)?;
    let (path, step) = step(&cx)?;
    let found = cx.service()?.step_artifacts(&cx.caller, &path, step, window(&request)?).await?;
    page(&cx, &request, found, shape)
}

/// `GET /api/…/pipelines/{pipeline_uuid}/steps/{step_uuid}/artifacts/{artifact_uuid}`: by its id or its name.
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn content(cx: Cx) -> Result<Response> {
    let (path, step) = step(&cx)?;
    let artifact = cx.param("artifact_uuid");
    let (name, kept) = cx.service()?.step_artifact(&cx.caller, &path, step, artifact).await?;
    attached(&name, kept)
}

/// An artifact as a file that is kept rather than shown. Its name is the choice of whoever wrote the configuration.
pub(crate) fn attached(name: &str, kept: KeptFile) -> Result<Response> {
    let mut response = sent(kept)?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition(name)?);
    Ok(response)
}

/// Attack: a name that ends the header's text and says more, or leads to another folder.
fn disposition(name: &str) -> Result<HeaderValue> {
    let is_odd = |c: char| c.is_control() || (c.is_whitespace() && c != ' ') || "/\\".contains(c);
    attachment(&format!("{}.tar.gz", name.replace(is_odd, "_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_says_more_than_a_name() {
        let file = |plain: &str, encoded: &str| {
            format!("attachment; filename=\"{plain}.tar.gz\"; filename*=UTF-8''{encoded}%2Etar%2Egz")
        };
        assert_eq!(disposition("app").unwrap(), file("app", "app"));
        assert_eq!(
            disposition("a\"; b=\r\n\u{2028}é").unwrap(),
            file("a__ b_____", "a%22%3B%20b%3D%5F%5F%5F%C3%A9")
        );
        assert_eq!(disposition("../..\\x").unwrap(), file(".._.._x", "%2E%2E%5F%2E%2E%5Fx"));
    }
}

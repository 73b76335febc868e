//! What steps leave, for people: who may read a step's log may have its artifacts. How runners leave and fetch them is
//! in `step_file`.

use model::{Error, Result, StepId, Timestamp, act};
use pipeline::protocol::PIPE_STORAGE;
use store::step_artifact::ArtifactRow;
use uuid::Uuid;

use crate::access::RepositoryPath;
use crate::pipeline_run::PipelineName;
use crate::step_file::ARTIFACT_DAYS;
use crate::{Caller, KeptFile, Listing, Service, Window};

/// An artifact: files that a step has left, as a tar, compressed with gzip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepArtifact {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its length, packed, in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// When it was left.
    pub created_on: Timestamp,
    /// Until when it is kept.
    pub expires_on: Timestamp,
}

impl From<ArtifactRow> for StepArtifact {
    fn from(row: ArtifactRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            size: u64::try_from(row.size).unwrap_or(0),
            sha256: row.sha256,
            created_on: row.created_on,
            expires_on: row.created_on.plus_seconds(ARTIFACT_DAYS.saturating_mul(86_400)),
        }
    }
}

impl Service {
    /// A part of what a step has left, by name.
    pub async fn step_artifacts(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        of: (PipelineName, StepId),
        window: Window,
    ) -> Result<Listing<StepArtifact>> {
        let rows = self.artifact_rows(caller, path, of).await?;
        Ok(Listing::cut(rows, window).map(StepArtifact::from))
    }

    /// One of them, by its id or its name: its name, and its bytes.
    ///
    /// # Errors
    /// When there is none, or the caller may not see the run.
    pub async fn step_artifact(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        of: (PipelineName, StepId),
        artifact: &str,
    ) -> Result<(String, KeptFile)> {
        let rows = self.artifact_rows(caller, path, of).await?;
        let id = artifact.parse::<Uuid>().ok();
        // An id comes first: no step hides another artifact by naming its own so.
        let by_id = rows.iter().find(|row| Some(row.id) == id);
        let found = by_id.or_else(|| rows.iter().find(|row| row.name == artifact)).cloned();
        let row = found.ok_or_else(|| Error::not_found("the artifact"))?;
        let kept = self.open_kept("artifacts", row.id, row.size, row.sha256).await?;
        Ok((row.name, kept))
    }

    /// What a step has left for people. What pipes keep for those of later steps is not for them.
    async fn artifact_rows(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        (pipeline, step): (PipelineName, StepId),
    ) -> Result<Vec<ArtifactRow>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        self.store
            .read(move |reader| {
                let run = crate::pipeline_run::named(reader, repository, pipeline)?;
                let row = store::pipeline_step::get(reader, step)?.filter(|row| row.pipeline == run.id);
                let row = row.ok_or_else(|| Error::not_found("the step"))?;
                let mut kept = store::step_artifact::of_step(reader, row.id)?;
                kept.retain(|one| one.name != PIPE_STORAGE);
                Ok(kept)
            })
            .await
    }
}

//! How a repository's pipelines run: whether they do, and the number of the next run.

use model::{Error, Result, act};
use serde_json::{Value, json};
use store::pipeline_config::PipelineConfig;
use store::repository::Located;

use crate::access::RepositoryPath;
use crate::{Caller, Service};

/// The highest number that the next run can be given.
const HIGHEST_BUILD_NUMBER: i64 = 1_000_000_000;

fn shown(config: PipelineConfig) -> Value {
    json!({ "enabled": config.enabled, "last_build_number": config.last_build_number })
}

impl Service {
    /// How a repository's pipelines run.
    pub async fn pipeline_config(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
    ) -> Result<(Located, PipelineConfig)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::RepositoryAdmin, ground.as_ref())?;
        let located = ground.subject.clone();
        let id = located.repository.id;
        Ok((located, self.store.read(move |reader| store::pipeline_config::of(reader, id)).await?))
    }

    /// Lets a repository's pipelines run, or not.
    pub async fn enable_pipelines(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        enabled: Option<bool>,
    ) -> Result<(Located, PipelineConfig)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineConfigure, ground.as_ref())?;
        let enabled = enabled.ok_or_else(|| Error::invalid_field("enabled", "this field is required"))?;
        let located = ground.subject.clone();
        let id = located.repository.id;
        let after = self
            .store
            .write(&permit, move |writer| {
                let before = store::pipeline_config::of(writer, id)?;
                store::pipeline_config::enable(writer, id, enabled)?;
                let after = PipelineConfig { enabled, ..before };
                writer.note(shown(before), shown(after));
                Ok(after)
            })
            .await?;
        Ok((located, after))
    }

    /// Raises the number that the next run has.
    pub async fn raise_build_number(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        next: Option<i64>,
    ) -> Result<i64> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineConfigure, ground.as_ref())?;
        let next = next.ok_or_else(|| Error::invalid_field("next", "this field is required"))?;
        if !(1..=HIGHEST_BUILD_NUMBER).contains(&next) {
            let message = format!("use a number from 1 to {HIGHEST_BUILD_NUMBER}");
            return Err(Error::invalid_field("next", message));
        }
        let id = ground.subject.repository.id;
        self.store
            .write(&permit, move |writer| {
                let before = store::pipeline_config::of(writer, id)?;
                if !store::pipeline_config::raise_build_number(writer, id, next)? {
                    let last = before.last_build_number;
                    let message = format!("the last run has the number {last}: use a higher one");
                    return Err(Error::invalid_field("next", message));
                }
                let after = PipelineConfig { last_build_number: next.saturating_sub(1), ..before };
                writer.note(shown(before), shown(after));
                Ok(next)
            })
            .await
    }
}

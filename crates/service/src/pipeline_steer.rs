//! What people do to a run that is there: stop it, run what failed again, start or approve a step that waits for them.

use std::collections::BTreeMap;

use model::{Act, Action, Error, PipelineRun, PipelineState, RepositoryId, Result, StepId, UserId, act};
use policy::Permit;
use serde_json::{Value, json};
use store::pipeline_step::StepRow;

use crate::access::RepositoryPath;
use crate::pipeline_run::named;
use crate::step_approval::Gate;
use crate::{Caller, PipelineName, Service, pipeline_advance};

impl Service {
    /// Stops a run: steps that run are told to end, and none begins any more.
    pub async fn stop_pipeline(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        name: PipelineName,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineSteer, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let service = self.clone();
        self.store
            .write(&permit, move |writer| {
                let run = named(writer, repository, name)?;
                if run.state.is_over() {
                    return Err(Error::Conflict("the run is over already".to_owned()));
                }
                let steps = store::pipeline_step::list(writer, run.id)?;
                let mut stopped = false;
                for step in &steps {
                    match step.state.as_str() {
                        "running" => {
                            store::pipeline_step::ask_to_stop(writer, step.id)?;
                            stopped = true;
                        }
                        "pending" | "paused" | "ready" => {
                            let state = if stopped { "not-run" } else { "stopped" };
                            store::pipeline_step::set_state(writer, step.id, state)?;
                            stopped = true;
                        }
                        _ => {}
                    }
                }
                let state = pipeline_advance::advance(writer, &service, run.id)?;
                writer
                    .note(steered(&run, "state", run.state.as_str()), steered(&run, "stop", state.as_str()));
                Ok(())
            })
            .await?;
        self.step_ended();
        Ok(())
    }

    /// Runs what failed, or was not run, again. Whether an administrator is behind it is asked of who runs it again.
    pub async fn rerun_pipeline(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        name: PipelineName,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineSteer, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let administers = self.decide(caller, Action::DeploymentApprove, ground.as_ref()).allowed;
        let service = self.clone();
        self.store
            .write(&permit, move |writer| {
                let run = named(writer, repository, name)?;
                let steps = store::pipeline_step::list(writer, run.id)?;
                if !matches!(run.state, PipelineState::Failed | PipelineState::Stopped) || steps.is_empty() {
                    return Err(Error::Conflict("only what failed or was stopped is run again".to_owned()));
                }
                store::pipeline_run::set_by_administrator(writer, run.id, administers)?;
                let mut again = Vec::new();
                for step in &steps {
                    if matches!(step.state.as_str(), "failed" | "stopped" | "not-run") {
                        store::pipeline_step::make_pending(writer, step.id)?;
                        again.push(step.id.braced());
                    }
                }
                let state = pipeline_advance::advance(writer, &service, run.id)?;
                let mut after = steered(&run, "rerun", state.as_str());
                if let Some(after) = after.as_object_mut() {
                    after.insert("steps".to_owned(), json!(again));
                }
                writer.note(steered(&run, "state", run.state.as_str()), after);
                Ok(())
            })
            .await?;
        self.step_ended();
        Ok(())
    }

    /// Starts a step that waits for somebody: for an administrator, where its environment's restrictions hold it back. Where
    /// its environment asks for approvals, this is one of them, and the step starts with the last.
    pub async fn start_step(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        name: PipelineName,
        step: StepId,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let gate = self
            .store
            .read(move |reader| {
                let run = named(reader, repository, name)?;
                let row = waiting(reader, &run, step)?;
                Gate::of(reader, &run, &row)
            })
            .await?;
        let person = caller.as_user().map(|user| user.id);
        if gate.asks_administrator() {
            let permit = self.permit(caller, act::DeploymentApprove, ground.as_ref())?;
            self.let_go_on(&permit, (repository, name, step), person, true).await
        } else {
            let permit = self.permit(caller, act::PipelineSteer, ground.as_ref())?;
            self.let_go_on(&permit, (repository, name, step), person, false).await
        }
    }

    async fn let_go_on<A: Act>(
        &self,
        permit: &Permit<A>,
        (repository, name, step): (RepositoryId, PipelineName, StepId),
        person: Option<UserId>,
        administers: bool,
    ) -> Result<()> {
        let service = self.clone();
        self.store
            .write(permit, move |writer| {
                let run = named(writer, repository, name)?;
                let row = waiting(writer, &run, step)?;
                let mut gate = Gate::of(writer, &run, &row)?;
                // Somebody may have restricted the environment since it was decided who may start the step.
                if !administers && gate.asks_administrator() {
                    let message = "the environment was restricted a moment ago: ask again";
                    return Err(Error::Conflict(message.to_owned()));
                }
                if gate.asks_approval() {
                    gate.approve(writer, step, person)?;
                }
                let (done, state) = if gate.asks_approval() {
                    ("approve", run.state)
                } else {
                    store::pipeline_step::set_started(writer, step)?;
                    ("start", pipeline_advance::advance(writer, &service, run.id)?)
                };
                let mut after = steered(&run, done, state.as_str());
                if let Some(after) = after.as_object_mut() {
                    after.insert("step".to_owned(), json!(step.braced()));
                    if gate.required > 0 {
                        after.insert("approvals".to_owned(), json!(gate.given()));
                        after.insert("required".to_owned(), json!(gate.required));
                    }
                }
                writer.note(Value::Null, after);
                Ok(())
            })
            .await?;
        self.step_ended();
        Ok(())
    }
}

/// A step of a run that waits for somebody.
fn waiting(reader: &mut store::Reader<'_>, run: &PipelineRun, step: StepId) -> Result<StepRow> {
    let row = store::pipeline_step::get(reader, step)?.filter(|row| row.pipeline == run.id);
    let row = row.ok_or_else(|| Error::not_found("the step"))?;
    match row.state.as_str() {
        "paused" => Ok(row),
        _ => Err(Error::Conflict("the step waits for nobody".to_owned())),
    }
}

/// What somebody did to a run, in the audit trail.
fn steered(run: &PipelineRun, what: &str, state: &str) -> Value {
    let mut told = BTreeMap::from([("pipeline", json!(run.id.braced())), ("state", json!(state))]);
    if what != "state" {
        told.insert("done", json!(what));
    }
    json!(told)
}

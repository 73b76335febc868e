//! What runners do with steps: take one, keep it while it runs, send its logs, tell how it ended.
//!
//! A step is one runner's by a lease. The lease is looked at in the transaction of whatever is kept of the step, so nobody
//! says anything of a step that is not theirs at that moment; and in the one that reads what its runner is given for it. A runner kills the step when it loses the lease; the server
//! waits a margin longer before it gives the step to another: so no step runs twice at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::runner::SYSTEM_LABELS;
use model::{
    Action, Credential, CredentialId, CredentialKind, DeploymentResult, DisplayName, Error, Holder,
    RepositoryId, Resource, Result, Runner, StepId, Timestamp, Token, act,
};
use pipeline::PlannedStep;
use pipeline::protocol::{
    Assignment, Beat, Claim, Finish, Heartbeat, LONGEST_WAIT, LogPosition, Verdict, margin,
};
use policy::InternalReason;
use serde_json::{Value, json};
use store::pipeline_step::{Lease, StepRow};
use store::repository::Located;
use store::step_artifact::ArtifactRow;
use store::{Bookkeeping, Reader};

use crate::access::Ground;
use crate::pipeline_advance::{self, holds_on};
use crate::runner::speaks;
use crate::{Caller, Service, log_archive};

/// How many ready steps are looked at for one that nobody else takes first.
const CANDIDATES: i64 = 16;
/// How often a waiting runner's claim looks again by itself: another process tells nobody here.
const LOOK_AGAIN: Duration = Duration::from_millis(1_000);
/// After how long the installation's own runner asks again for steps of a repository that it was refused, in seconds.
const ASK_AGAIN: i64 = 60;
/// And after how long that is recorded again, in seconds.
const RECORD_AGAIN: i64 = 86_400;
/// How often a step is begun before the loss of its runners makes it fail.
const MOST_ATTEMPTS: i64 = 3;
/// What a step's token lives beyond the step's own longest time, in seconds: for what comes before and after its script.
const TOKEN_SECONDS: i64 = 3600;
/// The reason for refusing what a runner says of another's step, beside the policies' own.
const NOT_ITS_STEP: &str = "runner-step";
/// The most bytes of all variables that a step leaves.
const MOST_OUTPUT: usize = 100 * 1024;
/// The most artifacts that the event of a step's end names; of others it has the count.
const MOST_TOLD: usize = 50;

/// Repositories whose steps the installation's own runner was refused: for a while they are not asked about anew, and for
/// longer the refusal is not recorded again. It is a workspace's own choice, and no sign of anybody at its doors.
#[derive(Default)]
pub(crate) struct RefusedClaims(Mutex<BTreeMap<RepositoryId, RefusedClaim>>);

struct RefusedClaim {
    ask_again: Timestamp,
    record_again: Timestamp,
}

impl RefusedClaims {
    /// Notes a refusal. Whether it is to be recorded.
    fn note(&self, repository: RepositoryId, now: Timestamp) -> bool {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = refused.get(&repository).is_none_or(|one| one.record_again <= now);
        let known = refused.entry(repository).or_insert(RefusedClaim { ask_again: now, record_again: now });
        known.ask_again = now.plus_seconds(ASK_AGAIN);
        if record {
            known.record_again = now.plus_seconds(RECORD_AGAIN);
        }
        record
    }

    fn still(&self, now: Timestamp) -> Vec<RepositoryId> {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, one| one.record_again > now || one.ask_again > now);
        refused.iter().filter(|(_, one)| one.ask_again > now).map(|(id, _)| *id).collect()
    }
}

impl Service {
    /// Waits for a step that the runner can run, and takes it.
    pub async fn claim_step(&self, caller: &Caller, claim: &Claim) -> Result<Option<Assignment>> {
        let runner = Arc::clone(caller.as_runner().ok_or(Error::Unauthenticated)?);
        speaks(claim.protocol)?;
        let own = own_labels(&claim.labels)?;
        let program = serde_json::to_string(&claim.program).map_err(Error::internal)?;
        if program.len() > 1000 {
            return Err(Error::invalid_field("program", "at most 1,000 bytes"));
        }
        let (id, noted) = (runner.id, own.clone());
        self.store.keep(move |books| store::runner::note_contact(books, id, &noted, &program)).await?;
        let labels: Vec<String> = runner.labels.iter().cloned().chain(own).collect();
        let wait = Duration::from_secs(u64::from(claim.wait.min(LONGEST_WAIT)));
        let end = tokio::time::Instant::now() + wait;
        loop {
            let told = self.work.notified();
            tokio::pin!(told);
            // From here on nothing is missed: what becomes ready while the store is asked is told.
            told.as_mut().enable();
            if let Some(assignment) = self.take_one(caller, &runner, &labels).await? {
                return Ok(Some(assignment));
            }
            let now = tokio::time::Instant::now();
            if now >= end || *self.stopping.borrow() {
                return Ok(None);
            }
            let mut stopping = self.stopping.subscribe();
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep(LOOK_AGAIN.min(end - now)) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return Ok(None),
            }
        }
    }

    async fn take_one(
        &self,
        caller: &Caller,
        runner: &Runner,
        labels: &[String],
    ) -> Result<Option<Assignment>> {
        let bound_to = runner.bound_to;
        loop {
            let (labels, not_of) = (labels.to_vec(), self.refused_claims.still(self.clock.now()));
            let found = self
                .store
                .read(move |reader| {
                    store::pipeline_step::ready_for(reader, bound_to, &labels, &not_of, CANDIDATES)
                })
                .await?;
            let mut refused = false;
            for (step, repository) in found {
                let ground = self.ground_of(caller, repository).await?;
                // One workspace's guardrails keep the installation's runner from nobody else.
                if bound_to == Resource::Instance {
                    let decision = self.decide(caller, Action::StepClaim, &ground);
                    if !decision.allowed {
                        refused = true;
                        if self.refused_claims.note(repository, self.clock.now()) {
                            let _ = self.refuse(caller, Action::StepClaim, &ground, &decision);
                        }
                        continue;
                    }
                }
                match self.take(caller, runner, &ground, step).await {
                    // Somebody else was faster.
                    Err(Error::Conflict(_)) => {}
                    Ok(assignment) => return Ok(Some(assignment)),
                    Err(other) => return Err(other),
                }
            }
            if !refused {
                return Ok(None);
            }
        }
    }

    async fn take(
        &self,
        caller: &Caller,
        runner: &Runner,
        ground: &Ground<Located>,
        step: StepId,
    ) -> Result<Assignment> {
        let permit = self.permit(caller, act::StepClaim, ground)?;
        let now = self.clock.now();
        let located = &ground.subject;
        let token = Token::new(CredentialKind::StepToken, &self.random);
        let name = "A running step".parse::<DisplayName>().map_err(Error::internal)?;
        let credential = Credential {
            id: CredentialId::new(&self.random),
            kind: CredentialKind::StepToken,
            name,
            scopes: CredentialKind::StepToken.may_hold(),
            holder: Holder::Resource(located.repository.id.into(), located.workspace.id),
            email: None,
            created_by: None,
            created_on: now,
            expires_on: None,
            last_used_on: None,
            revoked_on: None,
        };
        let (hash, runner_id, runner_name) = (token.hash(), runner.id, runner.name.clone());
        let until = now.plus_seconds(i64::from(self.settings.step_lease));
        let row = self
            .store
            .write(&permit, move |writer| {
                let gone = || Error::Conflict("another runner has it".to_owned());
                let before = store::pipeline_step::get(writer, step)?.ok_or_else(gone)?;
                if !may_take(store::runner::find(writer, runner_id)?, &before)? {
                    return Err(gone());
                }
                let plan: PlannedStep = serde_json::from_value(before.plan).map_err(Error::internal)?;
                let seconds = i64::from(plan.max_time) * 60 + TOKEN_SECONDS;
                let credential =
                    Credential { expires_on: Some(now.plus_seconds(seconds)), ..credential.clone() };
                let taken = store::pipeline_step::claim(writer, step, runner_id, credential.id, until)?;
                if taken.is_none() {
                    return Err(gone());
                }
                store::credential::insert(writer, &credential, &hash)?;
                if before.environment.is_some() {
                    store::deployment::start(writer, step)?;
                }
                let row = store::pipeline_step::get(writer, step)?.ok_or_else(gone)?;
                let run = store::pipeline_run::get(writer, row.pipeline)?.ok_or_else(gone)?;
                if run.state != model::PipelineState::Running {
                    let running = model::PipelineState::Running;
                    store::pipeline_run::set_state(writer, row.pipeline, running, None, None)?;
                }
                writer.note(
                    Value::Null,
                    json!({
                        "pipeline": row.pipeline.braced(), "build_number": run.build_number, "step": step.braced(),
                        "name": row.name, "attempt": row.attempt, "runner": runner_name,
                    }),
                );
                Ok(row)
            })
            .await?;
        self.progress.notify_waiters();
        match self.assignment(caller, located, &row, &token).await {
            Ok(assignment) => Ok(assignment),
            Err(error) => {
                // Nobody runs what cannot be told to a runner. What went wrong inside is for the log alone.
                let message = match &error {
                    Error::Forbidden { message, .. } | Error::Invalid { message, .. } => message.clone(),
                    other => {
                        tracing::error!(error = crate::jobs::log_text(other), %step, "a step could not be prepared");
                        "it could not be prepared: the server's log has the reason".to_owned()
                    }
                };
                let finish = Finish {
                    attempt: u32::try_from(row.attempt).unwrap_or(u32::MAX),
                    verdict: Verdict::Error { message },
                    outputs: BTreeMap::new(),
                };
                self.finish_step(caller, step, &finish).await?;
                Err(Error::Conflict("the step could not be prepared".to_owned()))
            }
        }
    }

    /// The step still runs: keeps the lease, and tells whether it is to be stopped.
    pub async fn keep_step(&self, caller: &Caller, step: StepId, beat: &Heartbeat) -> Result<Beat> {
        let runner = caller.as_runner().ok_or(Error::Unauthenticated)?.id;
        let until = self.clock.now().plus_seconds(i64::from(self.settings.step_lease));
        let attempt = i64::from(beat.attempt);
        let renewed = self
            .store
            .keep(move |books| store::pipeline_step::renew(books, step, attempt, runner, until))
            .await?;
        match renewed {
            Some(stop) => Ok(Beat { lease: self.settings.step_lease, stop }),
            None => Err(self.not_its_step(caller, step).await?),
        }
    }

    /// Takes in a part of a step's log.
    pub async fn log_step(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
        log: &str,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<LogPosition> {
        self.leased(caller, step, attempt).await?;
        self.append_to_log(step, i64::from(attempt), log, offset, bytes).await
    }

    /// How a step ended. Said twice, it is heard once.
    pub async fn finish_step(&self, caller: &Caller, step: StepId, finish: &Finish) -> Result<()> {
        let runner = caller.as_runner().ok_or(Error::Unauthenticated)?.id;
        let attempt = i64::from(finish.attempt);
        let heard =
            |row: &StepRow| row.runner == Some(runner) && row.attempt == attempt && row.verdict.is_some();
        let row = self.found_step(step).await?;
        if heard(&row) {
            return Ok(());
        }
        let finished = match self.leased(caller, step, finish.attempt).await {
            Ok(lease) => self.finish_leased(caller, row.repository, lease, finish).await,
            Err(error) => Err(error),
        };
        // A runner that got no answer says it again while the first time is still at work.
        if matches!(finished, Err(Error::Conflict(_))) && heard(&self.found_step(step).await?) {
            return Ok(());
        }
        finished
    }

    async fn found_step(&self, step: StepId) -> Result<StepRow> {
        let row = self.store.read(move |reader| store::pipeline_step::get(reader, step)).await?;
        row.ok_or_else(|| Error::not_found("the step"))
    }

    async fn finish_leased(
        &self,
        caller: &Caller,
        repository: RepositoryId,
        lease: Lease,
        finish: &Finish,
    ) -> Result<()> {
        let ground = self.ground_of(caller, repository).await?;
        let permit = self.permit(caller, act::StepFinish, &ground)?;
        let verdict = serde_json::to_value(&finish.verdict).map_err(Error::internal)?;
        let outputs = bounded(finish.outputs.clone())?;
        let service = self.clone();
        let state = match finish.verdict {
            Verdict::Passed => "passed",
            Verdict::Stopped => "stopped",
            Verdict::Failed { .. } | Verdict::TimedOut { .. } | Verdict::Error { .. } => "failed",
        };
        self.store
            .write(&permit, move |writer| {
                hold(&mut writer.bookkeeping(), &lease)?;
                let outputs = (state == "passed").then(|| outputs.clone());
                end_step(writer, &service, lease.step, state, verdict.clone(), outputs)
            })
            .await?;
        self.step_ended();
        Ok(())
    }

    /// Tells who waits that something has ended.
    pub(crate) fn step_ended(&self) {
        self.work.notify_waiters();
        self.progress.notify_waiters();
    }

    /// Lets through who has the step now. Whatever is then written of the step asks once more, by [`hold`].
    pub(crate) async fn leased(&self, caller: &Caller, step: StepId, attempt: u32) -> Result<Lease> {
        let runner = caller.as_runner().ok_or(Error::Unauthenticated)?.id;
        let found = self.store.read(move |reader| {
            let now = reader.now();
            let lease = store::pipeline_step::lease(reader, step)?;
            let its = |lease: &Lease| {
                lease.runner == runner && lease.attempt == i64::from(attempt) && now < lease.until
            };
            Ok(lease.filter(its))
        });
        match found.await? {
            Some(lease) => Ok(lease),
            None => Err(self.not_its_step(caller, step).await?),
        }
    }

    /// Keeps the books of a step for the runner that has it. When the lease is lost by then, nothing is kept.
    ///
    /// # Errors
    /// `Conflict` when the lease is over, `NotFound` when another runner has the step, and what `f` fails with, of which a
    /// `Conflict` is told as a refusal.
    pub(crate) async fn keep_leased<T: Send + 'static>(
        &self,
        caller: &Caller,
        lease: Lease,
        mut f: impl FnMut(&mut Bookkeeping<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let kept = self.store.keep(move |books| {
            hold(books, &lease)?;
            f(books)
        });
        let kept = kept.await;
        self.told_to_runner(caller, lease, kept).await
    }

    /// What a runner is told of a write about its step. To it a conflict means that the step is lost, so it is told of one only
    /// where that is so.
    pub(crate) async fn told_to_runner<T>(
        &self,
        caller: &Caller,
        lease: Lease,
        outcome: Result<T>,
    ) -> Result<T> {
        let why = match outcome {
            Err(Error::Conflict(why)) => why,
            other => return other,
        };
        let held = self.store.keep(move |books| store::pipeline_step::hold(books, &lease)).await?;
        match held {
            true => Err(Error::forbidden(why)),
            false => Err(self.not_its_step(caller, lease.step).await?),
        }
    }

    /// Why a runner may say nothing of a step: its lease is over, or it is another's, which is recorded.
    pub(crate) async fn not_its_step(&self, caller: &Caller, step: StepId) -> Result<Error> {
        let runner = caller.as_runner().ok_or(Error::Unauthenticated)?.id;
        let found = self
            .store
            .read(move |reader| {
                let row = store::pipeline_step::get(reader, step)?;
                Ok((row, store::pipeline_step::lease(reader, step)?))
            })
            .await?;
        let (Some(row), lease) = found else { return Ok(Error::not_found("the step")) };
        let others = lease.is_some_and(|lease| lease.runner != runner) || row.runner != Some(runner);
        if !others {
            return Ok(lost());
        }
        if let Ok(ground) = self.ground_of(caller, row.repository).await {
            self.record_refusal(caller, Action::StepFinish, &ground.target, vec![NOT_ITS_STEP.to_owned()]);
        }
        Ok(Error::not_found("the step"))
    }

    /// Takes steps back whose runners were not heard of for too long: another runner gets them, or they fail.
    pub(crate) async fn give_up_lost_steps(&self) -> Result<()> {
        let before = self.clock.now().plus_seconds(-i64::from(margin(self.settings.step_lease)));
        let lost =
            self.store.read(move |reader| store::pipeline_step::leases_before(reader, before, 100)).await?;
        for lease in lost {
            self.give_up(lease, before).await?;
        }
        Ok(())
    }

    async fn give_up(&self, lease: Lease, before: Timestamp) -> Result<()> {
        let step = lease.step;
        let row = self.store.read(move |reader| store::pipeline_step::get(reader, step)).await?;
        let Some(row) = row else { return Ok(()) };
        let Some(located) = self.located(row.repository).await? else { return Ok(()) };
        let request = Caller::operator(model::RequestId::new(&self.random));
        let target = crate::access::repository_target(&located);
        let permit = self.internal::<act::StepFinish>(InternalReason::StepLost, &request, target);
        let service = self.clone();
        let taken = self
            .store
            .write(&permit, move |writer| {
                let still = store::pipeline_step::lease(writer, step)?
                    .filter(|now| now.attempt == lease.attempt && now.until < before);
                let Some(still) = still else {
                    return Err(Error::Conflict("the runner was heard of".to_owned()));
                };
                let row =
                    store::pipeline_step::get(writer, step)?.ok_or_else(|| Error::not_found("the step"))?;
                // What has begun to change something outside is not begun again by itself.
                let again = row.attempt < MOST_ATTEMPTS && row.environment.is_none() && !still.stop;
                if again {
                    if let Some(token) = row.credential {
                        store::credential::remove_step_token(writer, token)?;
                    }
                    store::pipeline_step::make_ready_again(writer, step)?;
                    log_archive::enqueue(writer, step, row.attempt)?;
                    writer.note(json!({ "attempt": row.attempt }), told(&row, "ready", &Value::Null));
                    return Ok(());
                }
                let (state, verdict) = match still.stop {
                    true => ("stopped", Verdict::Stopped),
                    false => ("failed", Verdict::Error { message: "its runner was lost".to_owned() }),
                };
                let verdict = serde_json::to_value(verdict).map_err(Error::internal)?;
                end_step(writer, &service, step, state, verdict, None)
            })
            .await;
        match taken {
            Err(Error::Conflict(_)) => Ok(()),
            other => {
                self.step_ended();
                other
            }
        }
    }
}

/// Whether a runner may still take a step when it comes to that: its claim may have waited for half a minute, in which somebody
/// has removed it, switched it off or taken a label from it.
///
/// # Errors
/// When it may take none at all.
fn may_take(runner: Option<Runner>, step: &StepRow) -> Result<bool> {
    let runner = runner.filter(|runner| runner.registered_on.is_some()).ok_or(Error::Unauthenticated)?;
    if !runner.enabled {
        return Err(Error::forbidden("this runner is switched off"));
    }
    // The system labels are as the claim itself has told them.
    let has = |label: &String| SYSTEM_LABELS.contains(&label.as_str()) || runner.labels.contains(label);
    Ok(step.labels.iter().all(has))
}

/// Lets a runner write of a step while it has it: asked first thing in the transaction that writes. What was looked at before
/// may be long ago, and what is written after the step's end is in no record of it.
///
/// # Errors
/// `Conflict` when the lease is lost.
pub(crate) fn hold(books: &mut Bookkeeping<'_>, lease: &Lease) -> Result<()> {
    if store::pipeline_step::hold(books, lease)? { Ok(()) } else { Err(lost()) }
}

/// The same of what is read for a runner, and of a write that takes long: the lease can be renewed meanwhile. A write sees
/// whether another has ended the step, since writes are serializable.
///
/// # Errors
/// `Conflict` when the lease is lost.
pub(crate) fn holds(reader: &mut Reader<'_>, lease: &Lease) -> Result<()> {
    let now = reader.now();
    let its = |one: &Lease| one.runner == lease.runner && one.attempt == lease.attempt && now < one.until;
    if store::pipeline_step::lease(reader, lease.step)?.as_ref().is_some_and(its) {
        Ok(())
    } else {
        Err(lost())
    }
}

/// A step's attempt ends, its token with it, and the run goes on.
fn end_step(
    writer: &mut store::Writer<'_>,
    service: &Service,
    step: StepId,
    state: &'static str,
    verdict: Value,
    outputs: Option<BTreeMap<String, String>>,
) -> Result<()> {
    let row = store::pipeline_step::get(writer, step)?.ok_or_else(|| Error::not_found("the step"))?;
    let plan: PlannedStep = serde_json::from_value(row.plan.clone()).map_err(Error::internal)?;
    let inner = store::pipeline_run::inner(writer, row.pipeline)?;
    let groups = pipeline_advance::groups(&inner.groups)?;
    let holds = state == "passed" && holds_on(&groups, &plan);
    let outputs = outputs.map(|outputs| json!(outputs));
    store::pipeline_step::finish(writer, step, state, verdict.clone(), outputs, holds)?;
    log_archive::enqueue(writer, step, row.attempt)?;
    if let Some(token) = row.credential {
        store::credential::remove_step_token(writer, token)?;
    }
    if let Some(environment) = row.environment {
        // Those of a stage deploy to one environment, which they hold together.
        if !holds {
            store::pipeline_step::give_up(writer, row.pipeline, environment)?;
        }
        let result = match state {
            "passed" => DeploymentResult::Successful,
            "stopped" => DeploymentResult::Stopped,
            _ => DeploymentResult::Failed,
        };
        store::deployment::finish(writer, step, result)?;
    }
    let kept = store::step_artifact::of_step(writer, step)?;
    let run = pipeline_advance::advance(writer, service, row.pipeline)?;
    let mut after = told(&row, state, &verdict);
    if let Some(after) = after.as_object_mut() {
        after.insert("pipeline_state".to_owned(), json!(run.as_str()));
        after.extend(left(&kept));
    }
    writer.note(Value::Null, after);
    Ok(())
}

/// A step in the audit trail.
fn told(row: &StepRow, state: &str, verdict: &Value) -> Value {
    json!({
        "pipeline": row.pipeline.braced(), "step": row.id.braced(), "name": row.name, "attempt": row.attempt,
        "state": state, "verdict": verdict,
    })
}

/// What a step leaves to later ones, in the audit trail: the files themselves are bookkeeping and have no events.
fn left(kept: &[ArtifactRow]) -> Vec<(String, Value)> {
    let one = |row: &ArtifactRow| json!({ "name": row.name, "size": row.size, "sha256": row.sha256 });
    let mut left = Vec::new();
    if !kept.is_empty() {
        let named: Vec<Value> = kept.iter().take(MOST_TOLD).map(one).collect();
        left.push(("artifacts".to_owned(), Value::Array(named)));
    }
    let more = kept.len().saturating_sub(MOST_TOLD);
    if more > 0 {
        left.push(("more_artifacts".to_owned(), json!(more)));
    }
    left
}

fn lost() -> Error {
    Error::Conflict("the lease on this step is over: stop running it".to_owned())
}

/// The labels that a runner has by what it can do: of the fixed list alone.
fn own_labels(told: &[String]) -> Result<Vec<String>> {
    if told.iter().all(|label| SYSTEM_LABELS.contains(&label.as_str())) {
        return Ok(told.to_vec());
    }
    Err(Error::invalid_field("labels", "a runner tells system labels alone: people give it the others"))
}

/// What a step leaves, as far as it is kept.
fn bounded(outputs: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let size: usize = outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MOST_OUTPUT {
        let message = format!("a step leaves at most {MOST_OUTPUT} bytes of variables");
        return Err(Error::invalid_field("outputs", message));
    }
    Ok(outputs)
}

#[cfg(test)]
pub(crate) mod tests;

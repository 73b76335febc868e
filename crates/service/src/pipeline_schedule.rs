//! Schedules of pipelines: seeing, making, changing and removing them, and starting what is due.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use model::{
    Action, CronPattern, Error, PipelineSchedule, PipelineTrigger, RefName, RepositoryId, Result,
    ScheduleExecution, ScheduleId, ScheduleOutcome, ScheduleTarget, SelectorKind, Timestamp, act,
};
use pipeline::Event;
use policy::InternalReason;
use serde_json::{Value, json};
use store::repository::Located;
use store::{Reader, Writer};

use crate::access::RepositoryPath;
use crate::jobs::log_text;
use crate::pipeline_start::{self, FILE, NewRun, Start};
use crate::{Caller, Listing, Service, Window};

/// The most schedules of one repository.
const MOST: i64 = 10;
/// The longest name of a pipeline, in bytes.
const LONGEST_PATTERN: usize = 255;

/// How many schedules that are due are looked at, and for how many repositories one may be at work.
const LOOKED_AT: i64 = 500;
const AT_WORK: usize = 64;

/// The repositories for which a schedule is at work, one at a time each.
#[derive(Clone, Default)]
pub(crate) struct ScheduleTurns(Arc<Mutex<HashSet<RepositoryId>>>);

/// A turn, which ends when this is dropped.
struct ScheduleTurn(ScheduleTurns, RepositoryId);

impl ScheduleTurns {
    fn begin(&self, repository: RepositoryId) -> Option<ScheduleTurn> {
        let mut at_work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = at_work.len() < AT_WORK && at_work.insert(repository);
        free.then(|| ScheduleTurn(self.clone(), repository))
    }
}

impl Drop for ScheduleTurn {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// What is asked of a schedule, in the request's own words. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct PipelineScheduleChange {
    /// When it is due.
    pub cron: Option<String>,
    /// What it starts.
    pub target: Option<ScheduleTargetChange>,
    /// Whether it starts anything.
    pub enabled: Option<bool>,
}

/// What a schedule is to start, in the request's own words.
#[derive(Clone, Debug, Default)]
pub struct ScheduleTargetChange {
    /// `branch`, which is the default.
    pub ref_type: Option<String>,
    /// The branch.
    pub ref_name: Option<String>,
    /// How the pipeline is chosen; `branches` where nothing says.
    pub selector: Option<String>,
    /// The pipeline's name or pattern.
    pub pattern: Option<String>,
}

fn missing() -> Error {
    Error::not_found("the schedule")
}

fn id(text: &str) -> Result<ScheduleId> {
    text.parse().map_err(|_| missing())
}

fn cron(text: &str) -> Result<CronPattern> {
    text.parse().map_err(|problem| Error::invalid_field("cron_pattern", problem))
}

fn target(change: &ScheduleTargetChange) -> Result<ScheduleTarget> {
    if change.ref_type.as_deref().is_some_and(|kind| kind != "branch") {
        return Err(Error::invalid_field("target.ref_type", "a schedule is for a branch: use `branch`"));
    }
    let branch = change.ref_name.as_deref().unwrap_or_default();
    if RefName::branch(branch).is_err() {
        return Err(Error::invalid_field("target.ref_name", "use a branch's name"));
    }
    let selector: SelectorKind = match change.selector.as_deref() {
        None | Some("") => SelectorKind::Branches,
        Some(kind) => {
            kind.parse().map_err(|problem| Error::invalid_field("target.selector.type", problem))?
        }
    };
    let pattern = change.pattern.clone().filter(|pattern| !pattern.is_empty());
    if pattern.as_ref().is_some_and(|text| text.len() > LONGEST_PATTERN || text.contains(char::is_control)) {
        let message = format!("use at most {LONGEST_PATTERN} bytes in one line");
        return Err(Error::invalid_field("target.selector.pattern", message));
    }
    if selector == SelectorKind::Custom && pattern.is_none() {
        let message = "name the custom pipeline that is to start";
        return Err(Error::invalid_field("target.selector.pattern", message));
    }
    Ok(ScheduleTarget { branch: branch.to_owned(), selector, pattern })
}

/// When it is due next, where it is enabled.
fn next(cron: &CronPattern, enabled: bool, now: Timestamp) -> Result<Option<Timestamp>> {
    let next = cron.next_after(now);
    if next.is_none() {
        return Err(Error::invalid_field("cron_pattern", "that time does not come again"));
    }
    Ok(next.filter(|_| enabled))
}

/// A schedule in the audit trail.
fn shown(one: &PipelineSchedule) -> Value {
    json!({
        "schedule": one.id, "cron": one.cron.as_str(), "branch": one.target.branch,
        "selector": one.target.selector.as_str(), "pattern": one.target.pattern, "enabled": one.enabled,
    })
}

fn found(reader: &mut Reader<'_>, repository: RepositoryId, id: ScheduleId) -> Result<PipelineSchedule> {
    store::pipeline_schedule::find(reader, repository, id)?.ok_or_else(missing)
}

fn room(writer: &mut Writer<'_>, repository: RepositoryId) -> Result<()> {
    if store::pipeline_schedule::count(writer, repository)? < MOST {
        return Ok(());
    }
    Err(Error::Conflict(format!("a repository has at most {MOST} schedules: remove one first")))
}

impl Service {
    /// Starts what schedules are due to start.
    pub(crate) async fn run_due_schedules(&self) -> Result<()> {
        let now = self.clock.now();
        let due =
            self.store.read(move |reader| store::pipeline_schedule::due(reader, now, LOOKED_AT)).await?;
        for schedule in due {
            // What a repository's providers take long to answer keeps no other repository waiting.
            let Some(turn) = self.schedule_turns.begin(schedule.repository) else { continue };
            let service = self.clone();
            self.background.spawn(async move {
                let id = schedule.id;
                if let Err(error) = service.run_schedule(schedule).await {
                    tracing::error!(error = log_text(&error), schedule = %id, "a schedule could not be run");
                }
                drop(turn);
            });
        }
        Ok(())
    }

    /// One of them, once, on whichever process: what it starts, or why it does not, is kept with its time.
    async fn run_schedule(&self, schedule: PipelineSchedule) -> Result<()> {
        let Some(due_on) = schedule.next_on else { return Ok(()) };
        let Some(located) = self.located(schedule.repository).await? else { return Ok(()) };
        let planned = self.plan_schedule(&located, &schedule).await;
        let runs = match planned {
            Ok(runs) => Ok(runs),
            Err(Error::Internal(cause)) => return Err(Error::Internal(cause)),
            Err(error) => Err(error.to_string()),
        };
        let request = Caller::operator(model::RequestId::new(&self.random));
        let permit = self.internal::<act::PipelineRun>(
            InternalReason::PipelineSchedule,
            &request,
            crate::access::repository_target(&located),
        );
        let (service, runs) = (self.clone(), std::sync::Arc::new(runs));
        let stored = self
            .store
            .write(&permit, move |writer| {
                if !store::pipeline_schedule::take(writer, &schedule)? {
                    return Err(Error::Conflict("taken already".to_owned()));
                }
                let (outcome, told) = match runs.as_ref() {
                    Ok(runs) => {
                        let stored = pipeline_start::put(writer, &service, runs)?;
                        let first = stored.first().map(|(run, _)| run.id);
                        let nothing = || ScheduleOutcome::Failed {
                            key: "nothing-to-run".to_owned(),
                            message: "nothing of the configuration fits the schedule".to_owned(),
                        };
                        let told: Vec<Value> =
                            stored.iter().map(|(run, steps)| pipeline_start::shown(run, *steps)).collect();
                        (first.map_or_else(nothing, ScheduleOutcome::Started), json!(told))
                    }
                    Err(why) => {
                        let failed =
                            ScheduleOutcome::Failed { key: "not-started".to_owned(), message: why.clone() };
                        (failed, json!(why))
                    }
                };
                let execution =
                    ScheduleExecution { schedule: schedule.id, due_on, ran_on: writer.now(), outcome };
                store::pipeline_schedule::mark_run(writer, &execution)?;
                writer.note(Value::Null, json!({ "schedule": schedule.id.braced(), "pipelines": told }));
                Ok(())
            })
            .await;
        self.work.notify_waiters();
        match stored {
            Err(Error::Conflict(_)) => Ok(()),
            other => other,
        }
    }

    async fn plan_schedule(&self, located: &Located, schedule: &PipelineSchedule) -> Result<Vec<NewRun>> {
        let maker = match schedule.set_by {
            Some(id) => self.store.read(move |reader| store::user::find(reader, id)).await?,
            None => None,
        };
        let refused = || {
            Error::forbidden("who made or last changed the schedule may not start pipelines here any more")
        };
        let maker = maker.filter(|user| user.active).ok_or_else(refused)?;
        let nobody = Caller::anonymous(None, model::RequestId::new(&self.random));
        let caller = Caller::user(std::sync::Arc::new(maker.clone()), None, &nobody);
        let ground = self.ground_of(&caller, located.repository.id).await?;
        if !self.decide(&caller, Action::PipelineRun, &ground).allowed {
            return Err(refused());
        }
        let repository = self.git.open(located.repository.id)?;
        let branch = &schedule.target.branch;
        let name = RefName::branch(branch).map_err(|_| Error::invalid("the branch's name is none"))?;
        let found = git::refs::find(&repository, &name).await?;
        let gone = || Error::invalid(format!("there is no branch `{branch}`"));
        let commit = found.ok_or_else(gone)?.commit().clone();
        let text = self.configuration_at(located, &commit).await?;
        let none = || Error::invalid(format!("there is no `{FILE}` on `{branch}`"));
        let due = schedule.next_on.map_or(0, model::Timestamp::micros);
        let start = Start {
            trigger: PipelineTrigger::Schedule,
            id: pipeline_start::id_of(&format!("{} {due}", schedule.id)),
            created_on: self.clock.now(),
            creator_id: Some(maker.id),
            creator: caller.label(),
            reference: Some(name),
            commit,
            before: None,
            event: Event::Schedule {
                branch: branch.clone(),
                custom: schedule.target.custom().map(str::to_owned),
            },
            variables: Vec::new(),
            source: FILE.to_owned(),
            text: text.ok_or_else(none)?,
        };
        self.plan_runs(located, &start).await
    }

    /// A repository's schedules, the oldest first.
    pub async fn pipeline_schedules(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        window: Window,
    ) -> Result<(Located, Listing<PipelineSchedule>)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let repository = located.repository.id;
        let read = move |reader: &mut Reader<'_>| {
            let size = store::pipeline_schedule::count(reader, repository)?;
            let rows = store::pipeline_schedule::list(reader, repository, window.limit, window.offset)?;
            Ok(Listing::new(rows, size))
        };
        Ok((located, self.store.read(read).await?))
    }

    /// One schedule.
    pub async fn pipeline_schedule(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        schedule: &str,
    ) -> Result<PipelineSchedule> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let (repository, id) = (ground.subject.repository.id, id(schedule)?);
        self.store.read(move |reader| found(reader, repository, id)).await
    }

    /// What came of a schedule, the newest first.
    pub async fn pipeline_schedule_executions(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        schedule: &str,
        window: Window,
    ) -> Result<(Located, Listing<ScheduleExecution>)> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let (located, id) = (ground.subject.clone(), id(schedule)?);
        let repository = located.repository.id;
        let read = move |reader: &mut Reader<'_>| {
            let schedule = found(reader, repository, id)?.id;
            let size = store::pipeline_schedule::count_executions(reader, schedule)?;
            let rows = store::pipeline_schedule::executions(reader, schedule, window.limit, window.offset)?;
            Ok(Listing::new(rows, size))
        };
        Ok((located, self.store.read(read).await?))
    }

    /// Makes a schedule.
    pub async fn create_pipeline_schedule(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        new: PipelineScheduleChange,
    ) -> Result<(Located, PipelineSchedule)> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineScheduleSet, ground.as_ref())?;
        let required = |field: &str| Error::invalid_field(field, "this field is required");
        let cron = cron(new.cron.as_deref().ok_or_else(|| required("cron_pattern"))?)?;
        let target = target(new.target.as_ref().ok_or_else(|| required("target"))?)?;
        let (located, now, enabled) = (ground.subject.clone(), self.clock.now(), new.enabled.unwrap_or(true));
        let schedule = PipelineSchedule {
            id: ScheduleId::new(&self.random),
            repository: located.repository.id,
            next_on: next(&cron, enabled, now)?,
            cron,
            target,
            enabled,
            set_by: caller.as_user().map(|user| user.id),
            created_on: now,
            updated_on: now,
        };
        let made = schedule.clone();
        self.store
            .write(&permit, move |writer| {
                room(writer, made.repository)?;
                store::pipeline_schedule::insert(writer, &made)?;
                writer.note(Value::Null, shown(&made));
                Ok(())
            })
            .await?;
        Ok((located, schedule))
    }

    /// Changes a schedule. Its runs are from then on those of whoever changed it: it must not lend them more than they
    /// have.
    pub async fn update_pipeline_schedule(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        schedule: &str,
        change: PipelineScheduleChange,
    ) -> Result<PipelineSchedule> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineScheduleSet, ground.as_ref())?;
        let (repository, id, now) = (ground.subject.repository.id, id(schedule)?, self.clock.now());
        let cron = change.cron.as_deref().map(cron).transpose()?;
        let target = change.target.as_ref().map(target).transpose()?;
        let set_by = caller.as_user().map(|user| user.id);
        self.store
            .write(&permit, move |writer| {
                let before = found(writer, repository, id)?;
                let mut after = PipelineSchedule { set_by, updated_on: now, ..before.clone() };
                after.enabled = change.enabled.unwrap_or(before.enabled);
                if let Some(cron) = &cron {
                    after.cron = cron.clone();
                }
                if let Some(target) = &target {
                    after.target = target.clone();
                }
                after.next_on = match after.enabled {
                    true => next(&after.cron, true, now)?,
                    false => None,
                };
                store::pipeline_schedule::update(writer, &after)?;
                writer.note(shown(&before), shown(&after));
                Ok(after)
            })
            .await
    }

    /// Removes a schedule. A run that it started goes on.
    pub async fn remove_pipeline_schedule(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        schedule: &str,
    ) -> Result<()> {
        let ground = self.repository_ground(caller, path).await?;
        let permit = self.permit(caller, act::PipelineScheduleRemove, ground.as_ref())?;
        let (repository, id) = (ground.subject.repository.id, id(schedule)?);
        self.store
            .write(&permit, move |writer| {
                let before = found(writer, repository, id)?;
                store::pipeline_schedule::remove(writer, id)?;
                writer.note(shown(&before), Value::Null);
                Ok(())
            })
            .await
    }
}

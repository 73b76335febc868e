//! Starting pipelines: what a push, a person or a schedule starts is read from the repository, planned, and put into the
//! queue in one transaction.
//!
//! A push is acknowledged with a job beside its outcome, in the same transaction: so what it starts is started, whatever
//! becomes of this process.

use std::collections::BTreeMap;

use git::{PushOutcome, RefUpdate};
use model::{
    Action, CredentialId, CredentialKind, DeploymentId, Error, ObjectId, PipelineError, PipelineId,
    PipelineRun, PipelineState, PipelineTrigger, PushId, RefName, RepositoryId, Result, StepId, Timestamp,
    UserId, act,
};
use pipeline::plan::{Group, NotYet, PlannedPipeline, SelectorKind};
use pipeline::{Colour, Event, PlannedStep};
use policy::{InternalReason, Origin, Permit};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::Writer;
use store::deployment::NewDeployment;
use store::dynamic_pipeline::Final;
use store::pipeline_run::Inner;
use store::pipeline_step::StepRow;
use store::push::OpenPush;
use store::repository::Located;

use crate::environment::environment_for;
use crate::git_access::internal_permit;
use crate::{Service, pipeline_advance};

/// The kind of the job that starts what a push starts.
pub(crate) const PUSHED: &str = "pipeline-push";
/// The file that says what runs.
pub(crate) const FILE: &str = "bitbucket-pipelines.yml";
/// How the starter of a run begins that a step's push has started, before the number of the step's run. Steps of such a
/// run start no others by pushing: else a pipeline that pushes would run forever.
pub(crate) const BY_A_RUN: &str = "pipeline:";

/// A push that moves more refs than this starts nothing (facts 3.2).
const MOST_REFS: usize = 5;
/// More changed files than this are not looked at: conditions on files hold.
const MOST_CHANGES: usize = 10_000;

/// What is to be started.
pub(crate) struct Start {
    /// What starts it.
    pub(crate) trigger: PipelineTrigger,
    /// The id of the first run.
    pub(crate) id: PipelineId,
    /// When it is started.
    pub(crate) created_on: Timestamp,
    /// The person behind it.
    pub(crate) creator_id: Option<UserId>,
    /// Who that is, as the audit trail names them.
    pub(crate) creator: String,
    /// The ref, where there is one.
    pub(crate) reference: Option<RefName>,
    /// The commit.
    pub(crate) commit: ObjectId,
    /// What the ref led to before; the commit's parent where nothing is known.
    pub(crate) before: Option<ObjectId>,
    /// What is looked for in the file.
    pub(crate) event: Event,
    /// What was set for this run.
    pub(crate) variables: Vec<RunVariable>,
    /// Where the configuration came from, and its text.
    pub(crate) source: String,
    /// Its text.
    pub(crate) text: String,
}

/// A variable that was set for one run.
#[derive(Clone)]
pub(crate) struct RunVariable {
    pub(crate) name: String,
    pub(crate) value: model::Secret,
    pub(crate) secured: bool,
}

/// A run that is ready to be put into the store.
pub(crate) struct NewRun {
    located: Located,
    run: PipelineRun,
    inner: Inner,
    steps: Vec<StepRow>,
    source: String,
    text: String,
    /// What it was planned from, where that is not what it began with.
    pub(crate) made: Option<Final>,
    /// Whether it is kept though it cannot be run.
    kept: bool,
}

impl NewRun {
    /// Why it cannot be run, where that is for the one who asked alone.
    pub(crate) fn refused(&self) -> Option<String> {
        self.run.error.as_ref().filter(|_| !self.kept).map(|error| error.message.clone())
    }

    /// Keeps it though it cannot be run, with what it would have been planned from.
    pub(crate) fn keep_failure(&mut self, made: Option<Final>) {
        (self.kept, self.made) = (true, made);
    }
}

/// What a push that was carried out starts, as its job keeps it; none where it starts nothing.
pub(crate) fn job_of(push: &OpenPush, outcome: &PushOutcome) -> Option<Value> {
    let moved: Vec<&RefUpdate> =
        outcome.refs.iter().filter(|one| one.applied).map(|one| &one.update).collect();
    let counted = moved.iter().filter(|update| kind(&update.name).is_some()).count();
    if counted > MOST_REFS {
        return None;
    }
    let refs: Vec<&RefUpdate> =
        moved.into_iter().filter(|update| kind(&update.name).is_some() && !update.is_deletion()).collect();
    if refs.is_empty() {
        return None;
    }
    Some(json!({ "push": push.id, "repository": push.repository, "origin": push.origin, "refs": refs }))
}

/// Queues what a push starts, beside its outcome.
pub(crate) fn enqueue(writer: &mut Writer<'_>, push: PushId, job: Value) -> Result<()> {
    store::job::enqueue(&mut writer.bookkeeping(), PUSHED, &push.to_string(), job, 0)
}

/// What a ref is to pipelines.
fn kind(name: &RefName) -> Option<Event> {
    let name = name.as_str();
    let branch = name.strip_prefix("refs/heads/").map(|branch| Event::Branch { branch: branch.to_owned() });
    branch.or_else(|| name.strip_prefix("refs/tags/").map(|tag| Event::Tag { tag: tag.to_owned() }))
}

pub(crate) fn selector(kind: SelectorKind) -> &'static str {
    match kind {
        SelectorKind::Default => "default",
        SelectorKind::Branches => "branches",
        SelectorKind::Tags => "tags",
        SelectorKind::PullRequests => "pull-requests",
        SelectorKind::Custom => "custom",
    }
}

pub(crate) fn error(key: &str, message: impl Into<String>) -> PipelineError {
    PipelineError { key: key.to_owned(), message: message.into() }
}

fn not_yet(reasons: &[NotYet]) -> Option<PipelineError> {
    let first = reasons.first()?;
    let line = first.source.start.line;
    Some(error("not-built", format!("{FILE}, line {line}: {}", first.reason.as_str())))
}

/// The id of the first run that something starts: the same whenever it is tried again, so that providers are asked under
/// one key.
pub(crate) fn id_of(key: &str) -> PipelineId {
    let digest = Sha256::digest(key.as_bytes());
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(digest.iter()).for_each(|(byte, from)| *byte = *from);
    PipelineId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// Where an event looks first.
pub(crate) fn selector_of(event: &Event) -> (&'static str, Option<&str>) {
    match event {
        Event::Branch { .. } => ("branches", None),
        Event::Tag { .. } => ("tags", None),
        Event::PullRequest { .. } => ("pull-requests", None),
        Event::Custom { name, .. } => ("custom", Some(name)),
        Event::Schedule { custom, .. } => {
            (if custom.is_some() { "custom" } else { "branches" }, custom.as_deref())
        }
    }
}

impl Service {
    /// Starts what a push starts: the work of a job.
    pub(crate) async fn start_pushed(&self, job: &Value) -> Result<()> {
        let lost = || Error::internal("a push's job cannot be read");
        let field = |name: &str| job.get(name).and_then(Value::as_str);
        let push: PushId = field("push").and_then(|id| id.parse().ok()).ok_or_else(lost)?;
        let id: RepositoryId = field("repository").and_then(|id| id.parse().ok()).ok_or_else(lost)?;
        let refs: Vec<RefUpdate> =
            serde_json::from_value(job.get("refs").cloned().unwrap_or_default()).map_err(Error::internal)?;
        let origin = job.get("origin").cloned().unwrap_or_default();
        let Some(located) = self.located(id).await? else { return Ok(()) };
        let by = match pushing_step(&origin) {
            None => None,
            Some(credential) => match self.run_of_step(credential).await? {
                Some(run) if !run.creator.starts_with(BY_A_RUN) => Some(run),
                _ => {
                    tracing::info!(repository = %id, "a run that a step's push started pushes: it starts nothing");
                    return Ok(());
                }
            },
        };
        if !self.store.read(move |reader| store::pipeline_config::of(reader, id)).await?.enabled {
            return Ok(());
        }
        for update in refs {
            let Some(event) = kind(&update.name) else { continue };
            let permit = internal_permit(&origin, id, InternalReason::PipelinePush, self.clock.now())?;
            self.start_on_ref(&located, permit, (push, by.as_ref()), &update, event).await?;
        }
        Ok(())
    }

    /// The run of the step that was given this credential.
    async fn run_of_step(&self, credential: CredentialId) -> Result<Option<PipelineRun>> {
        self.store
            .read(move |reader| match store::pipeline_step::by_credential(reader, credential)? {
                Some(step) => store::pipeline_run::get(reader, step.pipeline),
                None => Ok(None),
            })
            .await
    }

    /// The repository, while it is there.
    pub(crate) async fn located(&self, id: RepositoryId) -> Result<Option<Located>> {
        self.store
            .read(move |reader| {
                match store::repository::find(reader, id)?.filter(|found| found.deleted_on.is_none()) {
                    Some(found) => store::repository::locate(reader, found),
                    None => Ok(None),
                }
            })
            .await
    }

    async fn start_on_ref(
        &self,
        located: &Located,
        permit: Permit<act::PipelineRun>,
        (push, by): (PushId, Option<&PipelineRun>),
        update: &RefUpdate,
        event: Event,
    ) -> Result<()> {
        let repository = self.git.open(located.repository.id)?;
        let commit = match git::refs::find(&repository, &RefName::clone(&update.name)).await {
            // What an annotated tag leads to.
            Ok(Some(found)) if update.name.as_str().starts_with("refs/tags/") => found.commit().clone(),
            _ => update.new.clone(),
        };
        let Ok(told) = git::commit::read(&repository, &commit).await else { return Ok(()) };
        if pipeline::event::skips(&told.message) {
            return Ok(());
        }
        let Some(text) = self.configuration_at(located, &commit).await? else { return Ok(()) };
        let origin = permit.origin();
        // The job may run again after it was cut off: what a push has started on a ref is not started twice.
        let key = format!("{push} {}", update.name);
        let start = Start {
            trigger: PipelineTrigger::Push,
            id: id_of(&key),
            created_on: self.clock.now(),
            creator_id: creator(origin),
            creator: match by {
                Some(run) => format!("{BY_A_RUN}{}", run.build_number),
                None => origin.actor.clone(),
            },
            reference: Some(update.name.clone()),
            commit,
            before: (!update.old.is_zero()).then(|| update.old.clone()),
            event,
            variables: Vec::new(),
            source: FILE.to_owned(),
            text,
        };
        let runs = self.plan_runs(located, &start).await?;
        if runs.is_empty() {
            return Ok(());
        }
        self.insert_runs(permit, runs, Some(key)).await.map(drop)
    }

    /// The file that says what runs, at a commit; none where there is none.
    pub(crate) async fn configuration_at(
        &self,
        located: &Located,
        commit: &ObjectId,
    ) -> Result<Option<String>> {
        let repository = self.git.open(located.repository.id)?;
        let path = crate::commit::repo_path("path", FILE)?;
        let found = git::tree::find(&repository, commit, &path).await?;
        // A folder or another repository of that name is no file.
        let is_file = |entry: &git::tree::Entry| {
            matches!(entry.kind, git::tree::EntryKind::File { .. } | git::tree::EntryKind::Symlink)
        };
        let Some(entry) = found.filter(is_file) else { return Ok(None) };
        match git::blob::read(&repository, &entry.id, pipeline::bounds::FILE + 1).await {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            // What is too long is told of by who reads it.
            Err(Error::TooLarge { .. }) => Ok(Some("x".repeat(pipeline::bounds::FILE + 1))),
            Err(other) => Err(other),
        }
    }

    /// What is to be run, planned; a run that says why where it cannot be.
    pub(crate) async fn plan_runs(&self, located: &Located, start: &Start) -> Result<Vec<NewRun>> {
        let checked = pipeline::check(&start.source, &start.text);
        let Some(configuration) = &checked.configuration else {
            let message = checked.render(Colour::Off);
            return Ok(vec![self.unplanned(located, start, error("configuration-invalid", message)).await?]);
        };
        let plan = configuration.plan(&start.event);
        if let Some(runs) = self.plan_dynamic(located, start, &plan).await? {
            return Ok(runs);
        }
        let plan = match plan {
            Ok(plan) => plan,
            Err(problem) => {
                let refused = error("plan-refused", problem.to_string());
                return Ok(vec![self.unplanned(located, start, refused).await?]);
            }
        };
        let mut runs = Vec::with_capacity(plan.pipelines.len());
        for (at, planned) in plan.pipelines.iter().enumerate() {
            let id = if at == 0 { start.id } else { PipelineId::new(&self.random) };
            runs.push(self.planned(located, start, planned, id).await?);
        }
        Ok(runs)
    }

    /// A run that tells why there is none.
    pub(crate) async fn unplanned(
        &self,
        located: &Located,
        start: &Start,
        why: PipelineError,
    ) -> Result<NewRun> {
        let (selector, pattern) = selector_of(&start.event);
        let mut run = self.run_of(located, start, selector, pattern.map(str::to_owned), start.id).await?;
        run.state = PipelineState::Error;
        run.error = Some(why);
        run.completed_on = Some(run.created_on);
        let inner = Inner { groups: json!([]), variables: json!([]) };
        let (source, text) = (start.source.clone(), start.text.clone());
        Ok(NewRun {
            located: located.clone(),
            run,
            inner,
            steps: Vec::new(),
            source,
            text,
            made: None,
            kept: false,
        })
    }

    async fn run_of(
        &self,
        located: &Located,
        start: &Start,
        selector: &str,
        pattern: Option<String>,
        id: PipelineId,
    ) -> Result<PipelineRun> {
        let protected = match &start.reference {
            Some(name) => self.protection(located).await?.protect(name),
            None => false,
        };
        // Nobody looks when a schedule starts what somebody has pushed in the meantime.
        let behind = start.creator_id.filter(|_| start.trigger != PipelineTrigger::Schedule);
        let by_administrator = match behind {
            Some(person) => self.person_may(person, Action::DeploymentApprove, located).await?,
            None => false,
        };
        Ok(PipelineRun {
            id,
            repository: located.repository.id,
            build_number: 0,
            trigger: start.trigger,
            creator_id: start.creator_id,
            creator: start.creator.clone(),
            reference: start.reference.clone(),
            commit: start.commit.to_string(),
            protected,
            by_administrator,
            selector: selector.to_owned(),
            pattern,
            state: PipelineState::Pending,
            error: None,
            created_on: start.created_on,
            completed_on: None,
        })
    }

    pub(crate) async fn planned(
        &self,
        located: &Located,
        start: &Start,
        planned: &PlannedPipeline,
        id: PipelineId,
    ) -> Result<NewRun> {
        let mut run =
            self.run_of(located, start, selector(planned.selector), planned.pattern.clone(), id).await?;
        if let Some(why) = not_yet(&planned.not_yet) {
            run.state = PipelineState::Error;
            run.error = Some(why);
            run.completed_on = Some(run.created_on);
        }
        let changed = self.changed_paths(located, start, planned).await?;
        let holds = |plan: &PlannedStep, group: Option<&Group>| {
            let of = |condition: Option<&pipeline::condition::Condition>| match (condition, &changed) {
                (Some(condition), Some(paths)) => condition.changeset_matches(paths),
                _ => true,
            };
            of(plan.condition.as_ref()) && of(group.and_then(|group| group.condition.as_ref()))
        };
        let mut steps = Vec::with_capacity(planned.steps.len());
        for plan in &planned.steps {
            let group = planned.groups.get(plan.group);
            steps.push(StepRow {
                id: StepId::new(&self.random),
                pipeline: run.id,
                repository: run.repository,
                position: i64::try_from(plan.index).unwrap_or(i64::MAX),
                name: plan.name.clone(),
                plan: serde_json::to_value(plan).map_err(Error::internal)?,
                labels: plan.labels(),
                manual: plan.manual,
                started: false,
                excluded: !holds(plan, group),
                state: if run.state.is_over() { "not-run" } else { "pending" }.to_owned(),
                verdict: None,
                attempt: 0,
                runner: None,
                credential: None,
                environment: None,
                concurrency_group: plan.concurrency_group.clone(),
                holds: false,
                outputs: None,
                ready_on: None,
                started_on: None,
                completed_on: None,
            });
        }
        let mut values: BTreeMap<String, RunVariable> = planned
            .values
            .iter()
            .map(|(name, value)| {
                let value = model::Secret::new(value.clone());
                (name.clone(), RunVariable { name: name.clone(), value, secured: false })
            })
            .collect();
        values.extend(start.variables.iter().map(|one| (one.name.clone(), one.clone())));
        let sealed: Result<Vec<Value>> =
            values.values().map(|one| self.seal_run_variable(run.id, one)).collect();
        let inner = Inner {
            groups: serde_json::to_value(&planned.groups).map_err(Error::internal)?,
            variables: Value::Array(sealed?),
        };
        let (source, text) = (start.source.clone(), start.text.clone());
        Ok(NewRun { located: located.clone(), run, inner, steps, source, text, made: None, kept: false })
    }

    /// The paths that changed, where a step asks for them; none where nothing does, or too many did.
    async fn changed_paths(
        &self,
        located: &Located,
        start: &Start,
        planned: &PlannedPipeline,
    ) -> Result<Option<Vec<String>>> {
        let asks = |condition: Option<&pipeline::condition::Condition>| {
            condition.is_some_and(|condition| condition.changesets.is_some())
        };
        if !planned.steps.iter().any(|step| asks(step.condition.as_ref()))
            && !planned.groups.iter().any(|group| asks(group.condition.as_ref()))
        {
            return Ok(None);
        }
        let repository = self.git.open(located.repository.id)?;
        let before = match &start.before {
            Some(before) => Some(before.clone()),
            None => git::commit::read(&repository, &start.commit).await?.parents.first().cloned(),
        };
        let query = git::diff::DiffQuery {
            renames: false,
            ..git::diff::DiffQuery::new(before, start.commit.clone())
        };
        match git::diff::stat(&repository, &query, MOST_CHANGES).await {
            Ok(files) => {
                let paths = files.into_iter().flat_map(|file| [file.old_path, file.new_path]).flatten();
                Ok(Some(paths.map(|path| String::from_utf8_lossy(&path).into_owned()).collect()))
            }
            // A branch that was rewritten: what it led to may be gone. Too many files are more than anyone asks for.
            Err(Error::NotFound { .. } | Error::TooLarge { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Puts runs into the store, numbers them and lets their first steps begin. With a key: once and never again.
    pub(crate) async fn insert_runs(
        &self,
        permit: Permit<act::PipelineRun>,
        runs: Vec<NewRun>,
        once: Option<String>,
    ) -> Result<Vec<PipelineRun>> {
        let runs = std::sync::Arc::new(runs);
        let service = self.clone();
        let stored = self
            .store
            .write(&permit, move |writer| {
                if let Some(key) = &once
                    && !store::pipeline_run::first_time(writer, key)?
                {
                    return Err(Error::Conflict("started already".to_owned()));
                }
                let stored = put(writer, &service, &runs)?;
                let told: Vec<Value> = stored.iter().map(|(run, steps)| shown(run, *steps)).collect();
                writer.note(Value::Null, json!({ "pipelines": told }));
                Ok(stored.into_iter().map(|(run, _)| run).collect())
            })
            .await;
        match stored {
            Err(Error::Conflict(_)) => Ok(Vec::new()),
            other => {
                self.work.notify_waiters();
                other
            }
        }
    }
}

/// Puts runs into the store, numbers them, and lets them go as far as they can: each with how many steps it has.
pub(crate) fn put(
    writer: &mut Writer<'_>,
    service: &Service,
    runs: &[NewRun],
) -> Result<Vec<(PipelineRun, usize)>> {
    let mut stored = Vec::with_capacity(runs.len());
    for new in runs {
        let mut run = new.run.clone();
        run.build_number = store::pipeline_config::next_build_number(writer, run.repository)?;
        store::pipeline_run::insert(writer, &run, &new.inner, &new.source, &new.text)?;
        if let Some(made) = &new.made {
            store::dynamic_pipeline::keep_final(writer, run.id, made)?;
        }
        for step in &new.steps {
            insert_step(writer, new, &run, step)?;
        }
        pipeline_advance::tell_status(writer, service, &run)?;
        if !run.state.is_over() {
            run.state = pipeline_advance::advance(writer, service, run.id)?;
        }
        stored.push((run, new.steps.len()));
    }
    Ok(stored)
}

/// Adds a step, and the deployment that it is, where it deploys: to an environment that is made when a file first names it.
fn insert_step(writer: &mut Writer<'_>, new: &NewRun, run: &PipelineRun, step: &StepRow) -> Result<()> {
    let plan: PlannedStep = serde_json::from_value(step.plan.clone()).map_err(Error::internal)?;
    let Some(name) = plan.deployment.as_ref().filter(|_| !run.state.is_over()) else {
        return store::pipeline_step::insert(writer, step);
    };
    let environment = environment_for(writer, &new.located, name)?.id;
    store::pipeline_step::insert(writer, &StepRow { environment: Some(environment), ..step.clone() })?;
    let deployment = NewDeployment {
        id: DeploymentId::new(writer.random()),
        repository: run.repository,
        environment,
        pipeline: run.id,
        step: step.id,
        release: format!("#{}", run.build_number),
        commit: run.commit.clone(),
        deployer: run.creator_id,
    };
    store::deployment::insert(writer, &deployment).map(drop)
}

/// The credential of the step that pushed, where a step did.
fn pushing_step(origin: &Value) -> Option<CredentialId> {
    let (kind, id) = origin.get("credential")?.as_str()?.split_once(':')?;
    (kind == CredentialKind::StepToken.name()).then(|| id.parse().ok())?
}

/// The person behind a push, where it was one.
fn creator(origin: &Origin) -> Option<UserId> {
    let id = origin.actor_id.as_deref().filter(|_| origin.actor.starts_with("user:"));
    id.and_then(|id| id.parse().ok())
}

/// A run in the audit trail.
pub(crate) fn shown(run: &PipelineRun, steps: usize) -> Value {
    json!({
        "pipeline": run.id.braced(), "build_number": run.build_number, "trigger": run.trigger.as_str(),
        "ref": run.reference, "commit": run.commit, "selector": run.selector, "pattern": run.pattern,
        "state": run.state.as_str(), "steps": steps, "error": run.error.as_ref().map(|error| error.key.as_str()),
    })
}

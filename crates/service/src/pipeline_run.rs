//! Runs of pipelines: seeing them, starting one by hand, stopping it, running what failed again, starting what waits for
//! somebody.

use std::collections::BTreeMap;
use std::sync::Arc;

use git::refs::RefKind;
use model::{
    Error, ObjectId, PipelineId, PipelineRun, PipelineState, PipelineTrigger, RefName, RepositoryId, Result,
    Secret, StepId, User, UserId, act,
};
use pipeline::{Event, PlannedStep};
use store::pipeline_run::{Filter, Order};
use store::pipeline_step::StepRow;
use store::repository::Located;

use crate::access::RepositoryPath;
use crate::pipeline_start::{FILE, RunVariable, Start};
use crate::{Caller, Listing, Service, StepApprovals, Window, pipeline_advance, step_approval};

/// The most variables that somebody sets for one run.
const MOST_VARIABLES: usize = 100;
/// The longest value of one, in bytes.
const LONGEST_VALUE: usize = 32 * 1024;

/// How a request names a run: by its id, or by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineName {
    /// By its id.
    Id(PipelineId),
    /// By its number in the repository.
    Number(i64),
}

impl PipelineName {
    /// Reads a path segment. What cannot be a name does not exist.
    pub fn parse(text: &str) -> Result<Self> {
        let number = text.parse().ok().filter(|number| *number > 0).map(Self::Number);
        let id = || text.parse().ok().map(Self::Id);
        number.or_else(id).ok_or_else(missing)
    }
}

/// A run, as it is shown.
#[derive(Clone, Debug)]
pub struct PipelineView {
    /// The repository.
    pub located: Located,
    /// The run.
    pub run: PipelineRun,
    /// The person who started it, while their account is there.
    pub creator: Option<User>,
    /// For how long its steps ran, in seconds.
    pub build_seconds: i64,
    /// Where its configuration came from.
    pub source: String,
    /// Who changed it after that: `repository-provider`, `workspace-provider`, `repository-rules`, `workspace-rules`.
    pub changed_by: Vec<String>,
    /// What was set for it: name, value where it is not secured, and whether it is.
    pub variables: Vec<(String, Option<String>, bool)>,
}

/// What a run was planned from.
#[derive(Clone, Debug)]
pub struct PipelineConfigurationView {
    /// Where it came from.
    pub source: String,
    /// Its text: the final one, where it was changed.
    pub text: String,
    /// What was changed, as a patch; none where nothing was.
    pub changes: Option<String>,
}

/// A step, as it is shown.
#[derive(Clone, Debug)]
pub struct StepView {
    /// What the store knows.
    pub row: StepRow,
    /// What it does.
    pub plan: PlannedStep,
    /// The runner that has or had it.
    pub runner: Option<(model::RunnerId, String)>,
    /// Who approves it, where its environment asks for approvals.
    pub approvals: Option<StepApprovals>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct PipelineQuery {
    /// In one of these states, of which there may be none.
    pub states: Option<Vec<PipelineState>>,
    /// Started so.
    pub trigger: Option<PipelineTrigger>,
    /// Started by them.
    pub creator: Option<UserId>,
    /// On this branch, or the tag below, where both are named.
    pub branch: Option<String>,
    /// On this tag.
    pub tag: Option<String>,
    /// On any branch, or on any tag.
    pub on: Option<RefKind>,
    /// On this commit.
    pub commit: Option<String>,
    /// Chosen from here: `branches`, `custom` …
    pub selector: Option<String>,
    /// By this pattern.
    pub pattern: Option<String>,
    /// The oldest first.
    pub oldest_first: bool,
}

/// What somebody starts.
#[derive(Clone, Debug, Default)]
pub struct NewPipeline {
    /// On this branch.
    pub branch: Option<String>,
    /// On this tag.
    pub tag: Option<String>,
    /// On this commit; of the branch or tag where nothing is said.
    pub commit: Option<String>,
    /// A custom pipeline; what a push would start where nothing is said.
    pub custom: Option<String>,
    /// Its variables: name, value, whether it is secured.
    pub variables: Vec<NewRunVariable>,
    /// A configuration instead of the repository's.
    pub configuration: Option<String>,
}

/// A variable for one run.
#[derive(Clone)]
pub struct NewRunVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// Whether it is hidden.
    pub secured: bool,
}

impl std::fmt::Debug for NewRunVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewRunVariable").field("name", &self.name).finish_non_exhaustive()
    }
}

fn missing() -> Error {
    Error::not_found("the run of a pipeline")
}

/// Whether a text can be the name of a variable.
pub(crate) fn is_variable_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins && text.len() <= 255 && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn variables(new: &[NewRunVariable]) -> Result<Vec<RunVariable>> {
    if new.len() > MOST_VARIABLES {
        return Err(Error::invalid_field("variables", format!("set at most {MOST_VARIABLES}")));
    }
    new.iter()
        .map(|one| {
            if !is_variable_name(&one.name) {
                let message = format!("`{}` is no name of a variable", one.name.escape_debug());
                return Err(Error::invalid_field("variables", message));
            }
            if one.value.expose().len() > LONGEST_VALUE {
                let message = format!("`{}` has more than {LONGEST_VALUE} bytes", one.name);
                return Err(Error::invalid_field("variables", message));
            }
            Ok(RunVariable { name: one.name.clone(), value: one.value.clone(), secured: one.secured })
        })
        .collect()
}

fn seconds(steps: &[StepRow]) -> i64 {
    let ran = |step: &StepRow| {
        let (from, to) = (step.started_on?, step.completed_on?);
        Some((to.micros() - from.micros()).max(0) / 1_000_000)
    };
    steps.iter().filter_map(ran).sum()
}

impl Service {
    /// A repository's runs, the newest first unless asked otherwise.
    pub async fn pipelines(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        query: PipelineQuery,
        window: Window,
    ) -> Result<Listing<PipelineView>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let located = ground.subject.clone();
        let branch = query.branch.as_ref().map(|name| format!("{}{name}", RefKind::Branches.prefix()));
        let tag = query.tag.as_ref().map(|name| format!("{}{name}", RefKind::Tags.prefix()));
        let references: Vec<String> = branch.into_iter().chain(tag).collect();
        let filter = Filter {
            states: query.states,
            trigger: query.trigger,
            creator: query.creator,
            references: (!references.is_empty()).then_some(references),
            below: query.on.map(RefKind::prefix),
            commit: query.commit,
            selector: query.selector,
            pattern: query.pattern,
        };
        let order = if query.oldest_first { Order::OldestFirst } else { Order::NewestFirst };
        let keyring = Arc::clone(&self.keyring);
        self.store
            .read(move |reader| {
                let id = located.repository.id;
                let size = store::pipeline_run::count(reader, id, &filter)?;
                let runs =
                    store::pipeline_run::list(reader, id, &filter, order, window.limit, window.offset)?;
                let views: Result<Vec<_>> =
                    runs.into_iter().map(|run| view(reader, &keyring, &located, run)).collect();
                Ok(Listing::new(views?, size))
            })
            .await
    }

    /// One run.
    pub async fn pipeline(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        name: PipelineName,
    ) -> Result<PipelineView> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let (located, keyring) = (ground.subject.clone(), Arc::clone(&self.keyring));
        self.store
            .read(move |reader| {
                let run = named(reader, located.repository.id, name)?;
                view(reader, &keyring, &located, run)
            })
            .await
    }

    /// What a run was planned from.
    pub async fn pipeline_configuration(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        name: PipelineName,
    ) -> Result<PipelineConfigurationView> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        let ((source, text), made) = self
            .store
            .read(move |reader| {
                let run = named(reader, repository, name)?;
                let file = store::pipeline_run::configuration(reader, run.id)?.ok_or_else(missing)?;
                Ok((file, store::dynamic_pipeline::final_of(reader, run.id)?))
            })
            .await?;
        Ok(match made {
            None => PipelineConfigurationView { source, text, changes: None },
            Some(made) => {
                let changes = Some(patch(&made.before, &made.text));
                PipelineConfigurationView { source, text: made.text, changes }
            }
        })
    }

    /// A run's steps, in their order.
    pub async fn pipeline_steps(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        name: PipelineName,
    ) -> Result<Vec<StepView>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        self.store
            .read(move |reader| {
                let run = named(reader, repository, name)?;
                store::pipeline_step::list(reader, run.id)?
                    .into_iter()
                    .map(|row| step_view(reader, &run, row))
                    .collect()
            })
            .await
    }

    /// How a run's steps belong together.
    pub async fn pipeline_groups(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        name: PipelineName,
    ) -> Result<Vec<pipeline::plan::Group>> {
        let ground = self.repository_ground(caller, path).await?;
        self.check(caller, act::PipelineRead, ground.as_ref())?;
        let repository = ground.subject.repository.id;
        self.store
            .read(move |reader| {
                let run = named(reader, repository, name)?;
                pipeline_advance::groups(&store::pipeline_run::inner(reader, run.id)?.groups)
            })
            .await
    }

    /// One of them.
    pub async fn pipeline_step(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        pipeline: PipelineName,
        step: StepId,
    ) -> Result<StepView> {
        let steps = self.pipeline_steps(caller, path, pipeline).await?;
        let found = steps.into_iter().find(|view| view.row.id == step);
        found.ok_or_else(|| Error::not_found("the step"))
    }

    /// A step's row, where it is of this run of this repository.
    pub(crate) async fn step_row(
        &self,
        repository: RepositoryId,
        pipeline: PipelineId,
        step: StepId,
    ) -> Result<StepRow> {
        let row = self.store.read(move |reader| store::pipeline_step::get(reader, step)).await?;
        row.filter(|row| row.repository == repository && row.pipeline == pipeline)
            .ok_or_else(|| Error::not_found("the step"))
    }

    /// Starts a run by hand.
    pub async fn run_pipeline(
        &self,
        caller: &Caller,
        path: &RepositoryPath,
        new: NewPipeline,
    ) -> Result<PipelineView> {
        let ground = self.repository_ground(caller, path).await?;
        if new.configuration.is_some() {
            self.check(caller, act::PipelineRunOnDemand, ground.as_ref())?;
        }
        let permit = self.permit(caller, act::PipelineRun, ground.as_ref())?;
        let located = ground.subject.clone();
        let id = located.repository.id;
        if !self.store.read(move |reader| store::pipeline_config::of(reader, id)).await?.enabled {
            return Err(Error::invalid_field("target", "pipelines are switched off in this repository"));
        }
        let repository = self.git.open(located.repository.id)?;
        let (reference, event) = target(&new)?;
        let commit = self.commit_of(&repository, reference.as_ref(), new.commit.as_deref()).await?;
        let (source, text) = match &new.configuration {
            Some(text) => ("on demand".to_owned(), text.clone()),
            None => {
                let text = self.configuration_at(&located, &commit).await?;
                let none = || {
                    let message = format!("there is no `{FILE}` at commit {commit}");
                    Error::invalid_field("target", message)
                };
                (FILE.to_owned(), text.ok_or_else(none)?)
            }
        };
        let set = variables(&new.variables)?;
        let event = match event {
            Event::Custom { name, .. } => Event::Custom {
                name,
                variables: set.iter().map(|one| (one.name.clone(), one.value.expose().to_owned())).collect(),
            },
            other => other,
        };
        let start = Start {
            trigger: PipelineTrigger::Manual,
            id: PipelineId::new(&self.random),
            created_on: self.clock.now(),
            creator_id: caller.as_user().map(|user| user.id),
            creator: caller.label(),
            reference,
            commit,
            before: None,
            event,
            variables: set,
            source,
            text,
        };
        let runs = self.plan_runs(&located, &start).await?;
        if let Some(problem) = runs.iter().find_map(crate::pipeline_start::NewRun::refused) {
            return Err(Error::invalid_field("target", problem));
        }
        if runs.is_empty() {
            return Err(Error::invalid_field("target", "nothing of the configuration fits this target"));
        }
        let made = self.insert_runs(permit, runs, None).await?;
        let first = made.into_iter().next().ok_or_else(missing)?;
        self.pipeline(caller, path, PipelineName::Id(first.id)).await
    }

    async fn commit_of(
        &self,
        repository: &git::Repository,
        reference: Option<&RefName>,
        commit: Option<&str>,
    ) -> Result<ObjectId> {
        let tip = match reference {
            Some(name) => {
                let found = git::refs::find(repository, name).await?;
                let gone = || Error::invalid_field("target", format!("there is no `{name}` here"));
                Some(found.ok_or_else(gone)?.commit().clone())
            }
            None => None,
        };
        match (commit, tip) {
            (Some(commit), tip) => {
                let id = git::refs::resolve(repository, commit).await.map_err(|error| match error {
                    Error::NotFound { .. } => Error::invalid_field("target", "there is no such commit here"),
                    other => other,
                })?;
                // What protection a branch gives is for what lies on it.
                if let Some(tip) = tip
                    && tip != id
                    && git::commit::merge_base(repository, &id, &tip).await?.as_ref() != Some(&id)
                {
                    return Err(Error::invalid_field("target", "the commit does not lie on this ref"));
                }
                Ok(id)
            }
            (None, Some(tip)) => Ok(tip),
            (None, None) => Err(Error::invalid_field("target", "name a branch, a tag or a commit")),
        }
    }
}

fn target(new: &NewPipeline) -> Result<(Option<RefName>, Event)> {
    let odd = |_| Error::invalid_field("target", "no name of a branch or tag");
    let (reference, event) = match (&new.branch, &new.tag) {
        (Some(branch), None) => {
            (Some(RefName::branch(branch).map_err(odd)?), Some(Event::Branch { branch: branch.clone() }))
        }
        (None, Some(tag)) => (Some(RefName::tag(tag).map_err(odd)?), Some(Event::Tag { tag: tag.clone() })),
        (None, None) => (None, None),
        (Some(_), Some(_)) => return Err(Error::invalid_field("target", "name a branch or a tag, not both")),
    };
    let event = match &new.custom {
        Some(name) => Some(Event::Custom { name: name.clone(), variables: BTreeMap::new() }),
        None => event,
    };
    let nothing = || {
        let message = "a commit alone starts a custom pipeline: name one in the selector, or a branch or tag";
        Error::invalid_field("target", message)
    };
    Ok((reference, event.ok_or_else(nothing)?))
}

/// A run by whichever name.
pub(crate) fn named(
    reader: &mut store::Reader<'_>,
    repository: RepositoryId,
    name: PipelineName,
) -> Result<PipelineRun> {
    let found = match name {
        PipelineName::Id(id) => store::pipeline_run::find(reader, repository, id)?,
        PipelineName::Number(number) => store::pipeline_run::numbered(reader, repository, number)?,
    };
    found.ok_or_else(missing)
}

fn view(
    reader: &mut store::Reader<'_>,
    keyring: &keyring::Keyring,
    located: &Located,
    run: PipelineRun,
) -> Result<PipelineView> {
    let creator = match run.creator_id {
        Some(id) => store::user::find(reader, id)?,
        None => None,
    };
    let steps = store::pipeline_step::list(reader, run.id)?;
    let inner = store::pipeline_run::inner(reader, run.id)?;
    let variables = pipeline_advance::run_variables(keyring, run.id, &inner.variables)?
        .into_iter()
        .map(|one| (one.name, (!one.secured).then(|| one.value.expose().to_owned()), one.secured))
        .collect();
    let source = store::pipeline_run::configuration(reader, run.id)?.map(|(source, _)| source);
    Ok(PipelineView {
        located: located.clone(),
        creator,
        build_seconds: seconds(&steps),
        source: source.unwrap_or_default(),
        changed_by: store::dynamic_pipeline::sources_of(reader, run.id)?,
        variables,
        run,
    })
}

/// What is different, as a patch. Texts that are very unlike are told as one taken away and the other put there.
fn patch(before: &str, after: &str) -> String {
    let mut diff = similar::TextDiff::configure();
    let diff = diff.timeout(std::time::Duration::from_millis(300)).diff_lines(before, after);
    diff.unified_diff().context_radius(3).header(FILE, "final").to_string()
}

fn step_view(reader: &mut store::Reader<'_>, run: &PipelineRun, row: StepRow) -> Result<StepView> {
    let plan = serde_json::from_value(row.plan.clone()).map_err(Error::internal)?;
    let runner = match row.runner {
        Some(id) => store::runner::find(reader, id)?.map(|runner| (id, runner.name.to_string())),
        None => None,
    };
    let approvals = step_approval::of(reader, run, &row)?;
    Ok(StepView { row, plan, runner, approvals })
}

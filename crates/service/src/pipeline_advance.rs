//! A run goes on: inside the transaction that changes something about it, whoever that was.

use std::collections::BTreeMap;

use keyring::Keyring;
use model::{BuildState, Environment, Error, PipelineError, PipelineId, PipelineRun, PipelineState, Result};
use pipeline::plan::{Group, GroupKind};
use pipeline::progress::{self, RunState, Standing, StepState};
use pipeline::{PlannedStep, Reference, StepFacts, default_variables};
use serde_json::Value;
use store::pipeline_step::StepRow;
use store::repository::Located;
use store::{Reader, Writer};

use crate::Service;
use crate::code_scanning::code_scanning_verdict;
use crate::commit_status::{OwnStatus, put_own};
use crate::pipeline_start::RunVariable;
use crate::pipeline_variable::variables_for;

/// What the values of a run's own variables are sealed as.
const CONTEXT: &str = "pipeline-run-variable";

impl Service {
    /// A variable of one run, as the run's row keeps it.
    pub(crate) fn seal_run_variable(&self, run: PipelineId, variable: &RunVariable) -> Result<Value> {
        let context = [CONTEXT, &run.to_string(), &variable.name];
        let sealed = self.keyring.seal(&context, variable.value.expose().as_bytes());
        let sealed = sealed.map_err(Error::internal)?;
        Ok(serde_json::json!({ "name": variable.name, "secured": variable.secured, "sealed": hex(&sealed) }))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// The variables that were set for a run.
pub(crate) fn run_variables(keyring: &Keyring, run: PipelineId, kept: &Value) -> Result<Vec<RunVariable>> {
    let lost = || Error::internal("a run's variables cannot be read");
    let mut variables = Vec::new();
    for one in kept.as_array().into_iter().flatten() {
        let name = one.get("name").and_then(Value::as_str).ok_or_else(lost)?;
        let sealed = one.get("sealed").and_then(Value::as_str).and_then(unhex).ok_or_else(lost)?;
        let opened = keyring.open(&[CONTEXT, &run.to_string(), name], &sealed).map_err(Error::internal)?;
        let value = String::from_utf8(opened.expose().to_vec()).map_err(Error::internal)?;
        let secured = one.get("secured").and_then(Value::as_bool).unwrap_or(true);
        variables.push(RunVariable { name: name.to_owned(), value: model::Secret::new(value), secured });
    }
    Ok(variables)
}

/// What earlier steps have left, by name; the last step that left something of a name counts.
pub(crate) fn outputs(steps: &[StepRow]) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    for left in steps.iter().filter_map(|step| step.outputs.as_ref()).filter_map(Value::as_object) {
        let texts = left.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        outputs.extend(texts);
    }
    outputs
}

/// What a run is for, as its variables tell it.
pub(crate) fn reference(run: &PipelineRun) -> Reference {
    let name = run.reference.as_ref();
    let branch =
        name.and_then(|name| name.as_branch()).map(|name| Reference::Branch { name: name.to_owned() });
    let tag = || name.and_then(|name| name.as_tag()).map(|name| Reference::Tag { name: name.to_owned() });
    branch.or_else(tag).unwrap_or(Reference::Commit)
}

/// The steps' places in a run.
pub(crate) fn standings(steps: &[StepRow]) -> Result<Vec<(Standing, PlannedStep)>> {
    steps
        .iter()
        .map(|step| {
            let plan: PlannedStep = serde_json::from_value(step.plan.clone()).map_err(Error::internal)?;
            let state: StepState = step.state.parse().map_err(Error::internal)?;
            let standing =
                Standing { state, manual: step.manual, started: step.started, fail_fast: plan.fail_fast };
            Ok((standing, plan))
        })
        .collect()
}

/// The plan's groups.
pub(crate) fn groups(kept: &Value) -> Result<Vec<Group>> {
    serde_json::from_value(kept.clone()).map_err(Error::internal)
}

/// Whether a step goes on keeping others from its environment when it has ended well: a stage holds its environment until
/// its last step.
pub(crate) fn holds_on(groups: &[Group], plan: &PlannedStep) -> bool {
    groups.get(plan.group).is_some_and(|group| {
        group.kind == GroupKind::Stage
            && group.deployment.is_some()
            && group.steps.last() != Some(&plan.index)
    })
}

/// Whether an environment's restrictions hold a run back until an administrator lets it go on.
pub(crate) fn held_back(environment: &Environment, run: &PipelineRun) -> bool {
    let branch = run.reference.as_ref().and_then(|name| name.as_branch());
    let admitted = || environment.branches.iter().any(|glob| branch.is_some_and(|name| glob.matches(name)));
    (environment.admin_only && !run.by_administrator) || (!environment.branches.is_empty() && !admitted())
}

/// Goes as far as the run can go, and tells where it stands then.
pub(crate) fn advance(writer: &mut Writer<'_>, service: &Service, id: PipelineId) -> Result<PipelineState> {
    let lost = || Error::not_found("the run of a pipeline");
    let run = store::pipeline_run::get(writer, id)?.ok_or_else(lost)?;
    let inner = store::pipeline_run::inner(writer, id)?;
    let groups = groups(&inner.groups)?;
    let rows = store::pipeline_step::list(writer, id)?;
    let known = standings(&rows)?;
    let environments = match rows.iter().any(|row| row.environment.is_some()) {
        true => store::environment::list(writer, run.repository)?,
        false => Vec::new(),
    };
    let mut steps: Vec<Standing> = known.iter().map(|(standing, _)| *standing).collect();
    for (row, step) in rows.iter().zip(&mut steps) {
        let of = environments.iter().find(|one| Some(one.id) == row.environment);
        // One that was removed meanwhile can say no more what it asks for: somebody looks at it.
        let held = of.is_none_or(|one| one.required_approvals > 0 || held_back(one, &run));
        step.manual |= row.environment.is_some() && held;
    }
    let mut seen: Option<(usize, BTreeMap<String, String>)> = None;
    let mut failed = None;
    let told = progress::advance(&groups, &mut steps, |index| {
        let (Some(row), Some((_, plan))) = (rows.get(index), known.get(index)) else { return true };
        if row.excluded {
            return false;
        }
        let group = groups.get(plan.group).and_then(|group| group.condition.as_ref());
        [plan.condition.as_ref(), group].into_iter().flatten().filter(|one| one.state.is_some()).all(|one| {
            if seen.as_ref().is_none_or(|(of, _)| *of != index) {
                match seen_by_conditions(writer, service, (&run, &inner.variables), &rows, (row, plan)) {
                    Ok(found) => seen = Some((index, found)),
                    Err(error) => failed = Some(error),
                }
            }
            one.state_holds(|name| seen.as_ref().and_then(|(_, known)| known.get(name).cloned()))
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    for (index, state) in told.changes {
        if let Some(row) = rows.get(index) {
            store::pipeline_step::set_state(writer, row.id, state.as_str())?;
        }
    }
    for row in told.stop.iter().filter_map(|index| rows.get(*index)) {
        store::pipeline_step::ask_to_stop(writer, row.id)?;
    }
    let mut state = match progress::state(&steps) {
        RunState::Pending => PipelineState::Pending,
        RunState::Running => PipelineState::Running,
        RunState::Paused => PipelineState::Paused,
        RunState::Passed => PipelineState::Passed,
        RunState::Failed => PipelineState::Failed,
        RunState::Stopped => PipelineState::Stopped,
    };
    if state.is_over() {
        store::pipeline_step::release(writer, id)?;
    }
    if state == run.state && !state.is_over() {
        return Ok(state);
    }
    let commit = run.commit.parse().map_err(Error::internal)?;
    let mut error = None;
    if state == PipelineState::Passed
        && let Some(located) = located(writer, run.repository)?
        && let Some(why) = code_scanning_verdict(writer, located.workspace.id, run.repository, &commit)?
    {
        state = PipelineState::Failed;
        service.notify_findings(writer, &located, (run.build_number, &commit), run.creator_id, &why)?;
        error = Some(PipelineError { key: "code-scanning".to_owned(), message: why });
    }
    let ended = state.is_over().then(|| writer.now());
    store::pipeline_run::set_state(writer, id, state, error.as_ref(), ended)?;
    tell_status(writer, service, &PipelineRun { state, error, ..run })?;
    Ok(state)
}

fn located(reader: &mut Reader<'_>, id: model::RepositoryId) -> Result<Option<Located>> {
    match store::repository::find(reader, id)? {
        Some(found) => store::repository::locate(reader, found),
        None => Ok(None),
    }
}

/// Tells on the commit how its run stands.
pub(crate) fn tell_status(writer: &mut Writer<'_>, service: &Service, run: &PipelineRun) -> Result<()> {
    let state = match run.state {
        PipelineState::Pending | PipelineState::Running | PipelineState::Paused => BuildState::InProgress,
        PipelineState::Passed => BuildState::Successful,
        PipelineState::Stopped => BuildState::Stopped,
        PipelineState::Failed | PipelineState::Error => BuildState::Failed,
    };
    let commit = run.commit.parse().map_err(Error::internal)?;
    let name = run.reference.as_ref().and_then(|name| name.as_branch().or(name.as_tag()));
    let what = run.pattern.as_deref().filter(|_| run.selector == "custom").or(name).unwrap_or("the commit");
    let key = match &run.pattern {
        Some(pattern) => format!("{}/{pattern}", run.selector),
        None => run.selector.clone(),
    };
    let number = run.build_number;
    let own = OwnStatus {
        key,
        state,
        name: Some(format!("Pipeline #{number} for {what}")),
        description: run
            .error
            .as_ref()
            .map(|error| error.message.lines().next().unwrap_or_default().to_owned()),
        url: Some(format!("{}/{{repository.full_name}}/pipelines/{number}", service.settings.base_url)),
        refname: name.map(str::to_owned),
    };
    put_own(writer, run.repository, &commit, own)
}

/// What the conditions of a step look at; nothing where the repository is gone.
fn seen_by_conditions(
    reader: &mut Reader<'_>,
    service: &Service,
    (run, own): (&PipelineRun, &Value),
    steps: &[StepRow],
    (row, plan): (&StepRow, &PlannedStep),
) -> Result<BTreeMap<String, String>> {
    match located(reader, run.repository)? {
        Some(located) => Sight { service, located: &located, run, own, steps }.of(reader, row, plan),
        None => Ok(BTreeMap::new()),
    }
}

/// What the conditions of a run's steps look at.
struct Sight<'a> {
    service: &'a Service,
    located: &'a Located,
    run: &'a PipelineRun,
    /// The variables of the run.
    own: &'a Value,
    steps: &'a [StepRow],
}

impl Sight<'_> {
    /// The variables that a step's conditions over the state of its run may look at: what the step itself will have, as far as
    /// the server knows it. Secured ones are not among them, since the outcome would tell what they are; neither is what they
    /// stand before. One that rules require sees what nobody sets: else whoever starts the run, or writes the file, would
    /// decide whether it runs.
    fn of(
        &self,
        reader: &mut Reader<'_>,
        row: &StepRow,
        plan: &PlannedStep,
    ) -> Result<BTreeMap<String, String>> {
        let mut seen = self.defaults(row, plan);
        if plan.required {
            return Ok(seen);
        }
        let (keyring, repository) = (&self.service.keyring, self.run.repository);
        // One that was removed meanwhile has no variables.
        let environment = match row.environment {
            Some(id) => store::environment::find(reader, repository, id)?.map(|one| one.id),
            None => None,
        };
        let workspace = self.located.workspace.id;
        let set = variables_for(reader, keyring, repository, workspace, environment, self.run.protected)?;
        let set = set.into_iter().map(|one| (one.name.to_string(), one.value, one.secured));
        let own = run_variables(keyring, self.run.id, self.own)?;
        let own = own.into_iter().map(|one| (one.name, one.value, one.secured));
        for (name, value, secured) in set.chain(own) {
            match secured {
                true => drop(seen.remove(&name)),
                false => drop(seen.insert(name, value.expose().to_owned())),
            }
        }
        seen.extend(outputs(self.steps));
        Ok(seen)
    }

    /// The default variables of a step, without those of the place where it will run.
    fn defaults(&self, row: &StepRow, plan: &PlannedStep) -> BTreeMap<String, String> {
        let facts = StepFacts {
            uuid: row.id.to_string(),
            // The time that is to come.
            run_number: u64::try_from(row.attempt).unwrap_or(0).saturating_add(1),
            triggerer_uuid: self.run.creator_id.map(|id| id.to_string()).unwrap_or_default(),
            deployment_uuid: row.environment.map(|id| id.to_string()),
            clone_dir: String::new(),
            variables_path: String::new(),
            ssh_key_file: None,
            docker_host: None,
        };
        let run = self.service.run_facts(self.located, self.run);
        let mut defaults: BTreeMap<String, String> =
            default_variables(&run, plan, &facts).into_iter().collect();
        for of_the_runner in ["BITBUCKET_CLONE_DIR", "BITBUCKET_PIPELINES_VARIABLES_PATH"] {
            defaults.remove(of_the_runner);
        }
        defaults
    }
}

#[cfg(test)]
mod tests {
    use model::{
        Clock, PipelineTrigger, PipelineVariable, Random, RefName, Secret, Timestamp, VariableId,
        VariablePlace, act,
    };
    use store::pipeline_variable::Kept;

    use super::*;
    use crate::housekeeping::tests::service;
    use crate::step_assignment::tests::{planned, row};

    fn now() -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000)
    }

    fn run_in(located: &Located) -> PipelineRun {
        PipelineRun {
            id: PipelineId::new(&Random::seeded(3)),
            repository: located.repository.id,
            build_number: 1,
            trigger: PipelineTrigger::Manual,
            creator_id: None,
            creator: "user:mallory".to_owned(),
            reference: Some(RefName::branch("main").unwrap()),
            commit: "0".repeat(40),
            protected: false,
            by_administrator: false,
            selector: "default".to_owned(),
            pattern: None,
            state: PipelineState::Running,
            error: None,
            created_on: now(),
            completed_on: None,
        }
    }

    /// A variable of a place, as it is kept.
    fn kept(service: &Service, place: VariablePlace, name: &str, secured: bool) -> Kept {
        let id = VariableId::new(&service.random);
        let (of, number) = (place.uuid().to_string(), id.to_string());
        let context = ["pipeline_variable", place.kind(), of.as_str(), number.as_str(), "value"];
        let value = format!("{name} of {}", place.kind());
        let value = service.keyring.seal(&context, value.as_bytes()).unwrap();
        let variable = PipelineVariable {
            id,
            place,
            name: name.parse().unwrap(),
            secured,
            protected_only: false,
            environments: Vec::new(),
            created_on: now(),
            updated_on: now(),
        };
        Kept { variable, value }
    }

    testkit::both_engines! {
        /// Attack: a run that is started with the variable by which the condition of a required step passes it over, or a
        /// step that leaves such a one; a condition whose outcome tells what a secured variable is.
        /// Would catch: conditions that see other variables than their step, which is silently passed over then.
        async fn a_condition_sees_what_its_step_will_have_and_nothing_secured(store) {
            let folder = tempfile::tempdir().unwrap();
            let service = service(folder.path(), &Clock::manual(now())).await;
            let random = Random::seeded(3);
            let located = crate::environment::tests::located(&store);
            let run = run_in(&located);
            let repository = run.repository;
            let listed = store.read(move |reader| store::environment::list(reader, repository)).await.unwrap();
            let production = listed[2].id;
            let (everywhere, here, there) = (
                VariablePlace::Workspace(located.workspace.id),
                VariablePlace::Repository(repository),
                VariablePlace::Environment(production),
            );
            let made = [
                kept(&service, everywhere, "WIDE", false),
                kept(&service, everywhere, "BOTH", false),
                kept(&service, everywhere, "HIDDEN", false),
                kept(&service, here, "BOTH", false),
                kept(&service, here, "HIDDEN", true),
                kept(&service, there, "NARROW", false),
                kept(&service, there, "KEY", true),
            ];
            let permit = testkit::permit::<act::PipelineVariableSet>(&store);
            store
                .write(&permit, move |writer| {
                    made.iter().try_for_each(|one| store::pipeline_variable::insert(writer, one))
                })
                .await
                .unwrap();
            let set = [("SKIP", false), ("TOKEN", true)].map(|(name, secured)| RunVariable {
                name: name.to_owned(),
                value: Secret::new("yes".to_owned()),
                secured,
            });
            let sealed = |one: &RunVariable| service.seal_run_variable(run.id, one).unwrap();
            let own = Value::Array(set.iter().map(sealed).collect());
            let plan = planned("{script: [scan], deployment: Production}");
            let left = StepRow {
                outputs: Some(serde_json::json!({ "LEFT": "yes" })),
                environment: Some(production),
                ..row(&random, 0, &plan)
            };
            let seen = async |required: bool, environment: Option<model::EnvironmentId>| {
                let plan = PlannedStep { required, ..plan.clone() };
                let steps = vec![StepRow { environment, ..left.clone() }];
                let (service, located, run, own) = (service.clone(), located.clone(), run.clone(), own.clone());
                let read = store.read(move |reader| {
                    let (service, located, run, own) = (&service, &located, &run, &own);
                    Sight { service, located, run, own, steps: &steps }.of(reader, &steps[0], &plan)
                });
                read.await.unwrap()
            };
            let set_by_people = |seen: &BTreeMap<String, String>| -> Vec<String> {
                seen.keys().filter(|name| !name.starts_with("BITBUCKET_")).cloned().collect()
            };
            let all = seen(false, Some(production)).await;
            assert_eq!(set_by_people(&all), ["BOTH", "CI", "LEFT", "NARROW", "SKIP", "WIDE"]);
            assert_eq!(all["BOTH"], "BOTH of repository");
            for (name, value) in [
                ("BITBUCKET_BRANCH", "main"),
                ("BITBUCKET_WORKSPACE", "acme"),
                ("BITBUCKET_REPO_SLUG", "one"),
                ("BITBUCKET_REPO_FULL_NAME", "acme/one"),
                ("BITBUCKET_REPO_OWNER", "acme"),
                ("BITBUCKET_PROJECT_KEY", "CORE"),
                ("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "production"),
            ] {
                assert_eq!(all[name], value, "{name}");
            }
            assert_eq!(all["BITBUCKET_REPO_UUID"], format!("{{{}}}", located.repository.id));
            assert!(!all.contains_key("BITBUCKET_CLONE_DIR"));
            // Where the environment was removed, its variables are not there, and nothing fails.
            let gone = model::EnvironmentId::new(&random);
            assert_eq!(set_by_people(&seen(false, Some(gone)).await), ["BOTH", "CI", "LEFT", "SKIP", "WIDE"]);
            assert_eq!(set_by_people(&seen(true, Some(production)).await), ["CI"]);
        }
    }
}

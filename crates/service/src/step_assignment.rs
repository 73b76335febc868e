//! What a runner is given to run a step: its plan and variables, where the repository comes from, and tokens that prove who
//! the step is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Environment, EnvironmentId, Error, PipelineRun, PipelineTrigger, RepositoryId, Result, StepId, Token, act,
};
use pipeline::artifact::{Artifacts, Download, UploadKind};
use pipeline::aws::AwsRole;
use pipeline::identity::{Entity, EnvironmentFacts, IdentityFacts, TriggerKind};
use pipeline::protocol::{
    self, Artifact, Assignment, AwsAccess, MintedToken, PIPE_STORAGE, Source, TokenRequest, Variable,
};
use pipeline::script::ScriptItem;
use pipeline::{PlannedStep, RunFacts};
use serde_json::Value;
use store::Reader;
use store::pipeline_step::StepRow;
use store::repository::Located;
use store::step_artifact::ArtifactRow;

use crate::pipeline_ssh::ssh_for;
use crate::pipeline_start::RunVariable;
use crate::pipeline_variable::{ResolvedVariable, variables_for};
use crate::step_claim::holds;
use crate::{Caller, Service, pipeline_advance};

impl Service {
    /// All that a runner needs to run a step.
    pub(crate) async fn assignment(
        &self,
        caller: &Caller,
        located: &Located,
        row: &StepRow,
        token: &Token,
    ) -> Result<Assignment> {
        let plan: PlannedStep = serde_json::from_value(row.plan.clone()).map_err(Error::internal)?;
        let (id, keyring) = (row.pipeline, Arc::clone(&self.keyring));
        let (repository, workspace, environment) =
            (located.repository.id, located.workspace.id, row.environment);
        let (run, set, variables, steps, artifacts, ssh, deploys_to) = self
            .store
            .read(move |reader| {
                let lost = || Error::not_found("the run of a pipeline");
                let run = store::pipeline_run::get(reader, id)?.ok_or_else(lost)?;
                let set = variables_for(reader, &keyring, repository, workspace, environment, run.protected)?;
                let inner = store::pipeline_run::inner(reader, id)?;
                let variables = pipeline_advance::run_variables(&keyring, id, &inner.variables)?;
                let steps = store::pipeline_step::list(reader, id)?;
                let artifacts = store::step_artifact::of_pipeline(reader, id)?;
                let ssh = ssh_for(reader, &keyring, repository)?;
                let deploys_to = deploys_to(reader, repository, environment)?;
                Ok((run, set, variables, steps, artifacts, ssh, deploys_to))
            })
            .await?;
        let variables = of_run(&plan, variables);
        let facts = self.identity_facts(located, &run, row).await?;
        let mut tokens = Vec::with_capacity(plan.tokens.len());
        for wanted in &plan.tokens {
            let minted = self.mint_identity_token(&facts, &wanted.audiences, lifetime(&plan)).await?;
            let minted = minted.record(self, caller).await?;
            let token = minted.token.expose().to_owned();
            tokens.push(protocol::Token { variable: wanted.variable.clone(), token });
        }
        let aws = match aws_role(&plan, deploys_to.as_ref()) {
            Some(wanted) => {
                let role = filled(&wanted.role, &set, &variables);
                let wanted = AwsRole { role, ..wanted };
                Some(self.aws_access(caller, &wanted, &facts, lifetime(&plan)).await?)
            }
            None => None,
        };
        // The nearer to the run, the more it counts: workspace, repository, environment, run, earlier steps.
        let mut known: BTreeMap<String, Variable> = BTreeMap::new();
        for one in set {
            let (name, value) = (one.name.to_string(), one.value.expose().to_owned());
            known.insert(name.clone(), Variable { name, value, secured: one.secured, output: false });
        }
        let pipes = self.pipes_of(&plan);
        let artifacts = artifacts_for(&plan, row, &steps, artifacts, !pipes.is_empty());
        let counts = |step: &StepRow| !plan.required && step.position < row.position;
        let earlier: Vec<StepRow> = steps.into_iter().filter(counts).collect();
        for one in variables {
            let value = one.value.expose().to_owned();
            let variable = Variable { name: one.name.clone(), value, secured: one.secured, output: false };
            known.insert(one.name, variable);
        }
        for (name, value) in pipeline_advance::outputs(&earlier) {
            known.insert(name.clone(), Variable { name, value, secured: false, output: true });
        }
        let run_facts = self.run_facts(located, &run);
        Ok(Assignment {
            step: row.id.to_string(),
            attempt: u32::try_from(row.attempt).unwrap_or(u32::MAX),
            lease: self.settings.step_lease,
            run: run_facts,
            triggerer: run.creator_id.map(|id| id.to_string()).unwrap_or_default(),
            environment: row.environment.map(|id| id.to_string()),
            variables: known.into_values().collect(),
            source: Source {
                url: self.clone_address(located),
                token: token.secret().expose().to_owned(),
                commit: run.commit,
                reference: run.reference.map(|name| name.to_string()),
            },
            tokens,
            aws,
            ssh,
            artifacts,
            pipes,
            plan,
        })
    }

    fn clone_address(&self, located: &Located) -> String {
        let (workspace, repository) = (&located.workspace.slug, &located.repository.slug);
        format!("{}/{workspace}/{repository}.git", self.settings.base_url)
    }

    /// What a step's variables tell of its run.
    pub(crate) fn run_facts(&self, located: &Located, run: &PipelineRun) -> RunFacts {
        RunFacts {
            build_number: u64::try_from(run.build_number).unwrap_or(0),
            commit: run.commit.clone(),
            reference: pipeline_advance::reference(run),
            workspace: located.workspace.slug.to_string(),
            workspace_uuid: located.workspace.id.to_string(),
            repository: located.repository.slug.to_string(),
            repository_uuid: located.repository.id.to_string(),
            is_private: located.repository.private,
            project_key: located.project.key.to_string(),
            project_uuid: located.project.id.to_string(),
            http_origin: self.clone_address(located).trim_end_matches(".git").to_owned(),
            ssh_origin: format!(
                "git@{}:{}/{}.git",
                self.settings.host(),
                located.workspace.slug,
                located.repository.slug
            ),
            pipeline_uuid: run.id.to_string(),
        }
    }

    /// What an identity token says of a step.
    pub(crate) async fn identity_facts(
        &self,
        located: &Located,
        run: &PipelineRun,
        row: &StepRow,
    ) -> Result<IdentityFacts> {
        let (repository, environment, creator) = (row.repository, row.environment, run.creator_id);
        let (environment, actor) = self
            .store
            .read(move |reader| {
                let environment = match environment {
                    Some(id) => store::environment::find(reader, repository, id)?,
                    None => None,
                };
                let actor = match creator {
                    Some(id) => store::user::find(reader, id)?,
                    None => None,
                };
                Ok((environment, actor))
            })
            .await?;
        let entity = |uuid, name: &dyn std::fmt::Display| Entity { uuid, name: name.to_string() };
        Ok(IdentityFacts {
            workspace: entity(located.workspace.id.uuid(), &located.workspace.slug),
            project: entity(located.project.id.uuid(), &located.project.key),
            repository: entity(located.repository.id.uuid(), &located.repository.slug),
            pipeline: run.id.uuid(),
            build_number: u64::try_from(run.build_number).unwrap_or(0),
            step: row.id.uuid(),
            attempt: u32::try_from(row.attempt).unwrap_or(u32::MAX),
            environment: environment.map(|one| EnvironmentFacts {
                uuid: one.id.uuid(),
                name: one.name,
                kind: one.kind.as_str().to_lowercase(),
            }),
            reference: pipeline_advance::reference(run),
            ref_protected: run.protected,
            commit: run.commit.clone(),
            trigger: match run.trigger {
                PipelineTrigger::Push => TriggerKind::Push,
                PipelineTrigger::Manual => TriggerKind::Manual,
                PipelineTrigger::Schedule => TriggerKind::Schedule,
            },
            actor: actor.map(|user| entity(user.id.uuid(), &user.username)),
            runner: row.runner.map(model::RunnerId::uuid).unwrap_or_default(),
        })
    }

    /// A step that its runner has now, and the run that it is of.
    pub(crate) async fn running_step(
        &self,
        caller: &Caller,
        step: StepId,
        attempt: u32,
    ) -> Result<(StepRow, PipelineRun)> {
        let lease = self.leased(caller, step, attempt).await?;
        self.store
            .read(move |reader| {
                holds(reader, &lease)?;
                let gone = || Error::not_found("the step");
                let row = store::pipeline_step::get(reader, step)?.ok_or_else(gone)?;
                let run = store::pipeline_run::get(reader, row.pipeline)?.ok_or_else(gone)?;
                Ok((row, run))
            })
            .await
    }

    /// An identity token that a running step asks for. One that was given none may have none.
    pub async fn step_token(
        &self,
        caller: &Caller,
        step: StepId,
        asked: &TokenRequest,
    ) -> Result<MintedToken> {
        let (row, run) = self.running_step(caller, step, asked.attempt).await?;
        let ground = self.ground_of(caller, row.repository).await?;
        self.check(caller, act::IdentityTokenMint, &ground)?;
        let plan: PlannedStep = serde_json::from_value(row.plan.clone()).map_err(Error::internal)?;
        let Some(first) = plan.tokens.first() else {
            return Err(Error::forbidden("the step has no `oidc`, so it gets no identity token"));
        };
        let audiences = if asked.audiences.is_empty() { &first.audiences } else { &asked.audiences };
        let facts = self.identity_facts(&ground.subject, &run, &row).await?;
        let minted = self.mint_identity_token(&facts, audiences, lifetime(&plan)).await?;
        let minted = minted.record(self, caller).await?;
        let expires = minted.expires.seconds();
        Ok(MintedToken { token: minted.token.expose().to_owned(), expires })
    }

    /// The way to Amazon of a running step, anew: the role that it or its environment names, where a grant still lets it have that.
    ///
    /// # Errors
    /// When the lease is lost, the step names no role, no grant lets it have it, or Amazon does not give it.
    pub async fn step_aws(&self, caller: &Caller, step: StepId, attempt: u32) -> Result<AwsAccess> {
        let lease = self.leased(caller, step, attempt).await?;
        let keyring = Arc::clone(&self.keyring);
        let (row, run, set, variables, deploys_to) = self
            .store
            .read(move |reader| {
                holds(reader, &lease)?;
                let gone = || Error::not_found("the step");
                let row = store::pipeline_step::get(reader, step)?.ok_or_else(gone)?;
                let run = store::pipeline_run::get(reader, row.pipeline)?.ok_or_else(gone)?;
                let repository = store::repository::find(reader, row.repository)?.ok_or_else(gone)?;
                let workspace = store::repository::locate(reader, repository)?.ok_or_else(gone)?.workspace.id;
                let set = variables_for(
                    reader,
                    &keyring,
                    row.repository,
                    workspace,
                    row.environment,
                    run.protected,
                )?;
                let inner = store::pipeline_run::inner(reader, row.pipeline)?;
                let variables = pipeline_advance::run_variables(&keyring, row.pipeline, &inner.variables)?;
                let deploys_to = deploys_to(reader, row.repository, row.environment)?;
                Ok((row, run, set, variables, deploys_to))
            })
            .await?;
        let ground = self.ground_of(caller, row.repository).await?;
        self.check(caller, act::AwsRoleAssume, &ground)?;
        let plan: PlannedStep = serde_json::from_value(row.plan.clone()).map_err(Error::internal)?;
        let Some(wanted) = aws_role(&plan, deploys_to.as_ref()) else {
            let message = "neither the step nor its environment has `aws`, so it gets no role at Amazon";
            return Err(Error::forbidden(message));
        };
        let variables = of_run(&plan, variables);
        let wanted = AwsRole { role: filled(&wanted.role, &set, &variables), ..wanted };
        let facts = self.identity_facts(&ground.subject, &run, &row).await?;
        self.aws_access(caller, &wanted, &facts, lifetime(&plan)).await
    }

    /// The images of the pipes that a step names.
    fn pipes_of(&self, plan: &PlannedStep) -> BTreeMap<String, String> {
        let items = plan.script.iter().chain(&plan.after_script);
        let pipes = items.filter_map(|item| match item {
            ScriptItem::Pipe(pipe) => Some(&pipe.pipe),
            ScriptItem::Command { .. } => None,
        });
        pipes.map(|name| (name.clone(), pipeline::script::image_of(name, &self.settings.pipes))).collect()
    }
}

/// The environment that a step deploys to; none where it was removed meanwhile.
fn deploys_to(
    reader: &mut Reader<'_>,
    repository: RepositoryId,
    environment: Option<EnvironmentId>,
) -> Result<Option<Environment>> {
    match environment {
        Some(id) => store::environment::find(reader, repository, id),
        None => Ok(None),
    }
}

/// The role at Amazon that a step takes on: the one that it names, else that of the environment it deploys to. Grants are asked
/// for either alike.
fn aws_role(plan: &PlannedStep, deploys_to: Option<&Environment>) -> Option<AwsRole> {
    let of_environment = || {
        let role = deploys_to?.aws.as_ref()?;
        Some(AwsRole {
            role: role.arn.to_string(),
            session_duration: role.session_duration,
            region: role.region.as_ref().map(ToString::to_string),
        })
    };
    plan.aws.clone().or_else(of_environment)
}

/// The variables of its run that a step gets. One that rules require gets none: whoever starts the run, or writes the file,
/// would decide by a `PATH` or a `BASH_ENV` what it does.
fn of_run(plan: &PlannedStep, variables: Vec<RunVariable>) -> Vec<RunVariable> {
    if plan.required { Vec::new() } else { variables }
}

/// The artifacts of earlier steps that a step gets. One that rules require gets those of other such steps: files of the
/// others would lie among what it looks at, or be what it runs. Of the others it gets what it names, and that not where
/// a required step has left something of the name. What is scoped to its step reaches no other, even by its name.
fn artifacts_for(
    plan: &PlannedStep,
    row: &StepRow,
    steps: &[StepRow],
    kept: Vec<ArtifactRow>,
    has_pipes: bool,
) -> Vec<Artifact> {
    let is_earlier = |one: &ArtifactRow| one.position < row.position && !is_scoped(one, steps);
    let kept: Vec<ArtifactRow> = kept.into_iter().filter(is_earlier).collect();
    let of_rules = |one: &ArtifactRow| steps.iter().any(|step| step.id == one.step && is_required(step));
    let held: BTreeSet<String> =
        kept.iter().filter(|one| of_rules(one)).map(|one| one.name.clone()).collect();
    let wanted = |one: &ArtifactRow| match &plan.artifacts.download {
        _ if one.name == PIPE_STORAGE => has_pipes && (!plan.required || of_rules(one)),
        Download::All => !plan.required || of_rules(one),
        Download::None => false,
        Download::Named(names) => {
            let shadows = plan.required && held.contains(&one.name) && !of_rules(one);
            names.contains(&one.name) && !shadows
        }
    };
    kept.into_iter()
        .filter(wanted)
        .map(|one| Artifact {
            id: one.id.to_string(),
            name: one.name,
            size: u64::try_from(one.size).unwrap_or(0),
            sha256: one.sha256,
        })
        .collect()
}

/// Whether the step that left an artifact has said that it is for people alone.
fn is_scoped(artifact: &ArtifactRow, steps: &[StepRow]) -> bool {
    let of = steps.iter().find(|step| step.id == artifact.step).and_then(|step| step.plan.get("artifacts"));
    let Some(artifacts) = of.and_then(|of| serde_json::from_value::<Artifacts>(of.clone()).ok()) else {
        return false;
    };
    artifacts.upload.iter().any(|one| one.kind == UploadKind::Scoped && one.name == artifact.name)
}

/// Whether rules have put a step there.
fn is_required(step: &StepRow) -> bool {
    step.plan.get("required").and_then(Value::as_bool).unwrap_or(false)
}

/// A text whose variables stand for what people have set: `$NAME` and `${NAME}`. One that is not set stays as it is.
fn filled(text: &str, set: &[ResolvedVariable], run: &[RunVariable]) -> String {
    let mut filled = text.to_owned();
    let run = run.iter().map(|one| (one.name.clone(), one.value.clone()));
    let set = set.iter().map(|one| (one.name.to_string(), one.value.clone()));
    for (name, value) in run.chain(set) {
        filled = filled.replace(&format!("${{{name}}}"), value.expose());
        if filled.strip_prefix('$').is_some_and(|rest| rest == name) {
            filled = value.expose().to_owned();
        }
    }
    filled
}

/// How long an identity token of a step lives, in seconds: as long as the step may take, and an hour at most.
fn lifetime(plan: &PlannedStep) -> i64 {
    i64::from(plan.max_time).saturating_mul(60)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What comes of a step of a file.
    pub(crate) fn planned(step: &str) -> PlannedStep {
        let text = format!("pipelines: {{default: [step: {step}]}}");
        let event = pipeline::Event::Branch { branch: "main".to_owned() };
        let plan = pipeline::check("f.yml", &text).configuration.unwrap().plan(&event).unwrap();
        plan.pipelines[0].steps[0].clone()
    }

    /// Attack: a run that is started with the `PATH` by which a required step finds another scanner.
    #[test]
    fn a_required_step_gets_no_variables_of_its_run() {
        let step = planned("{script: [scan]}");
        let value = model::Secret::new("/evil".to_owned());
        let set = vec![RunVariable { name: "PATH".to_owned(), value, secured: false }];
        assert_eq!(of_run(&step, set.clone()).len(), 1);
        assert_eq!(of_run(&PlannedStep { required: true, ..step }, set).len(), 0);
    }

    /// Would catch: an environment whose role takes the place of the one that a step names, or that steps which deploy
    /// elsewhere are given.
    #[test]
    fn a_step_takes_its_own_role_before_that_of_its_environment() {
        let random = model::Random::seeded(5);
        let (repository, made) = (RepositoryId::new(&random), model::Timestamp::from_micros(1));
        let [bare, ..] = Environment::defaults(repository, made);
        let role = model::environment::EnvironmentRole {
            arn: "arn:aws:iam::123456789012:role/environment".parse().unwrap(),
            session_duration: 1800,
            region: Some("eu-central-1".parse().unwrap()),
        };
        let with_role = Environment { aws: Some(role), ..bare.clone() };
        let silent = planned("{script: [a]}");
        let own = planned("{script: [a], aws: {role: \"arn:aws:iam::123456789012:role/own\"}}");
        assert_eq!(aws_role(&silent, None), None);
        assert_eq!(aws_role(&silent, Some(&bare)), None);
        let taken = aws_role(&silent, Some(&with_role)).unwrap();
        assert_eq!(taken.role, "arn:aws:iam::123456789012:role/environment");
        assert_eq!((taken.session_duration, taken.region.as_deref()), (1800, Some("eu-central-1")));
        let required = PlannedStep { required: true, ..silent };
        assert_eq!(aws_role(&required, Some(&with_role)), Some(taken));
        // All of it is the step's own: neither the region nor the duration is the environment's.
        let taken = aws_role(&own, Some(&with_role)).unwrap();
        assert_eq!(taken.role, "arn:aws:iam::123456789012:role/own");
        assert_eq!((taken.session_duration, taken.region), (pipeline::aws::SESSION, None));
    }

    /// A step that has passed.
    pub(crate) fn row(random: &model::Random, position: i64, plan: &PlannedStep) -> StepRow {
        StepRow {
            id: StepId::new(random),
            pipeline: model::PipelineId::new(random),
            repository: model::RepositoryId::new(random),
            position,
            name: None,
            plan: serde_json::to_value(plan).unwrap(),
            labels: Vec::new(),
            manual: false,
            started: false,
            excluded: false,
            state: "passed".to_owned(),
            verdict: None,
            attempt: 1,
            runner: None,
            credential: None,
            environment: None,
            concurrency_group: None,
            holds: false,
            outputs: None,
            ready_on: None,
            started_on: None,
            completed_on: None,
        }
    }

    /// Attack: a step of the file that leaves what a required one behind it looks at, reads or runs: files over the clone,
    /// what pipes keep, and something of the name that another required step leaves.
    #[test]
    fn a_required_step_gets_no_files_of_other_steps_unless_it_names_them() {
        let random = model::Random::seeded(7);
        let own = planned("{script: [a]}");
        let rules = PlannedStep { required: true, ..own.clone() };
        let steps = [row(&random, 0, &rules), row(&random, 1, &own), row(&random, 2, &rules)];
        let left = |at: usize, name: &str| ArtifactRow {
            id: StepId::new(&random).uuid(),
            step: steps[at].id,
            pipeline: steps[at].pipeline,
            position: steps[at].position,
            name: name.to_owned(),
            size: 1,
            sha256: format!("{name} of {at}"),
            created_on: model::Timestamp::from_micros(0),
        };
        let kept: Vec<ArtifactRow> =
            [(0, "bill"), (1, "bill"), (1, "artifacts"), (1, PIPE_STORAGE), (2, "late")]
                .into_iter()
                .map(|(at, name)| left(at, name))
                .collect();
        let got = |download: &str, required: bool| -> Vec<String> {
            let plan = planned(&format!("{{script: [a], artifacts: {{{download}}}}}"));
            let plan = PlannedStep { required, ..plan };
            let got = artifacts_for(&plan, &steps[2], &steps, kept.clone(), true);
            got.into_iter().map(|one| one.sha256).collect()
        };
        let pipes = format!("{PIPE_STORAGE} of 1");
        assert_eq!(got("paths: [x]", false), ["bill of 0", "bill of 1", "artifacts of 1", pipes.as_str()]);
        for all in ["paths: [x]", "download: true"] {
            assert_eq!(got(all, true), ["bill of 0"], "{all}");
        }
        assert!(got("download: false", true).is_empty());
        assert_eq!(got("download: [bill, artifacts]", true), ["bill of 0", "artifacts of 1"]);
        assert_eq!(got("download: [bill]", false), ["bill of 0", "bill of 1", pipes.as_str()]);
    }

    /// Would catch: what a step leaves for people alone, and a later step gets all the same.
    #[test]
    fn what_is_scoped_reaches_no_other_step() {
        let random = model::Random::seeded(8);
        let uploads = "{name: shots, type: scoped, paths: [shots]}, {name: app, paths: [app]}";
        let first = planned(&format!("{{script: [a], artifacts: {{upload: [{uploads}]}}}}"));
        let steps = [row(&random, 0, &first), row(&random, 1, &planned("{script: [a]}"))];
        let left = |name: &str| ArtifactRow {
            id: StepId::new(&random).uuid(),
            step: steps[0].id,
            pipeline: steps[0].pipeline,
            position: 0,
            name: name.to_owned(),
            size: 1,
            sha256: String::new(),
            created_on: model::Timestamp::from_micros(0),
        };
        for download in ["true", "[shots, app]"] {
            let plan = planned(&format!("{{script: [a], artifacts: {{download: {download}}}}}"));
            let got = artifacts_for(&plan, &steps[1], &steps, vec![left("app"), left("shots")], false);
            let names: Vec<_> = got.into_iter().map(|one| one.name).collect();
            assert_eq!(names, ["app"], "{download}");
        }
    }
}

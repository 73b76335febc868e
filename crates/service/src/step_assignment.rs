//! What a runner is given to run a step: its plan and variables, where the repository comes from, and tokens that prove who
//! the step is.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Error, PipelineRun, PipelineTrigger, Result, StepId, Token, act};
use pipeline::artifact::Download;
use pipeline::aws::AwsRole;
use pipeline::identity::{Entity, EnvironmentFacts, IdentityFacts, TriggerKind};
use pipeline::protocol::{self, Artifact, Assignment, MintedToken, Source, TokenRequest, Variable};
use pipeline::script::ScriptItem;
use pipeline::{PlannedStep, RunFacts};
use store::pipeline_step::StepRow;
use store::repository::Located;

use crate::pipeline_start::RunVariable;
use crate::pipeline_variable::{ResolvedVariable, variables_for};
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
        let (run, set, variables, steps, artifacts) = self
            .store
            .read(move |reader| {
                let lost = || Error::not_found("the run of a pipeline");
                let run = store::pipeline_run::get(reader, id)?.ok_or_else(lost)?;
                let set = variables_for(reader, &keyring, repository, workspace, environment, run.protected)?;
                let inner = store::pipeline_run::inner(reader, id)?;
                let variables = pipeline_advance::run_variables(&keyring, id, &inner.variables)?;
                let steps = store::pipeline_step::list(reader, id)?;
                Ok((run, set, variables, steps, store::step_artifact::of_pipeline(reader, id)?))
            })
            .await?;
        let facts = self.identity_facts(located, &run, row).await?;
        let mut tokens = Vec::with_capacity(plan.tokens.len());
        for wanted in &plan.tokens {
            let minted = self.mint_identity_token(&facts, &wanted.audiences, lifetime(&plan)).await?;
            let minted = minted.record(self, caller).await?;
            let token = minted.token.expose().to_owned();
            tokens.push(protocol::Token { variable: wanted.variable.clone(), token });
        }
        let aws = match &plan.aws {
            Some(wanted) => {
                let role = filled(&wanted.role, &set, &variables);
                let wanted = AwsRole { role, ..wanted.clone() };
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
        let earlier: Vec<StepRow> = steps.into_iter().filter(|step| step.position < row.position).collect();
        for one in variables {
            let value = one.value.expose().to_owned();
            let variable = Variable { name: one.name.clone(), value, secured: one.secured, output: false };
            known.insert(one.name, variable);
        }
        for (name, value) in pipeline_advance::outputs(&earlier) {
            known.insert(name.clone(), Variable { name, value, secured: false, output: true });
        }
        let wanted = |name: &str| match &plan.artifacts.download {
            Download::All => true,
            Download::None => false,
            Download::Named(names) => names.iter().any(|wanted| wanted == name),
        };
        let artifacts = artifacts
            .into_iter()
            .filter(|one| one.position < row.position && wanted(&one.name))
            .map(|one| Artifact {
                id: one.id.to_string(),
                name: one.name,
                size: u64::try_from(one.size).unwrap_or(0),
                sha256: one.sha256,
            })
            .collect();
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
            artifacts,
            pipes: self.pipes_of(&plan),
            plan,
        })
    }

    fn clone_address(&self, located: &Located) -> String {
        let (workspace, repository) = (&located.workspace.slug, &located.repository.slug);
        format!("{}/{workspace}/{repository}.git", self.settings.base_url)
    }

    /// What a step's variables tell of its run.
    fn run_facts(&self, located: &Located, run: &PipelineRun) -> RunFacts {
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
    async fn identity_facts(
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

    /// An identity token that a running step asks for. One that was given none may have none.
    pub async fn step_token(
        &self,
        caller: &Caller,
        step: StepId,
        asked: &TokenRequest,
    ) -> Result<MintedToken> {
        self.leased(caller, step, asked.attempt).await?;
        let (row, run) = self
            .store
            .read(move |reader| {
                let gone = || Error::not_found("the step");
                let row = store::pipeline_step::get(reader, step)?.ok_or_else(gone)?;
                let run = store::pipeline_run::get(reader, row.pipeline)?.ok_or_else(gone)?;
                Ok((row, run))
            })
            .await?;
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

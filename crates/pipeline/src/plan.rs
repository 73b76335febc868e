//! The plan: what a scheduler and a runner need to know of the pipelines that an event starts, with nothing left to
//! look up in the configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    artifact::Artifacts,
    aws::AwsRole,
    cache::Cache,
    clone::CloneOptions,
    condition::Condition,
    configuration::Configuration,
    deployment::EnvironmentName,
    event::Event,
    expression::Expression,
    image::Image,
    item::Item,
    oidc::{self, IdentityToken},
    runtime::{Architecture, Runtime, Size},
    script::ScriptItem,
    select::{self, Selected},
    selector::Body,
    service::Service,
    span::Span,
    step::{Step, Work},
    trigger::TriggerEvent,
    variable::{self, Variable},
};

/// How long a step may take where nothing else is said, in minutes.
pub const MAX_TIME: u32 = 120;
/// The label that a step needs which names none: whatever runs containers.
const CONTAINERS: &str = "linux";
const CONTAINERS_ON_ARM: &str = "linux.arm64";
/// The labels that tell what a runner runs steps on.
const KINDS: [&str; 5] = [CONTAINERS, CONTAINERS_ON_ARM, "linux.shell", "macos", "windows"];

/// What an event starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The event.
    pub event: Event,
    /// Pipelines that start, each for itself.
    pub pipelines: Vec<PlannedPipeline>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing: Option<String>,
}

/// A pipeline that starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedPipeline {
    /// Where in the file it was chosen from.
    pub selector: SelectorKind,
    /// The pattern that fits, or the name of the custom pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The rule that starts it, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerRule>,
    /// Where it is written.
    pub source: Span,
    /// What it declares.
    pub variables: Vec<Variable>,
    /// What its variables are set to.
    pub values: BTreeMap<String, String>,
    /// In this order, each when the one before it has ended.
    pub groups: Vec<Group>,
    /// All steps, in the order of the file.
    pub steps: Vec<PlannedStep>,
    /// What of it does not run yet. Where this is not empty, the pipeline cannot run as its author means.
    pub not_yet: Vec<NotYet>,
}

/// Where a pipeline was chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectorKind {
    /// `default`.
    Default,
    /// `branches`.
    Branches,
    /// `tags`.
    Tags,
    /// `pull-requests`.
    PullRequests,
    /// `custom`.
    Custom,
}

/// The rule that started a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerRule {
    /// Its event.
    pub event: TriggerEvent,
    /// Its condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Expression>,
    /// Where it is written.
    pub source: Span,
}

/// Steps that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// In which way.
    pub kind: GroupKind,
    /// Of a stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// By their indexes.
    pub steps: Vec<usize>,
    /// Whether somebody must start it: of a stage; for single steps it stands in the step.
    pub manual: bool,
    /// The environment that a stage holds from its first step to its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<EnvironmentName>,
    /// What must hold for a stage to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// In which way steps belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupKind {
    /// One step.
    Step,
    /// All at the same time.
    Parallel,
    /// One after the other.
    Stage,
}

/// A step with everything that it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// From 0, in the order of the file.
    pub index: usize,
    /// Its group, by its index.
    pub group: usize,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is written.
    pub source: Span,
    /// What it runs in.
    pub image: Image,
    /// What it runs.
    pub script: Vec<ScriptItem>,
    /// What runs after that, whatever came of it.
    pub after_script: Vec<ScriptItem>,
    /// The pipeline that it runs instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<Child>,
    /// How large its machine is.
    pub size: Size,
    /// How long it may take, in minutes.
    pub max_time: u32,
    /// Whether somebody must start it.
    pub manual: bool,
    /// Labels that its runner must have, all of them; none: any runner.
    pub runs_on: Vec<String>,
    /// What kind of machine it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// What runs beside it.
    pub services: Vec<Service>,
    /// Folders that it finds again.
    pub caches: Vec<Cache>,
    /// Files that it takes and leaves.
    pub artifacts: Artifacts,
    /// How the repository comes.
    pub clone: CloneOptions,
    /// Identity tokens that it gets.
    pub tokens: Vec<IdentityToken>,
    /// The role at Amazon that it takes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsRole>,
    /// The environment that it deploys to: its own, or its stage's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<EnvironmentName>,
    /// What must hold for it to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Whether its failure stops the others of its parallel group.
    pub fail_fast: bool,
    /// Steps of one such group never run at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_group: Option<String>,
    /// Variables that later steps get from it.
    pub output_variables: Vec<String>,
    /// Its place among the steps that run at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<ParallelPlace>,
    /// Whether rules have put it there: nothing in a file says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

/// A place in a parallel group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParallelPlace {
    /// From 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

/// A pipeline that a step runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Its name below `custom`.
    pub custom: String,
    /// What it begins with.
    pub input_variables: BTreeMap<String, String>,
}

/// Something of a pipeline that does not run yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotYet {
    /// What.
    pub reason: NotYetReason,
    /// Where it is written.
    pub source: Span,
}

/// What does not run yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotYetReason {
    /// A step that runs another pipeline.
    ChildPipeline,
    /// A pipeline that another repository shares.
    Import,
    /// A pipeline of a pull request.
    PullRequest,
}

impl NotYetReason {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChildPipeline => "child pipelines do not run yet",
            Self::Import => "imported pipelines do not run yet",
            Self::PullRequest => "pipelines of pull requests do not run yet",
        }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No custom pipeline has this name.
    #[error("there is no custom pipeline `{name}`{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
    UnknownPipeline {
        /// The name.
        name: String,
        /// A name that is near.
        hint: Option<String>,
    },
    /// Values of its variables are missing or not allowed: a sentence for each.
    #[error("{}", .0.join("; "))]
    Values(Vec<String>),
}

impl PlannedStep {
    /// The labels that its runner must have; where it does not name what it runs on, that of whatever runs containers too:
    /// it runs in an image then.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let mut labels = self.runs_on.clone();
        if !labels.iter().any(|label| KINDS.contains(&label.as_str())) {
            let arm = self.runtime.as_ref().is_some_and(|one| one.arch == Architecture::Arm);
            labels.push(if arm { CONTAINERS_ON_ARM } else { CONTAINERS }.to_owned());
        }
        labels
    }
}

impl PlannedPipeline {
    /// Whether all of it runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.not_yet.is_empty()
    }
}

impl Configuration {
    /// What an event starts.
    ///
    /// # Errors
    /// When a custom pipeline is asked for that is not there, or with values that its variables do not allow.
    pub fn plan(&self, event: &Event) -> Result<Plan, PlanError> {
        let selected = select::select(self, event)?;
        let pipelines: Result<Vec<_>, _> = selected.iter().map(|one| self.plan_one(one, event)).collect();
        let pipelines = pipelines?;
        let nothing = pipelines.is_empty().then(|| nothing(event));
        Ok(Plan { event: event.clone(), pipelines, nothing })
    }

    fn plan_one(&self, selected: &Selected<'_>, event: &Event) -> Result<PlannedPipeline, PlanError> {
        let pipeline = selected.pipeline;
        let values = match event {
            Event::Custom { variables, .. } => {
                variable::values(&pipeline.variables, variables).map_err(PlanError::Values)?
            }
            _ => variable::defaults(&pipeline.variables),
        };
        let mut planned = PlannedPipeline {
            selector: selected.kind,
            pattern: selected.pattern.clone(),
            trigger: selected.trigger.map(|trigger| TriggerRule {
                event: trigger.event,
                condition: trigger.condition.clone(),
                source: trigger.span,
            }),
            source: pipeline.span,
            variables: pipeline.variables.clone(),
            values,
            groups: Vec::new(),
            steps: Vec::new(),
            not_yet: Vec::new(),
        };
        if matches!(event, Event::PullRequest { .. }) {
            planned.not_yet.push(NotYet { reason: NotYetReason::PullRequest, source: pipeline.span });
        }
        if let Body::Import(import) = &pipeline.body {
            planned.not_yet.push(NotYet { reason: NotYetReason::Import, source: import.span });
        }
        for item in pipeline.items() {
            self.plan_item(item, &mut planned);
        }
        Ok(planned)
    }

    fn plan_item(&self, item: &Item, planned: &mut PlannedPipeline) {
        let group = planned.groups.len();
        let count = item.steps().len();
        for (at, step) in item.steps().iter().enumerate() {
            let index = planned.steps.len();
            let mut step_plan = self.plan_step(step, index, group);
            match item {
                Item::Step(_) => {}
                Item::Parallel(parallel) => {
                    step_plan.parallel = Some(ParallelPlace { index: at, count });
                    step_plan.fail_fast = step.fail_fast.unwrap_or(parallel.fail_fast);
                }
                Item::Stage(stage) => {
                    let own = stage.deployment.as_ref().map(|name| name.value.clone());
                    step_plan.deployment = step_plan.deployment.or(own);
                }
            }
            if let Work::Child { span, .. } = &step.work {
                planned.not_yet.push(NotYet { reason: NotYetReason::ChildPipeline, source: *span });
            }
            planned.steps.push(step_plan);
        }
        let end = planned.steps.len();
        planned.groups.push(group_of(item, (end - count..end).collect()));
    }

    fn plan_step(&self, step: &Step, index: usize, group: usize) -> PlannedStep {
        let (script, child) = match &step.work {
            Work::Script(script) => (script.clone(), None),
            Work::Child { custom, input_variables, .. } => {
                let custom = custom.as_ref().map(|name| name.value.clone()).unwrap_or_default();
                (Vec::new(), Some(Child { custom, input_variables: input_variables.clone() }))
            }
        };
        PlannedStep {
            index,
            group,
            name: step.name.clone(),
            source: step.span,
            image: step.image.clone().or_else(|| self.image.clone()).unwrap_or_default(),
            script,
            after_script: step.after_script.clone(),
            child,
            size: step.size.or(self.options.size).unwrap_or_default(),
            max_time: step.max_time.or(self.options.max_time).unwrap_or(MAX_TIME),
            manual: step.manual,
            runs_on: step.runs_on.clone(),
            runtime: step.runtime.clone().or_else(|| self.options.runtime.clone()),
            services: self.services_of(step),
            caches: self.caches_of(step),
            artifacts: step.artifacts.clone(),
            clone: step.clone.over(&self.clone),
            tokens: oidc::tokens(step.oidc.as_ref(), self.options.audiences.as_deref()),
            aws: step.aws.clone(),
            deployment: step.deployment.as_ref().map(|name| name.value.clone()),
            condition: step.condition.clone(),
            fail_fast: step.fail_fast.unwrap_or_default(),
            concurrency_group: step.concurrency_group.clone(),
            output_variables: step.output_variables.clone(),
            parallel: None,
            required: false,
        }
    }
}

fn group_of(item: &Item, steps: Vec<usize>) -> Group {
    let plain = |kind| Group {
        kind,
        name: None,
        steps: Vec::new(),
        manual: false,
        deployment: None,
        condition: None,
    };
    let group = match item {
        Item::Step(_) => plain(GroupKind::Step),
        Item::Parallel(_) => plain(GroupKind::Parallel),
        Item::Stage(stage) => Group {
            name: stage.name.clone(),
            manual: stage.manual,
            deployment: stage.deployment.as_ref().map(|name| name.value.clone()),
            condition: stage.condition.clone(),
            ..plain(GroupKind::Stage)
        },
    };
    Group { steps, ..group }
}

fn nothing(event: &Event) -> String {
    match event {
        Event::Branch { branch } | Event::Schedule { branch, .. } => {
            format!("no pattern below `branches` fits `{branch}`, and there is no `default`")
        }
        Event::Tag { tag } => format!("no pattern below `tags` fits `{tag}`"),
        Event::PullRequest { source, destination, .. } => {
            format!("no pattern below `pull-requests` fits `{source}` to `{destination}`")
        }
        // A custom pipeline that is not there is an error, not a plan without pipelines.
        Event::Custom { name, .. } => format!("there is no custom pipeline `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(step: &str) -> Vec<String> {
        let text = format!("pipelines: {{default: [step: {{{step}, script: [a]}}]}}");
        let event = Event::Branch { branch: "main".to_owned() };
        let plan = crate::check("f.yml", &text).configuration.unwrap().plan(&event).unwrap();
        plan.pipelines[0].steps[0].labels()
    }

    /// Catches a step in an image that is taken by a runner which has none.
    #[test]
    fn a_step_that_does_not_name_what_it_runs_on_runs_in_an_image() {
        assert_eq!(labels("size: 1x"), ["linux"]);
        assert_eq!(labels("runs-on: self.hosted"), ["self.hosted", "linux"]);
        assert_eq!(labels("runs-on: [self.hosted, gpu]"), ["self.hosted", "gpu", "linux"]);
        for kind in ["linux", "linux.arm64", "linux.shell", "macos", "windows"] {
            assert_eq!(labels(&format!("runs-on: [self.hosted, {kind}]")), ["self.hosted", kind]);
        }
    }
}

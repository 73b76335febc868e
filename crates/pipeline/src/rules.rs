//! What can only be judged when the whole file has been read: names that must be defined, and what a pipeline may
//! have once or in number.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    bounds, cache,
    configuration::Configuration,
    diagnostic::{Code, Diagnostic, Diagnostics, quoted},
    item::Item,
    selector::{Body, Pipeline},
    service,
    span::{Span, Spanned},
    step::{Step, Work},
    suggest,
    trigger::TriggerEvent,
};

/// The memory that services leave to the step itself, in megabytes.
const OWN_MEMORY: u32 = 1024;

/// The names that steps and rules may use, gathered once.
struct Known<'c> {
    services: BTreeSet<&'c str>,
    caches: BTreeSet<&'c str>,
    custom: BTreeSet<&'c str>,
}

pub(crate) fn check(configuration: &Configuration, diagnostics: &mut Diagnostics) {
    let custom = configuration.pipelines.custom.iter().map(|(name, _)| name.as_str());
    let known = Known {
        services: configuration.services.keys().map(String::as_str).chain([service::DOCKER]).collect(),
        caches: cache::predefined_names().chain(configuration.caches.keys().map(String::as_str)).collect(),
        custom: custom.collect(),
    };
    let shared = configuration.shared.iter().map(|(_, pipeline)| pipeline);
    for pipeline in configuration.pipelines.all().chain(shared) {
        check_pipeline(configuration, &known, pipeline, diagnostics);
    }
    check_triggers(configuration, &known, diagnostics);
    check_sharing(configuration, diagnostics);
}

fn check_pipeline(
    configuration: &Configuration,
    known: &Known<'_>,
    pipeline: &Pipeline,
    diagnostics: &mut Diagnostics,
) {
    let steps: usize = pipeline.items().iter().map(|item| item.steps().len()).sum();
    if steps > bounds::STEPS {
        let message = format!("this pipeline has {steps} steps; at most {} may be in one", bounds::STEPS);
        diagnostics.push(Diagnostic::error(Code::TooMany, pipeline.span, message));
    }
    if let Some(first) = pipeline.items().first() {
        check_first(first, diagnostics);
    }
    check_environments(pipeline.items(), diagnostics);
    // A pipeline with too many steps has been refused: a look at the first of them is enough.
    for step in pipeline.items().iter().flat_map(Item::steps).take(bounds::STEPS) {
        check_step(configuration, known, step, diagnostics);
    }
}

/// Somebody has to do something before a manual step starts: nothing would ever begin.
fn check_first(item: &Item, diagnostics: &mut Diagnostics) {
    let mut manual = item.steps().iter().filter(|step| step.manual).map(|step| step.span);
    let span = match item {
        Item::Stage(stage) if stage.manual => Some(stage.span),
        Item::Stage(stage) => stage.steps.first().filter(|step| step.manual).map(|step| step.span),
        Item::Step(_) | Item::Parallel(_) => manual.next(),
    };
    if let Some(span) = span {
        let message = "the first step of a pipeline cannot be manual";
        let hint = "for a pipeline that people start, write it below `custom`";
        diagnostics.push(Diagnostic::error(Code::Conflict, span, message).hint(hint));
    }
}

/// Each environment once in a pipeline: a second deployment to it would wait for the first, within one run.
fn check_environments(items: &[Item], diagnostics: &mut Diagnostics) {
    let mut first: BTreeMap<String, Span> = BTreeMap::new();
    for item in items {
        let stage = match item {
            Item::Stage(stage) => stage.deployment.as_ref(),
            _ => None,
        };
        for environment in
            stage.into_iter().chain(item.steps().iter().filter_map(|step| step.deployment.as_ref()))
        {
            if let Some(before) = first.insert(environment.folded(), environment.span) {
                let name = quoted(environment.as_str());
                let message = format!("the environment {name} is deployed to twice in this pipeline");
                let error = Diagnostic::error(Code::Conflict, environment.span, message);
                diagnostics.push(error.related(before, "here first").hint(
                    "steps that deploy to one environment together stand in a `stage` with `deployment`",
                ));
            }
        }
        if let (Some(stage), Some(step)) =
            (stage, item.steps().iter().find_map(|step| step.deployment.as_ref()))
        {
            let message = "a step within a stage that deploys cannot deploy by itself";
            let error = Diagnostic::error(Code::Conflict, step.span, message);
            diagnostics.push(error.related(stage.span, "the stage deploys here"));
        }
    }
}

fn check_step(configuration: &Configuration, known: &Known<'_>, step: &Step, diagnostics: &mut Diagnostics) {
    for name in &step.services {
        check_name(name, "service", &known.services, diagnostics);
    }
    for name in &step.caches {
        check_name(name, "cache", &known.caches, diagnostics);
    }
    let size = step.size.or(configuration.options.size).unwrap_or_default();
    let services = configuration.services_of(step);
    let memory = services.iter().map(|service| service.memory).fold(0, u32::saturating_add);
    let shared = size.memory().saturating_sub(OWN_MEMORY);
    if memory > shared {
        let size = size.as_str();
        let message = format!(
            "the services of this step may use {memory} MB; of size {size} they have {shared} MB to share"
        );
        let hint = "give the step a larger `size`, or its services less `memory`";
        diagnostics.push(Diagnostic::warning(Code::Unwise, step.span, message).hint(hint));
    }
    if let Work::Child { span, custom, .. } = &step.work {
        diagnostics.push(Diagnostic::warning(Code::NotYet, *span, "child pipelines do not run yet"));
        if let Some(custom) = custom {
            check_name(custom, "custom pipeline", &known.custom, diagnostics);
        }
    }
}

fn check_name(name: &Spanned<String>, kind: &str, known: &BTreeSet<&str>, diagnostics: &mut Diagnostics) {
    if known.contains(name.as_str()) {
        return;
    }
    let message = format!("there is no {kind} {}", quoted(name));
    let place = match kind {
        "service" => "define it below `definitions` and `services`",
        "cache" => "define it below `definitions` and `caches`",
        _ => "define it below `pipelines` and `custom`",
    };
    let hint = suggest::did_you_mean(name, known.iter().copied()).unwrap_or_else(|| place.to_owned());
    diagnostics.push(Diagnostic::error(Code::UnknownName, name.span, message).hint(hint));
}

fn check_triggers(configuration: &Configuration, known: &Known<'_>, diagnostics: &mut Diagnostics) {
    for event in [TriggerEvent::RepositoryPush, TriggerEvent::PullrequestPush] {
        let mut started = BTreeSet::new();
        let rules = configuration.triggers.iter().filter(|trigger| trigger.event == event);
        for name in rules.flat_map(|trigger| &trigger.pipelines) {
            check_name(name, "custom pipeline", &known.custom, diagnostics);
            if started.insert(name.as_str()) && started.len() == bounds::TRIGGERED + 1 {
                let (most, event) = (bounds::TRIGGERED, event.as_str());
                let message = format!("the rules of `{event}` name more than {most} pipelines");
                diagnostics.push(Diagnostic::error(Code::TooMany, name.span, message));
            }
        }
    }
}

/// What is imported does not run yet; what is exported cannot itself be imported.
fn check_sharing(configuration: &Configuration, diagnostics: &mut Diagnostics) {
    for pipeline in configuration.pipelines.all() {
        if let Body::Import(import) = &pipeline.body {
            let message = "imported pipelines do not run yet";
            diagnostics.push(Diagnostic::warning(Code::NotYet, import.span, message));
        }
    }
    for (_, pipeline) in &configuration.shared {
        if let Body::Import(import) = &pipeline.body {
            let message = "a pipeline that is shared cannot be imported from elsewhere";
            diagnostics.push(Diagnostic::error(Code::Conflict, import.span, message));
        }
    }
    if let Some(selector) = configuration.pipelines.pull_requests.first() {
        let message = "pipelines of pull requests do not run yet";
        diagnostics.push(Diagnostic::warning(Code::NotYet, selector.pattern.span, message));
    }
}

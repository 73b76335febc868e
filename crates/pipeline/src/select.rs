//! Which pipelines an event starts.
//!
//! Of the patterns that fit a name, one: the exact name before all others, then the one that says most about the name
//! itself. `default` is for branches that no pattern fits, never for tags. Beside that one, every rule of `triggers`
//! that fits starts its pipelines.

use crate::{
    bounds,
    configuration::Configuration,
    event::Event,
    glob,
    plan::{PlanError, SelectorKind},
    selector::{Pipeline, Selector, Target},
    suggest,
    trigger::Trigger,
};

/// A pipeline that an event starts, and by what.
pub(crate) struct Selected<'c> {
    pub(crate) kind: SelectorKind,
    pub(crate) pattern: Option<String>,
    pub(crate) pipeline: &'c Pipeline,
    pub(crate) trigger: Option<&'c Trigger>,
}

pub(crate) fn select<'c>(
    configuration: &'c Configuration,
    event: &Event,
) -> Result<Vec<Selected<'c>>, PlanError> {
    let pipelines = &configuration.pipelines;
    let own = match event {
        Event::Branch { branch } | Event::Schedule { branch, custom: None } => {
            of_branch(configuration, branch)
        }
        Event::Tag { tag } => fitting(&pipelines.tags, tag, SelectorKind::Tags),
        Event::PullRequest { source, destination, .. } => {
            of_pull_request(&pipelines.pull_requests, source, destination)
        }
        Event::Custom { name, .. } | Event::Schedule { custom: Some(name), .. } => {
            Some(custom(configuration, name, None).ok_or_else(|| unknown(configuration, name))?)
        }
    };
    Ok(own.into_iter().chain(triggered(configuration, event)).collect())
}

fn of_branch<'c>(configuration: &'c Configuration, branch: &str) -> Option<Selected<'c>> {
    let pipelines = &configuration.pipelines;
    let default = || {
        let pipeline = pipelines.default.as_ref()?;
        Some(Selected { kind: SelectorKind::Default, pattern: None, pipeline, trigger: None })
    };
    fitting(&pipelines.branches, branch, SelectorKind::Branches).or_else(default)
}

fn best<'c>(selectors: &'c [Selector], name: &str) -> Option<&'c Selector> {
    let at = glob::most_specific(selectors.iter().map(|selector| &selector.pattern.value), name)?;
    selectors.get(at)
}

fn fitting<'c>(selectors: &'c [Selector], name: &str, kind: SelectorKind) -> Option<Selected<'c>> {
    let selector = best(selectors, name)?;
    let Target::Pipeline(pipeline) = &selector.target else { return None };
    Some(Selected { kind, pattern: Some(selector.pattern.as_str().to_owned()), pipeline, trigger: None })
}

fn of_pull_request<'c>(selectors: &'c [Selector], source: &str, destination: &str) -> Option<Selected<'c>> {
    let selector = best(selectors, source)?;
    match &selector.target {
        Target::Pipeline(_) => fitting(selectors, source, SelectorKind::PullRequests),
        Target::Destinations(destinations) => {
            let selected = fitting(destinations, destination, SelectorKind::PullRequests)?;
            let onto = selected.pattern.unwrap_or_default();
            let pattern = Some(format!("{} to {onto}", selector.pattern.as_str()));
            Some(Selected { pattern, ..selected })
        }
    }
}

fn custom<'c>(
    configuration: &'c Configuration,
    name: &str,
    trigger: Option<&'c Trigger>,
) -> Option<Selected<'c>> {
    let pipeline = configuration.pipelines.custom(name)?;
    Some(Selected { kind: SelectorKind::Custom, pattern: Some(name.to_owned()), pipeline, trigger })
}

fn unknown(configuration: &Configuration, name: &str) -> PlanError {
    let names = configuration.pipelines.custom.iter().map(|(name, _)| name.as_str());
    PlanError::UnknownPipeline { name: name.to_owned(), hint: suggest::did_you_mean(name, names) }
}

/// A pipeline that several rules name runs once. What goes beyond the bound has been refused when the file was read.
fn triggered<'c>(configuration: &'c Configuration, event: &Event) -> Vec<Selected<'c>> {
    let mut selected: Vec<Selected<'c>> = Vec::new();
    let Some(kind) = event.trigger() else { return selected };
    let fits = |trigger: &&Trigger| {
        let condition = trigger.condition.as_ref();
        trigger.event == kind
            && condition.is_none_or(|condition| condition.holds(|name: &str| event.variable(name)))
    };
    for trigger in configuration.triggers.iter().filter(fits) {
        for name in &trigger.pipelines {
            let again = selected.iter().any(|other| other.pattern.as_deref() == Some(name.as_str()));
            if !again && selected.len() < bounds::TRIGGERED {
                selected.extend(custom(configuration, name, Some(trigger)));
            }
        }
    }
    selected
}

//! Runs of pipelines: the list, one with its steps and a log that grows while it is looked at, and its configuration.

mod start_form;

use axum::http::StatusCode;
use model::{Action, Error, PipelineState, PipelineTrigger, Result, Timestamp};
use pages::change::{Limits, lines_of};
use pages::commit::subject_and_body;
use pages::frame::Pages;
use pages::measure::Moment;
use pages::pipeline_run::{
    Button, PatchView, PipelineConfigurationPage, PipelinePage, PipelineRow, PipelinesPage, Standing,
    StepGroup, StepRow, TextLine,
};
use pipeline::plan::{Group, GroupKind};
use service::{
    Caller, KnownPipelines, Located, Named, PipelineName, PipelineQuery, PipelineView, RepositoryPath,
    Service, StepView,
};
use wire::Parameters;

use super::resource_form::Typed;
use super::step_approval::{Offer, missing, offer, waits_for};
use super::{
    ROWS, RepositoryTab, by_id, form, may, may_each, now, numbered, page, pipeline_log, repository_frame,
    repository_path, see_other, step_artifact, test_report,
};
use crate::http::{Cx, Response};

/// How many custom pipelines are suggested.
const SUGGESTED: usize = 100;

const FILTERS: [(&str, &str, &[PipelineState]); 5] = [
    ("All", "", &[]),
    ("Running", "running", &[PipelineState::Pending, PipelineState::Running]),
    ("Paused", "paused", &[PipelineState::Paused]),
    ("Failed", "failed", &[PipelineState::Failed, PipelineState::Stopped, PipelineState::Error]),
    ("Passed", "passed", &[PipelineState::Passed]),
];

fn standing(state: PipelineState) -> Standing {
    let (word, look) = match state {
        PipelineState::Pending => ("Waiting", ""),
        PipelineState::Running => ("Running", "warning"),
        PipelineState::Paused => ("Paused", "warning"),
        PipelineState::Passed => ("Passed", "open"),
        PipelineState::Failed => ("Failed", "danger"),
        PipelineState::Stopped => ("Stopped", ""),
        PipelineState::Error => ("Not run", "danger"),
    };
    Standing { word, look }
}

fn step_standing(state: &str) -> Standing {
    let (word, look) = match state {
        "paused" => ("Paused", "warning"),
        "ready" => ("Waiting", ""),
        "running" => ("Running", "warning"),
        "passed" => ("Passed", "open"),
        "failed" => ("Failed", "danger"),
        "stopped" => ("Stopped", ""),
        "skipped" => ("Skipped", ""),
        "not-run" => ("Not run", ""),
        _ => ("Not begun", ""),
    };
    Standing { word, look }
}

/// A length of time for readers.
fn took(from: Option<Timestamp>, to: Option<Timestamp>) -> String {
    let Some((from, to)) = from.zip(to) else { return String::new() };
    let seconds = (to.micros() - from.micros()).max(0) / 1_000_000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

pub(super) fn base(located: &Located) -> String {
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    pages::address::of(&[workspace, slug, "pipelines"])
}

fn trigger(kind: PipelineTrigger) -> &'static str {
    match kind {
        PipelineTrigger::Push => "Push",
        PipelineTrigger::Manual => "By hand",
        PipelineTrigger::Schedule => "Schedule",
    }
}

fn row(view: &PipelineView, subject: &str, now: Timestamp) -> PipelineRow {
    let run = &view.run;
    let located = &view.located;
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let on = run.reference.as_ref().and_then(|name| name.as_branch().or(name.as_tag())).unwrap_or_default();
    let what = match (run.selector.as_str(), &run.pattern) {
        ("custom", Some(name)) => name.clone(),
        _ => String::new(),
    };
    let creator = view.creator.as_ref().map(|user| user.display_name.to_string());
    PipelineRow {
        href: format!("{}/{}", base(located), run.build_number),
        number: run.build_number,
        standing: standing(run.state),
        what,
        on: on.to_owned(),
        subject: subject.to_owned(),
        commit: run.commit.chars().take(12).collect(),
        commit_href: pages::address::of(&[workspace, slug, "commits", &run.commit]),
        who: creator.unwrap_or_else(|| run.creator.clone()),
        trigger: trigger(run.trigger),
        time: Moment::of(run.created_on, now),
        took: took(Some(run.created_on), run.completed_on),
    }
}

/// `GET …/pipelines?state=`
///
/// # Errors
/// When the caller may not see them.
pub async fn list(cx: Cx) -> Result<Response> {
    shown_list(&cx, Typed::default()).await
}

/// The list, with what was asked for where that was refused.
async fn shown_list(cx: &Cx, typed: Typed) -> Result<Response> {
    let path = repository_path(cx)?;
    let service = cx.service()?;
    let located = service.repository(&cx.caller, &path).await?;
    let (number, window) = numbered(cx, ROWS)?;
    let state = cx.query.get("state")?.unwrap_or_default().to_owned();
    let states = FILTERS.iter().find(|(_, word, _)| *word == state).map(|(.., states)| states.to_vec());
    let states = states.filter(|states| !states.is_empty());
    let query = PipelineQuery { states, ..PipelineQuery::default() };
    let found = service.pipelines(&cx.caller, &path, query, window).await?;
    let now = now(cx);
    let mut runs = Vec::with_capacity(found.values.len());
    for view in &found.values {
        let subject = subject(service, &cx.caller, &path, &view.run.commit).await;
        runs.push(row(view, &subject, now));
    }
    let here = base(&located);
    let starts = may(cx, Action::PipelineRun, Named::Repository(by_id(&located))).await;
    let default = located.repository.default_branch.as_str();
    let branch = start_form::branch(&typed, default);
    let known = match starts {
        // They are a help: the list is shown without them.
        true => service.known_pipelines(&cx.caller, &path, &branch).await.unwrap_or_default(),
        false => KnownPipelines::default(),
    };
    let (fields, variables) = start_form::fields(&typed, default, &branch, &known);
    let at = |word: &str| match word {
        "" => here.clone(),
        word => pages::address::with_query(&here, "state", word),
    };
    let total = found.size.and_then(|size| u64::try_from(size).ok());
    let run = format!("{here}/run");
    let shown = PipelinesPage {
        frame: repository_frame(cx, &located, "Pipelines", RepositoryTab::Pipelines).await,
        on: format!("{}/{}", located.workspace.slug, located.repository.slug),
        filters: FILTERS
            .iter()
            .map(|(name, word, _)| ((*name).to_owned(), at(word), *word == state))
            .collect(),
        pages: Pages::numbered(&at(&state), number, u64::try_from(ROWS).unwrap_or(1), runs.len(), total),
        runs,
        state,
        start: starts.then(|| Button { token: form::token(cx, &run), href: run.clone() }),
        error: typed.elsewhere(&fields, &["variables"]),
        fields,
        variables,
        names: known.names.into_iter().take(SUGGESTED).collect(),
    };
    page(typed.status(), &shown)
}

/// The first line of a commit's message; nothing where the commit is gone.
async fn subject(service: &Service, caller: &Caller, path: &RepositoryPath, commit: &str) -> String {
    match service.commit(caller, path, commit).await {
        Ok(found) => found.commits.first().map(|one| subject_and_body(&one.message).0).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// `POST …/pipelines/run`: starts one by hand.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told beside it.
pub async fn run(cx: Cx, form: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let started = match start_form::wanted(&form) {
        Ok(new) => cx.service()?.run_pipeline(&cx.caller, &path, new).await,
        Err(error) => Err(error),
    };
    match started {
        Ok(view) => see_other(&format!("{}/{}", base(&view.located), view.run.build_number)),
        Err(error) => shown_list(&cx, Typed::default().refused(form, start_form::placed(error))?).await,
    }
}

fn name(cx: &Cx) -> Result<PipelineName> {
    let number = cx.param("number").parse().ok().filter(|number| *number > 0);
    number.map(PipelineName::Number).ok_or_else(|| Error::not_found("the run of a pipeline"))
}

pub(super) fn step_name(view: &StepView) -> String {
    view.row.name.clone().unwrap_or_else(|| format!("Step {}", view.row.position + 1))
}

fn waits(view: &StepView) -> String {
    match view.row.state.as_str() {
        "ready" => format!("Waits for a runner with {}.", labels(&view.row.labels)),
        "paused" => match missing(view) {
            Some(approvals) => waits_for(approvals),
            None => "Waits for somebody to start it.".to_owned(),
        },
        "skipped" => "Its condition did not hold.".to_owned(),
        _ => String::new(),
    }
}

fn labels(labels: &[String]) -> String {
    match labels {
        [one] => format!("the label {one}"),
        several => format!("the labels {}", several.join(", ")),
    }
}

fn group_name(group: &Group) -> String {
    match (group.kind, &group.name) {
        (GroupKind::Step, _) => String::new(),
        (GroupKind::Parallel, _) => "At the same time".to_owned(),
        (GroupKind::Stage, Some(name)) => format!("Stage: {name}"),
        (GroupKind::Stage, None) => "Stage".to_owned(),
    }
}

/// What came of a step, in a sentence.
pub(super) fn verdict(view: &StepView) -> String {
    let text = |key: &str| view.row.verdict.as_ref().and_then(|verdict| verdict.get(key)?.as_str());
    let number = |key: &str| view.row.verdict.as_ref().and_then(|verdict| verdict.get(key)?.as_i64());
    match text("verdict") {
        Some("passed") => "All commands succeeded.".to_owned(),
        Some("failed") => format!("A command failed with exit status {}.", number("exit_code").unwrap_or(1)),
        Some("stopped") => "It was stopped.".to_owned(),
        Some("timed-out") => {
            format!("It took longer than the {} minutes that it may.", number("minutes").unwrap_or(0))
        }
        Some("error") => format!("It could not be run: {}.", text("message").unwrap_or_default()),
        _ => waits(view),
    }
}

/// `GET …/pipelines/{number}?step=&attempt=&service=`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    let service = cx.service()?;
    let view = service.pipeline(&cx.caller, &path, name).await?;
    let steps = service.pipeline_steps(&cx.caller, &path, name).await?;
    let groups = service.pipeline_groups(&cx.caller, &path, name).await?;
    let located = &view.located;
    let here = format!("{}/{}", base(located), view.run.build_number);
    let chosen = chosen(&cx, &steps)?;
    let actions = [Action::PipelineSteer, Action::DeploymentApprove];
    let may = may_each(&cx, &actions, Named::Repository(by_id(located))).await;
    let (steers, approves) = (may.first() == Some(&true), may.get(1) == Some(&true));
    let viewer = cx.caller.as_user().map(|user| user.id);
    let button = |end: &str| {
        let href = format!("{here}/{end}");
        Button { token: form::token(&cx, &href), href }
    };
    let step_row = |(at, step): (usize, &StepView)| {
        let offer = offer(step, (steers, approves), viewer);
        let offers = matches!(offer, Offer::Start | Offer::Approve);
        StepRow {
            href: pages::address::with_query(&here, "step", &(at + 1).to_string()),
            name: step_name(step),
            standing: step_standing(&step.row.state),
            took: took(step.row.started_on, step.row.completed_on),
            waits: waits(step),
            start: offers.then(|| button(&format!("steps/{}/start", at + 1))),
            approves: matches!(offer, Offer::Approve),
            not_approved: if let Offer::NotTheirs(why) = offer { why } else { "" },
            here: Some(at) == chosen,
        }
    };
    let shown_groups = groups
        .iter()
        .map(|group| StepGroup {
            name: group_name(group),
            steps: group.steps.iter().filter_map(|at| Some(step_row((*at, steps.get(*at)?)))).collect(),
        })
        .collect();
    let log = match chosen.and_then(|at| Some((at, steps.get(at)?))) {
        Some((at, step)) => Some(pipeline_log::shown(&cx, &path, &view, (at, step), &here).await?),
        None => None,
    };
    let tests = match chosen.and_then(|at| steps.get(at)) {
        Some(step) => test_report::part(&cx, &path, name, step).await?,
        None => None,
    };
    let artifacts = match chosen.and_then(|at| Some((at + 1, steps.get(at)?.row.id))) {
        Some((number, id)) => {
            step_artifact::part(&cx, &path, (name, id), &format!("{here}/steps/{number}")).await?
        }
        None => Vec::new(),
    };
    let over = view.run.state.is_over();
    let again = matches!(view.run.state, PipelineState::Failed | PipelineState::Stopped);
    let subject = subject(service, &cx.caller, &path, &view.run.commit).await;
    let title = format!("Pipeline #{}", view.run.build_number);
    let page_shown = PipelinePage {
        frame: repository_frame(&cx, located, &title, RepositoryTab::Pipelines).await,
        run: row(&view, &subject, now(&cx)),
        error: view.run.error.as_ref().map(|error| error.message.clone()).unwrap_or_default(),
        groups: shown_groups,
        variables: view
            .variables
            .iter()
            .map(|(name, value, _)| (name.clone(), value.clone().unwrap_or_else(|| "hidden".to_owned())))
            .collect(),
        log,
        artifacts,
        tests,
        stop: (steers && !over).then(|| button("stop")),
        rerun: (steers && again && !steps.is_empty()).then(|| button("rerun")),
        configuration: format!("{here}/configuration"),
        waits: !over && view.run.state != PipelineState::Paused,
    };
    page(StatusCode::OK, &page_shown)
}

/// The step whose log is shown: the one that is asked for, or the first that fails, runs or waits, or the last that ran.
fn chosen(cx: &Cx, steps: &[StepView]) -> Result<Option<usize>> {
    if let Some(text) = cx.query.get("step")? {
        let at = text.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        return match at.filter(|at| *at < steps.len()) {
            Some(at) => Ok(Some(at)),
            None => Err(Error::not_found("the step")),
        };
    }
    let first = |state: &str| steps.iter().position(|step| step.row.state == state);
    let found = first("failed").or(first("running")).or(first("ready"));
    let last = || steps.iter().rposition(|step| step.row.attempt > 0);
    Ok(found.or_else(last).or((!steps.is_empty()).then_some(0)))
}

fn step_number(cx: &Cx) -> Result<usize> {
    let number = cx.param("step").parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    number.ok_or_else(|| Error::not_found("the step"))
}

pub(super) async fn step_of(cx: &Cx) -> Result<(PipelineView, StepView)> {
    let (path, name) = (repository_path(cx)?, name(cx)?);
    let service = cx.service()?;
    let view = service.pipeline(&cx.caller, &path, name).await?;
    let mut steps = service.pipeline_steps(&cx.caller, &path, name).await?;
    let at = step_number(cx)?;
    if at >= steps.len() {
        return Err(Error::not_found("the step"));
    }
    Ok((view, steps.swap_remove(at)))
}

/// `POST …/pipelines/{number}/stop`
///
/// # Errors
/// When the caller may not, or the run is over.
pub async fn stop(cx: Cx, _: Parameters) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    cx.service()?.stop_pipeline(&cx.caller, &path, name).await?;
    back(&cx).await
}

/// `POST …/pipelines/{number}/rerun`
///
/// # Errors
/// When the caller may not, or nothing failed.
pub async fn rerun(cx: Cx, _: Parameters) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    cx.service()?.rerun_pipeline(&cx.caller, &path, name).await?;
    back(&cx).await
}

/// `POST …/pipelines/{number}/steps/{step}/start`: starts or approves it.
///
/// # Errors
/// When the caller may not, the step waits for nobody, or this approval does not count.
pub async fn start(cx: Cx, _: Parameters) -> Result<Response> {
    let (_, step) = step_of(&cx).await?;
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    cx.service()?.start_step(&cx.caller, &path, name, step.row.id).await?;
    back(&cx).await
}

async fn back(cx: &Cx) -> Result<Response> {
    let view = cx.service()?.pipeline(&cx.caller, &repository_path(cx)?, name(cx)?).await?;
    see_other(&format!("{}/{}", base(&view.located), view.run.build_number))
}

/// Who changed a configuration, for readers.
fn changer(word: &str) -> &str {
    match word {
        "repository-provider" => "the repository's provider",
        "workspace-provider" => "the workspace's provider",
        "repository-rules" => "the repository's rules",
        "workspace-rules" => "the workspace's rules",
        other => other,
    }
}

/// `GET …/pipelines/{number}/configuration`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn configuration(cx: Cx) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    let service = cx.service()?;
    let view = service.pipeline(&cx.caller, &path, name).await?;
    let found = service.pipeline_configuration(&cx.caller, &path, name).await?;
    let subject = subject(service, &cx.caller, &path, &view.run.commit).await;
    let title = format!("Configuration of pipeline #{}", view.run.build_number);
    let short: String = view.run.commit.chars().take(12).collect();
    let shown = PipelineConfigurationPage {
        frame: repository_frame(&cx, &view.located, &title, RepositoryTab::Pipelines).await,
        run: row(&view, &subject, now(&cx)),
        source: match found.source.as_str() {
            "on demand" => "Sent with the request that started it; it is not in the repository.".to_owned(),
            file => format!("{file}, as it was at commit {short}."),
        },
        changed_by: view.changed_by.iter().map(|word| changer(word).to_owned()).collect(),
        lines: found
            .text
            .lines()
            .enumerate()
            .map(|(at, line)| TextLine { number: at + 1, text: line.to_owned() })
            .collect(),
        changes: found.changes.map(|patch| {
            let (lines, cut) = lines_of(&patch, Limits::WHOLE);
            PatchView { lines, cut }
        }),
    };
    page(StatusCode::OK, &shown)
}

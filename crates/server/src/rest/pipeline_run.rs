//! Runs of pipelines, their steps and logs.

mod query_input;

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use model::{Error, PipelineId, PipelineState, PipelineTrigger, Result, Secret, StepId};
use pipeline::script::ScriptItem;
use service::{
    LogName, LogPart, NewPipeline, NewRunVariable, PipelineName, PipelineQuery, PipelineView, RefKind,
    RepositoryPath, StepView,
};
use wire::pipeline_run::{
    Command, CommitName, ConfigurationSource, Image, Pipeline, PipelineInput, PipelineLinks, PipelineStep,
    RunVariable, Selector, SelfLink, State, StateError, StepApproval, StepApprovals, StepRunner, Target,
    Trigger,
};

use super::shape::full_name;
use super::source::is_known;
use super::{Shape, list_request, located, page, repository_path, send};
use crate::http::{Cx, Response, answer};

/// The most of a log that one answer holds, in bytes.
const MOST_OF_LOG: usize = 16 * 1024 * 1024;

fn state(view: &PipelineView) -> State {
    let error = view.run.error.as_ref();
    let error = error.map(|error| StateError { key: error.key.clone(), message: error.message.clone() });
    match view.run.state {
        PipelineState::Pending => State::new("pipeline", "PENDING"),
        PipelineState::Running => State::in_progress("pipeline", "RUNNING"),
        PipelineState::Paused => State::in_progress("pipeline", "PAUSED"),
        PipelineState::Passed => State::completed("pipeline", "SUCCESSFUL", None),
        PipelineState::Failed => State::completed("pipeline", "FAILED", None),
        PipelineState::Stopped => State::completed("pipeline", "STOPPED", None),
        PipelineState::Error => State::completed("pipeline", "ERROR", error),
    }
}

fn step_state(view: &StepView) -> State {
    let message = view.row.verdict.as_ref().and_then(|verdict| verdict.get("message")?.as_str());
    let error = message
        .map(|message| StateError { key: "step-could-not-be-run".to_owned(), message: message.to_owned() });
    match view.row.state.as_str() {
        "ready" => State::new("pipeline_step", "READY"),
        "running" => State::in_progress("pipeline_step", "RUNNING"),
        "paused" => State::in_progress("pipeline_step", "PAUSED"),
        "passed" => State::completed("pipeline_step", "SUCCESSFUL", None),
        "failed" if error.is_some() => State::completed("pipeline_step", "ERROR", error),
        "failed" => State::completed("pipeline_step", "FAILED", None),
        "stopped" => State::completed("pipeline_step", "STOPPED", None),
        "skipped" | "not-run" => State::completed("pipeline_step", "NOT_RUN", None),
        _ => State::new("pipeline_step", "PENDING"),
    }
}

fn target(shape: &Shape, view: &PipelineView) -> Target {
    let run = &view.run;
    let branch = run.reference.as_ref().and_then(|name| name.as_branch());
    let tag = run.reference.as_ref().and_then(|name| name.as_tag());
    let selector = Selector { kind: run.selector.clone(), pattern: run.pattern.clone() };
    let full_name = full_name(&view.located);
    let this = shape.base.api(&["repositories", &full_name, "commit", &run.commit]);
    Target {
        kind: if run.reference.is_some() { "pipeline_ref_target" } else { "pipeline_commit_target" },
        ref_type: branch.map(|_| "branch").or(tag.map(|_| "tag")),
        ref_name: branch.or(tag).map(str::to_owned),
        selector,
        commit: CommitName { hash: run.commit.clone(), links: SelfLink { this } },
    }
}

fn trigger(kind: PipelineTrigger) -> Trigger {
    let name = match kind {
        PipelineTrigger::Push => "PUSH",
        PipelineTrigger::Manual => "MANUAL",
        PipelineTrigger::Schedule => "SCHEDULE",
    };
    Trigger { kind: format!("pipeline_trigger_{}", kind.as_str()), name }
}

fn shown(shape: &Shape, view: &PipelineView) -> Pipeline {
    let run = &view.run;
    let full_name = full_name(&view.located);
    let file = shape.base.api(&["repositories", &full_name, "src", &run.commit, &view.source]).href;
    let mut sources = vec![ConfigurationSource { source: view.source.clone(), uri: file }];
    sources.extend(view.changed_by.iter().map(|word| {
        let place = match word.starts_with("workspace") {
            true => format!("workspaces/{}", view.located.workspace.slug),
            false => format!("repositories/{full_name}"),
        };
        let uri = format!("{}/api/{place}/dynamic-pipelines", shape.base.url());
        ConfigurationSource { source: word.clone(), uri }
    }));
    Pipeline {
        uuid: run.id.into(),
        build_number: run.build_number,
        creator: view.creator.as_ref().map(|user| shape.user(user)),
        repository: shape.repository(&view.located),
        target: target(shape, view),
        trigger: trigger(run.trigger),
        state: state(view),
        variables: view
            .variables
            .iter()
            .map(|(key, value, secured)| RunVariable {
                key: key.clone(),
                value: value.clone().unwrap_or_default(),
                secured: *secured,
            })
            .collect(),
        created_on: run.created_on.into(),
        completed_on: run.completed_on.map(Into::into),
        build_seconds_used: view.build_seconds,
        configuration_sources: sources,
        links: PipelineLinks::new(&shape.base, &full_name, &run.id.braced()),
    }
}

fn commands(items: &[ScriptItem]) -> Vec<Command> {
    items
        .iter()
        .map(|item| match item {
            ScriptItem::Command { command } => Command { name: command.clone(), command: command.clone() },
            ScriptItem::Pipe(pipe) => {
                let name = pipe.name.clone().unwrap_or_else(|| pipe.pipe.clone());
                Command { name, command: format!("pipe: {}", pipe.pipe) }
            }
        })
        .collect()
}

fn approvals(shape: &Shape, of: &service::StepApprovals) -> StepApprovals {
    let given = of
        .given
        .iter()
        .map(|one| StepApproval { user: shape.user(&one.user), created_on: one.created_on.into() });
    StepApprovals { required: of.required, given: given.collect() }
}

fn shown_step(shape: &Shape, view: &StepView) -> PipelineStep {
    let (row, plan) = (&view.row, &view.plan);
    let ran = row.started_on.zip(row.completed_on);
    PipelineStep {
        uuid: row.id.into(),
        name: row.name.clone(),
        pipeline: BTreeMap::from([("type", "pipeline".to_owned()), ("uuid", row.pipeline.braced())]),
        state: step_state(view),
        image: Image { name: plan.image.name.clone() },
        script_commands: commands(&plan.script),
        setup_commands: Vec::new(),
        run_number: row.attempt,
        max_time: plan.max_time.saturating_mul(60),
        parallel_group: plan
            .parallel
            .map(|place| BTreeMap::from([("group_index", place.index), ("group_size", place.count)])),
        runs_on: row.labels.clone(),
        runner: view.runner.as_ref().map(|(id, name)| StepRunner { uuid: (*id).into(), name: name.clone() }),
        started_on: row.started_on.map(Into::into),
        completed_on: row.completed_on.map(Into::into),
        duration_in_seconds: ran.map(|(from, to)| (to.micros() - from.micros()).max(0) / 1_000_000),
        approvals: view.approvals.as_ref().map(|of| approvals(shape, of)),
    }
}

pub(super) fn name(cx: &Cx) -> Result<PipelineName> {
    PipelineName::parse(cx.param("pipeline_uuid"))
}

pub(super) fn step(cx: &Cx) -> Result<StepId> {
    cx.param("step_uuid").parse().map_err(|_| Error::not_found("the step"))
}

fn states(word: &str) -> Result<Vec<PipelineState>> {
    Ok(match word {
        "PARSING" | "UNKNOWN" | "HALTED" => Vec::new(),
        "PENDING" => vec![PipelineState::Pending],
        "PAUSED" => vec![PipelineState::Paused],
        "BUILDING" | "IN_PROGRESS" => vec![PipelineState::Running],
        "ERROR" => vec![PipelineState::Error],
        "PASSED" | "SUCCESSFUL" => vec![PipelineState::Passed],
        "FAILED" => vec![PipelineState::Failed],
        "STOPPED" => vec![PipelineState::Stopped],
        _ => {
            return Err(Error::invalid_field(
                "status",
                "use one of PENDING, BUILDING, PAUSED, PASSED, FAILED, STOPPED, ERROR",
            ));
        }
    })
}

fn query(cx: &Cx) -> Result<PipelineQuery> {
    let word = |name: &str| Ok::<_, Error>(cx.query.get(name)?.filter(|text| !text.is_empty()));
    let text = |name: &str| Ok::<_, Error>(word(name)?.map(str::to_owned));
    let ref_name = text("target.ref_name")?;
    let on = match word("target.ref_type")? {
        None => None,
        Some("tag") => Some(RefKind::Tags),
        Some("branch" | "named_branch") => Some(RefKind::Branches),
        Some(_) => return Err(Error::invalid_field("target.ref_type", "use `branch` or `tag`")),
    };
    // A name alone may be that of either.
    let branch = ref_name.clone().filter(|_| on != Some(RefKind::Tags));
    let tag = ref_name.filter(|_| on != Some(RefKind::Branches));
    let trigger = match word("trigger_type")? {
        None => None,
        Some("PUSH") => Some(PipelineTrigger::Push),
        Some("MANUAL") => Some(PipelineTrigger::Manual),
        Some("SCHEDULED") => Some(PipelineTrigger::Schedule),
        Some(_) => return Err(Error::invalid_field("trigger_type", "use PUSH, MANUAL or SCHEDULED")),
    };
    let creator = match word("creator.uuid")? {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| Error::invalid_field("creator.uuid", "this is no UUID"))?),
    };
    let oldest_first = match word("sort")? {
        None | Some("-created_on" | "-build_number") => false,
        Some("created_on" | "build_number") => true,
        Some(_) => return Err(Error::invalid_field("sort", "use `created_on` or `-created_on`")),
    };
    Ok(PipelineQuery {
        states: word("status")?.map(states).transpose()?,
        trigger,
        creator,
        branch: text("target.branch")?.or(branch),
        tag,
        on,
        commit: text("target.commit.hash")?,
        selector: text("target.selector.type")?,
        pattern: text("target.selector.pattern")?,
        oldest_first,
    })
}

/// `GET …/pipelines`
///
/// # Errors
/// When the caller may not see them, or a filter cannot be understood.
pub async fn list(cx: Cx) -> Result<Response> {
    let (request, window) = list_request(&cx)?;
    let path = repository_path(&cx)?;
    let found = cx.service()?.pipelines(&cx.caller, &path, query(&cx)?, window).await?;
    let shape = Shape::of(&cx);
    let here = shape.api(&["repositories", cx.param("workspace"), cx.param("repo_slug"), "pipelines"]);
    send(&cx, StatusCode::OK, &page(&cx, &request, found, &here, |view| shown(&shape, &view)))
}

fn wanted(input: PipelineInput) -> Result<NewPipeline> {
    let target = input.target;
    let name = target.ref_name.filter(|name| !name.is_empty());
    let (branch, tag) = match (target.kind.as_deref(), target.ref_type.as_deref()) {
        (Some("pipeline_commit_target"), _) => (None, None),
        (Some("pipeline_pullrequest_target"), _) => {
            let message = "pipelines of pull requests do not run yet";
            return Err(Error::invalid_field("target.type", message));
        }
        (None | Some("pipeline_ref_target"), None | Some("branch" | "named_branch")) => (name, None),
        (None | Some("pipeline_ref_target"), Some("tag")) => (None, name),
        (None | Some("pipeline_ref_target"), Some(_)) => {
            return Err(Error::invalid_field("target.ref_type", "use `branch` or `tag`"));
        }
        (Some(_), _) => {
            let message = "use `pipeline_ref_target` or `pipeline_commit_target`";
            return Err(Error::invalid_field("target.type", message));
        }
    };
    let custom = match target.selector {
        Some(selector) if selector.kind.as_deref() == Some("custom") => {
            let none = || Error::invalid_field("target.selector.pattern", "name the custom pipeline");
            Some(selector.pattern.ok_or_else(none)?)
        }
        _ => None,
    };
    let variables = input.variables.unwrap_or_default().into_iter().map(|one| NewRunVariable {
        name: one.key,
        value: Secret::new(one.value),
        secured: one.secured,
    });
    Ok(NewPipeline {
        branch,
        tag,
        commit: target.commit.and_then(|commit| commit.hash),
        custom,
        variables: variables.collect(),
        configuration: None,
    })
}

/// `POST …/pipelines`: starts a run, of the repository's configuration, or of one that is sent as YAML, with the target and
/// the variables in the query.
///
/// # Errors
/// When the caller may not, or nothing can be run.
pub async fn create(mut cx: Cx) -> Result<Response> {
    let sent = cx.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let yaml = sent.is_some_and(|sent| {
        let sent = sent.split(';').next().unwrap_or_default().trim();
        ["application/yaml", "application/x-yaml", "text/yaml"].contains(&sent)
    });
    let new = if yaml {
        let text = String::from_utf8(cx.bytes().await?.to_vec());
        let text = text.map_err(|_| Error::invalid("the configuration is not text in UTF-8"))?;
        NewPipeline { configuration: Some(text), ..wanted(query_input::wanted(&cx.query)?)? }
    } else {
        wanted(cx.json().await?)?
    };
    let path = repository_path(&cx)?;
    let made = cx.service()?.run_pipeline(&cx.caller, &path, new).await?;
    let made = shown(&Shape::of(&cx), &made);
    located(send(&cx, StatusCode::CREATED, &made)?, &made.links.this.href)
}

/// `GET …/pipelines/{pipeline_uuid}`: by id or by number.
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    let found = cx.service()?.pipeline(&cx.caller, &path, name).await?;
    send(&cx, StatusCode::OK, &shown(&Shape::of(&cx), &found))
}

/// `GET …/pipelines/{pipeline_uuid}/steps`
///
/// # Errors
/// When there is no such run, or the caller may not see it.
pub async fn steps(cx: Cx) -> Result<Response> {
    let (request, window) = list_request(&cx)?;
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    let found = cx.service()?.pipeline_steps(&cx.caller, &path, name).await?;
    let list = service::Listing::cut(found, window);
    let uuid = cx.param("pipeline_uuid");
    let parts = ["repositories", cx.param("workspace"), cx.param("repo_slug"), "pipelines", uuid, "steps"];
    let shape = Shape::of(&cx);
    let here = shape.api(&parts);
    send(&cx, StatusCode::OK, &page(&cx, &request, list, &here, |view| shown_step(&shape, &view)))
}

/// `GET …/pipelines/{pipeline_uuid}/steps/{step_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get_step(cx: Cx) -> Result<Response> {
    let (path, name, step) = (repository_path(&cx)?, name(&cx)?, step(&cx)?);
    let found = cx.service()?.pipeline_step(&cx.caller, &path, name, step).await?;
    send(&cx, StatusCode::OK, &shown_step(&Shape::of(&cx), &found))
}

/// `POST …/pipelines/{pipeline_uuid}/stopPipeline`
///
/// # Errors
/// When the caller may not, or the run is over.
pub async fn stop(cx: Cx) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    cx.service()?.stop_pipeline(&cx.caller, &path, name).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// `POST /api/…/pipelines/{pipeline_uuid}/rerun`: runs what failed again.
///
/// # Errors
/// When the caller may not, or nothing failed.
pub async fn rerun(cx: Cx) -> Result<Response> {
    let (path, name) = (repository_path(&cx)?, name(&cx)?);
    let service = cx.service()?;
    service.rerun_pipeline(&cx.caller, &path, name).await?;
    let view = service.pipeline(&cx.caller, &path, name).await?;
    send(&cx, StatusCode::OK, &shown(&Shape::of(&cx), &view))
}

/// `POST /api/…/pipelines/{pipeline_uuid}/steps/{step_uuid}/start`: starts a step that waits for somebody, or approves it
/// where its environment asks for approvals.
///
/// # Errors
/// When the caller may not, the step waits for nobody, or this approval does not count.
pub async fn start_step(cx: Cx) -> Result<Response> {
    let (path, name, step) = (repository_path(&cx)?, name(&cx)?, step(&cx)?);
    let service = cx.service()?;
    service.start_step(&cx.caller, &path, name, step).await?;
    let view = service.pipeline_step(&cx.caller, &path, name, step).await?;
    send(&cx, StatusCode::OK, &shown_step(&Shape::of(&cx), &view))
}

/// `GET …/pipelines/{pipeline_uuid}/steps/{step_uuid}/log`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn log(cx: Cx) -> Result<Response> {
    send_log(&cx, LogName::default()).await
}

/// `GET …/pipelines/{pipeline_uuid}/steps/{step_uuid}/logs/{log_uuid}`: of a service, by its name.
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn service_log(cx: Cx) -> Result<Response> {
    let name = cx.param("log_uuid").to_owned();
    send_log(&cx, LogName { attempt: None, name }).await
}

/// `bytes=N-`, `bytes=N-M`, `bytes=-N`.
enum Asked {
    All,
    From(u64, Option<u64>),
    Last(u64),
}

fn asked(cx: &Cx) -> Asked {
    let range = cx.headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")) else { return Asked::All };
    // More than one range is answered with all, as the standard lets a server do.
    match range.split_once('-') {
        Some(("", last)) => last.parse().map_or(Asked::All, Asked::Last),
        Some((first, "")) => first.parse().map_or(Asked::All, |first| Asked::From(first, None)),
        Some((first, last)) => match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Asked::From(first, Some(last)),
            _ => Asked::All,
        },
        None => Asked::All,
    }
}

async fn send_log(cx: &Cx, log: LogName) -> Result<Response> {
    let (path, name, step) = (repository_path(cx)?, name(cx)?, step(cx)?);
    let pipeline = cx.service()?.pipeline(&cx.caller, &path, name).await?.run.id;
    raw_log(cx, &path, pipeline, step, log).await
}

/// A log as it is, or a part of it.
pub(crate) async fn raw_log(
    cx: &Cx,
    path: &RepositoryPath,
    pipeline: PipelineId,
    step: StepId,
    log: LogName,
) -> Result<Response> {
    let service = cx.service()?;
    let first = service.step_log(&cx.caller, path, (pipeline, step), &log, 0, 0).await?;
    let tag = format!("\"{}-{}-{}\"", step, first.attempt, first.length);
    if is_known(&cx.headers, &tag) {
        return tagged(answer::empty(StatusCode::NOT_MODIFIED), &tag);
    }
    let (from, to) = match asked(cx) {
        Asked::All => (0, None),
        Asked::From(from, to) => (from, to),
        Asked::Last(last) => (first.length.saturating_sub(last), None),
    };
    let whole = from == 0 && to.is_none() && matches!(asked(cx), Asked::All);
    if !whole && from >= first.length {
        let mut response = answer::empty(StatusCode::RANGE_NOT_SATISFIABLE);
        let range = HeaderValue::from_str(&format!("bytes */{}", first.length)).map_err(Error::internal)?;
        response.headers_mut().insert(header::CONTENT_RANGE, range);
        return Ok(response);
    }
    let end = to.map_or(first.length, |to| first.length.min(to.saturating_add(1)));
    let length = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
    if length > MOST_OF_LOG && whole {
        // What is longer than one answer holds is sent piece by piece.
        return stream_log(cx, path, pipeline, step, &log, &first, &tag);
    }
    let part =
        service.step_log(&cx.caller, path, (pipeline, step), &log, from, length.min(MOST_OF_LOG)).await?;
    let mut response =
        answer::text(if whole { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT }, part.bytes.clone());
    octets(&mut response);
    if !whole {
        let last = from + u64::try_from(part.bytes.len()).unwrap_or(0).saturating_sub(1);
        let range = format!("bytes {from}-{last}/{}", first.length);
        let range = HeaderValue::from_str(&range).map_err(Error::internal)?;
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    tagged(response, &tag)
}

fn octets(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

fn tagged(mut response: Response, tag: &str) -> Result<Response> {
    let tag = HeaderValue::from_str(tag).map_err(Error::internal)?;
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

fn stream_log(
    cx: &Cx,
    path: &RepositoryPath,
    pipeline: PipelineId,
    step: StepId,
    log: &LogName,
    first: &LogPart,
    tag: &str,
) -> Result<Response> {
    let (service, path) = (cx.service()?.clone(), path.clone());
    let (caller, log, end) = (cx.caller.clone(), log.clone(), first.length);
    let parts = futures_util::stream::unfold(0_u64, move |at| {
        let (service, caller, path, log) = (service.clone(), caller.clone(), path.clone(), log.clone());
        async move {
            if at >= end {
                return None;
            }
            let limit = usize::try_from((end - at).min(1024 * 1024)).unwrap_or(0);
            match service.step_log(&caller, &path, (pipeline, step), &log, at, limit).await {
                Ok(part) if part.bytes.is_empty() => None,
                Ok(part) => {
                    let next = at + u64::try_from(part.bytes.len()).unwrap_or(0);
                    Some((Ok(bytes::Bytes::from(part.bytes)), next))
                }
                Err(_) => Some((Err(std::io::Error::other("the log cannot be read on")), end)),
            }
        }
    });
    let mut response = answer::empty(StatusCode::OK);
    *response.body_mut() = Body::from_stream(parts);
    octets(&mut response);
    tagged(response, tag)
}

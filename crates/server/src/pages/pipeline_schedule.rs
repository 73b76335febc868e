//! A repository's schedules: listed, added, switched and removed.

use model::{Action, PipelineSchedule, Result, ScheduleExecution, ScheduleOutcome, Timestamp};
use pages::form::{Field, Kind};
use pages::measure::Moment;
use pages::pipeline_schedule::{ExecutionRow, PipelineSchedulesPage, ScheduleRow};
use service::{Located, Named, PipelineScheduleChange, RepositoryPath, ScheduleTargetChange, Window};
use wire::Parameters;

use super::error::sentence;
use super::resource_form::{Typed, text, ticked};
use super::settings::{self, RepositorySection};
use super::{by_id, form, may_each, now, page, repository_path, see_other};
use crate::http::{Cx, Response};

const PART: &str = "schedules";
/// More than one repository can have.
const ALL: Window = Window { limit: 1_000, offset: 0 };
const LATELY: Window = Window { limit: 3, offset: 0 };

/// Which pipeline starts: the word that is sent, and what readers see.
const PIPELINES: [(&str, &str); 3] =
    [("branches", "The branch's own"), ("default", "The default one"), (CUSTOM, "A custom one, named below")];
const CUSTOM: &str = "custom";

/// The names of errors, and of the fields that stand for them.
const NAMES: [(&str, &str); 3] = [
    ("ref_name", "target.ref_name"),
    ("selector", "target.selector.type"),
    ("pattern", "target.selector.pattern"),
];

fn execution(one: &ScheduleExecution, now: Timestamp) -> ExecutionRow {
    ExecutionRow {
        due: Moment::of(one.due_on, now),
        failed: match &one.outcome {
            ScheduleOutcome::Started(_) => String::new(),
            ScheduleOutcome::Failed { message, .. } => sentence(message),
        },
    }
}

fn pipeline(one: &PipelineSchedule) -> String {
    match (one.target.custom(), one.target.selector.as_str()) {
        (Some(name), _) => format!("Custom pipeline {name}"),
        (None, "default") => "The default pipeline".to_owned(),
        (None, _) => "The branch's own pipeline".to_owned(),
    }
}

fn row(cx: &Cx, list: &str, one: &PipelineSchedule, lately: &[ScheduleExecution]) -> ScheduleRow {
    let now = now(cx);
    let switch = format!("{list}/{}", one.id);
    let remove = format!("{switch}/remove");
    ScheduleRow {
        cron: one.cron.to_string(),
        next: one.next_on.map(|on| Moment::of(on, now)),
        branch: one.target.branch.clone(),
        pipeline: pipeline(one),
        enabled: one.enabled,
        executions: lately.iter().map(|one| execution(one, now)).collect(),
        switch_token: form::token(cx, &switch),
        switch,
        remove_token: form::token(cx, &remove),
        remove,
    }
}

fn fields(typed: &Typed, located: &Located) -> Vec<Field> {
    let error = |field: &str| {
        NAMES.iter().find(|(name, _)| *name == field).map(|(_, of)| typed.error(of)).unwrap_or_default()
    };
    vec![
        typed
            .line("cron_pattern", "When")
            .hint("Seconds, minutes, hours, day of the month, month, day of the week, year, in UTC. 0 30 2 * * ? * is each night at 02:30; 0 0 6 ? * MON * is Mondays at 06:00."),
        typed
            .line("ref_name", "Branch")
            .value(typed.value_or("ref_name", &located.repository.default_branch))
            .error(error("ref_name")),
        typed
            .line("selector", "Pipeline")
            .kind(Kind::choice(&PIPELINES))
            .error(error("selector")),
        typed
            .line("pattern", "Name of the custom pipeline")
            .error(error("pattern"))
            .optional(),
    ]
}

async fn shown(cx: &Cx, path: &RepositoryPath, typed: Typed) -> Result<Response> {
    let service = cx.service()?;
    let (located, found) = service.pipeline_schedules(&cx.caller, path, ALL).await?;
    let action = settings::repository_address(&located, PART);
    let mut schedules = Vec::with_capacity(found.values.len());
    for one in &found.values {
        let id = one.id.to_string();
        let (_, lately) = service.pipeline_schedule_executions(&cx.caller, path, &id, LATELY).await?;
        schedules.push(row(cx, &action, one, &lately.values));
    }
    let fields = fields(&typed, &located);
    let may = may_each(cx, &[Action::PipelineScheduleSet], Named::Repository(by_id(&located))).await;
    let shown = PipelineSchedulesPage {
        frame: settings::repository(cx, &located, "Schedules", RepositorySection::Schedules).await,
        on: format!("{}/{}", located.workspace.slug, located.repository.slug),
        error: typed.elsewhere(&fields, &NAMES.map(|(_, name)| name)),
        schedules,
        may_change: may.contains(&true),
        fields,
        form_token: form::token(cx, &action),
        action,
    };
    page(typed.status(), &shown)
}

/// `GET …/settings/schedules`
///
/// # Errors
/// When the caller may not see the repository's pipelines.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, &repository_path(&cx)?, Typed::default()).await
}

/// `POST …/settings/schedules`: adds one.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn add(cx: Cx, form: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let (selector, pattern) = (text(&form, "selector")?, text(&form, "pattern")?);
    let target = ScheduleTargetChange {
        ref_type: None,
        ref_name: Some(text(&form, "ref_name")?),
        pattern: (selector == CUSTOM).then_some(pattern),
        selector: Some(selector),
    };
    let new = PipelineScheduleChange {
        cron: Some(text(&form, "cron_pattern")?),
        target: Some(target),
        enabled: None,
    };
    match cx.service()?.create_pipeline_schedule(&cx.caller, &path, new).await {
        Ok((located, _)) => see_other(&settings::repository_address(&located, PART)),
        Err(error) => shown(&cx, &path, Typed::default().refused(form, error)?).await,
    }
}

async fn back(cx: &Cx, path: &RepositoryPath) -> Result<Response> {
    let located = cx.service()?.repository(&cx.caller, path).await?;
    see_other(&settings::repository_address(&located, PART))
}

/// `POST …/settings/schedules/{schedule_uuid}`: switches one on or off.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn switch(cx: Cx, form: Parameters) -> Result<Response> {
    let (path, enabled) = (repository_path(&cx)?, ticked(&form, "enabled")?);
    let change = PipelineScheduleChange { enabled: Some(enabled), ..PipelineScheduleChange::default() };
    cx.service()?.update_pipeline_schedule(&cx.caller, &path, cx.param("schedule_uuid"), change).await?;
    back(&cx, &path).await
}

/// `POST …/settings/schedules/{schedule_uuid}/remove`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    cx.service()?.remove_pipeline_schedule(&cx.caller, &path, cx.param("schedule_uuid")).await?;
    back(&cx, &path).await
}

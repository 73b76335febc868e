//! Deployment environments: listed by type, added, changed and removed; one with its variables and its deployments.

use model::{
    Action, DeploymentResult, DeploymentState, Environment, EnvironmentType, Error, Result, Timestamp,
};
use pages::environment::{
    DeploymentRow, EnvironmentGroup, EnvironmentPage, EnvironmentRow, EnvironmentsPage,
};
use pages::form::{Field, Kind};
use pages::measure::Moment;
use pipeline::aws::{AwsRole, SESSION};
use service::{
    DeploymentView, EnvironmentChange, EnvironmentView, Located, Named, RepositoryPath, VariablesOf, Window,
};
use wire::Parameters;

use super::resource_form::{Typed, text, ticked, words};
use super::settings::{self, RepositorySection};
use super::{by_id, form, may_each, now, page, pipeline_variable, repository_path, see_other};
use crate::http::{Cx, Response};

const PART: &str = "environments";
/// More than one repository can have.
const ALL: Window = Window { limit: 1_000, offset: 0 };
/// How many deployments an environment's page has.
const HISTORY: Window = Window { limit: 20, offset: 0 };
const LAST: Window = Window { limit: 1, offset: 0 };

/// The names under which errors stand beside fields that the form calls otherwise.
const ERRORS: [&str; 4] = ["branch_restrictions", "aws.role", "aws.region", "aws.session_duration"];

const KINDS: [(&str, &str); 3] = [("Test", "Test"), ("Staging", "Staging"), ("Production", "Production")];

/// What is wrong with one of the page's three forms, and with which.
#[derive(Default)]
struct Sent {
    settings: Typed,
    variable: Typed,
}

fn state_words(state: DeploymentState) -> (&'static str, &'static str) {
    match state {
        DeploymentState::Undeployed => ("Waiting", ""),
        DeploymentState::InProgress => ("Deploying", "warning"),
        DeploymentState::Completed(DeploymentResult::Successful) => ("Deployed", "open"),
        DeploymentState::Completed(DeploymentResult::Failed) => ("Failed", "danger"),
        DeploymentState::Completed(DeploymentResult::Stopped) => ("Stopped", ""),
    }
}

fn deployment(located: &Located, view: &DeploymentView, now: Timestamp) -> DeploymentRow {
    let one = &view.deployment;
    let (state, look) = state_words(one.state);
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    let on = one.completed_on.or(one.started_on).unwrap_or(one.created_on);
    DeploymentRow {
        number: one.number,
        state,
        look,
        release: one.release.clone(),
        commit: one.commit.chars().take(10).collect(),
        commit_href: pages::address::of(&[workspace, slug, "commits", &one.commit]),
        who: view.deployer.as_ref().map(|user| user.display_name.to_string()).unwrap_or_default(),
        on: Moment::of(on, now),
    }
}

fn restrictions(one: &Environment) -> Vec<String> {
    let mut texts = Vec::new();
    if one.admin_only {
        texts.push("Administrators of the repository alone deploy to it.".to_owned());
    }
    if !one.branches.is_empty() {
        let names: Vec<String> = one.branches.iter().map(|glob| format!("`{glob}`")).collect();
        texts.push(format!("From branches named {} alone.", names.join(" or ")));
    }
    match one.required_approvals {
        0 => {}
        1 => texts.push("A deployment begins when 1 person has approved it.".to_owned()),
        several => texts.push(format!("A deployment begins when {several} people have approved it.")),
    }
    texts
}

fn row(list: &str, view: &EnvironmentView, last: Option<DeploymentRow>) -> EnvironmentRow {
    let one = &view.environment;
    EnvironmentRow {
        name: one.name.clone(),
        href: format!("{list}/{}", one.id),
        restrictions: restrictions(one),
        locks: one.lock_enabled,
        held: view.held_by.is_some(),
        last,
    }
}

/// What holds a deployment back, as the form has it.
fn restriction_fields(typed: &Typed, before: Option<&Environment>) -> Vec<Field> {
    let globs = before.map(|one| one.branches.as_slice()).unwrap_or_default();
    let globs: Vec<String> = globs.iter().map(ToString::to_string).collect();
    let branches = typed.value_or("branches", &globs.join(" "));
    let approvals = before.map_or(0, |one| one.required_approvals).to_string();
    vec![
        typed
            .check("admin_only", "Administrators alone deploy to it", before.is_some_and(|one| one.admin_only))
            .hint("A step that deploys to it waits until an administrator of the repository starts it."),
        typed
            .line("branches", "Branches")
            .value(branches)
            .error(typed.error("branch_restrictions"))
            .hint("Patterns such as main or release/*, with spaces between them. Runs of other branches, and of tags, do not deploy to it. Empty for every branch.")
            .optional(),
        typed
            .line("required_approvals", "Approvals")
            .kind(Kind::Line("number"))
            .value(typed.value_or("required_approvals", &approvals))
            .hint("How many administrators of the repository approve a deployment before it begins, from 0 to 5. Who started the run is not one of them."),
        typed
            .check("lock_enabled", "One run at a time", before.is_none_or(|one| one.lock_enabled))
            .hint("A second run waits until the first has left the environment."),
    ]
}

/// The role of the steps that deploy to it, as the form has it.
fn role_fields(typed: &Typed, before: Option<&Environment>) -> Vec<Field> {
    let role = before.and_then(|one| one.aws.as_ref());
    let arn = role.map(|role| role.arn.to_string()).unwrap_or_default();
    let region = role.and_then(|role| role.region.as_ref()).map(ToString::to_string).unwrap_or_default();
    let seconds = role.map(|role| role.session_duration.to_string()).unwrap_or_default();
    vec![
        typed
            .line("aws_role", "AWS role")
            .value(typed.value_or("aws_role", &arn))
            .error(typed.error("aws.role"))
            .hint("The ARN of the role that steps take on which deploy to it and name none themselves, such as arn:aws:iam::123456789012:role/deploy. The workspace says who may use it. Empty for none.")
            .optional(),
        typed
            .line("aws_region", "AWS region")
            .value(typed.value_or("aws_region", &region))
            .error(typed.error("aws.region"))
            .hint("Such as eu-central-1. Empty for the role's own.")
            .optional(),
        typed
            .line("aws_session_duration", "AWS session, in seconds")
            .kind(Kind::Line("number"))
            .value(typed.value_or("aws_session_duration", &seconds))
            .error(typed.error("aws.session_duration"))
            .hint("How long its credentials live, from 900 to 43200. Empty for 3600.")
            .optional(),
    ]
}

/// The role that a form names; none where all of it is empty.
fn role(form: &Parameters) -> Result<Option<AwsRole>> {
    let (role, region) = (text(form, "aws_role")?, text(form, "aws_region")?);
    let seconds = text(form, "aws_session_duration")?;
    if role.is_empty() && region.is_empty() && seconds.is_empty() {
        return Ok(None);
    }
    // What is no number is told like one that is out of bounds.
    let session_duration = if seconds.is_empty() { SESSION } else { seconds.parse().unwrap_or(0) };
    Ok(Some(AwsRole { role, session_duration, region: Some(region).filter(|region| !region.is_empty()) }))
}

fn change(form: &Parameters) -> Result<EnvironmentChange> {
    // What is no number is told like one that is out of bounds: beside the field, to who may change it.
    let approvals = text(form, "required_approvals")?.parse::<i64>().unwrap_or(-1);
    Ok(EnvironmentChange {
        name: Some(text(form, "name")?),
        kind: None,
        rank: None,
        hidden: None,
        admin_only: Some(ticked(form, "admin_only")?),
        branches: Some(words(form, "branches")?),
        required_approvals: Some(approvals),
        lock_enabled: Some(ticked(form, "lock_enabled")?),
        aws: Some(role(form)?),
    })
}

async fn shown(cx: &Cx, path: &RepositoryPath, typed: Typed) -> Result<Response> {
    let service = cx.service()?;
    let (located, found) = service.environments(&cx.caller, path, ALL).await?;
    let (action, now) = (settings::repository_address(&located, PART), now(cx));
    let mut groups: Vec<EnvironmentGroup> =
        EnvironmentType::ALL.map(|kind| EnvironmentGroup { kind: kind.as_str(), rows: Vec::new() }).into();
    for view in &found.values {
        let id = view.environment.id.to_string();
        let (_, newest) = service.deployments(&cx.caller, path, Some(&id), LAST).await?;
        let last = newest.values.first().map(|view| deployment(&located, view, now));
        let kind = view.environment.kind.as_str();
        if let Some(group) = groups.iter_mut().find(|group| group.kind == kind) {
            group.rows.push(row(&action, view, last));
        }
    }
    let mut fields = vec![
        typed.line("name", "Name").hint("Such as Production EU: what steps name."),
        typed.line("environment_type", "Type").kind(Kind::choice(&KINDS)),
    ];
    fields.extend(restriction_fields(&typed, None));
    fields.extend(role_fields(&typed, None));
    let may = may_each(cx, &[Action::EnvironmentSet], Named::Repository(by_id(&located))).await;
    let at = RepositorySection::Environments;
    let shown = EnvironmentsPage {
        frame: settings::repository(cx, &located, "Deployment environments", at).await,
        on: format!("{}/{}", located.workspace.slug, located.repository.slug),
        error: typed.elsewhere(&fields, &ERRORS),
        groups,
        may_change: may.contains(&true),
        fields,
        form_token: form::token(cx, &action),
        action,
    };
    page(typed.status(), &shown)
}

/// `GET …/settings/environments`
///
/// # Errors
/// When the caller may not see the repository's pipelines.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, &repository_path(&cx)?, Typed::default()).await
}

/// `POST …/settings/environments`: adds one.
///
/// # Errors
/// When the caller may not. What is wrong with the form is told in it.
pub async fn add(cx: Cx, form: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let new = EnvironmentChange { kind: Some(text(&form, "environment_type")?), ..change(&form)? };
    match cx.service()?.create_environment(&cx.caller, &path, new).await {
        Ok((located, _)) => see_other(&settings::repository_address(&located, PART)),
        Err(error) => shown(&cx, &path, Typed::default().refused(form, error)?).await,
    }
}

async fn shown_one(cx: &Cx, path: &RepositoryPath, sent: Sent) -> Result<Response> {
    let (service, named) = (cx.service()?, cx.param("environment_uuid"));
    let view = service.environment(&cx.caller, path, named).await?;
    let id = view.environment.id.to_string();
    let (located, found) = service.deployments(&cx.caller, path, Some(&id), HISTORY).await?;
    let list = settings::repository_address(&located, PART);
    let actions = [Action::EnvironmentSet, Action::PipelineVariableRead];
    let may = may_each(cx, &actions, Named::Repository(by_id(&located))).await;
    let action = format!("{list}/{id}");
    let remove = format!("{action}/remove");
    let of = VariablesOf::Environment(path.clone(), id);
    let variables = match may.get(1) {
        Some(true) => {
            Some(pipeline_variable::part(cx, &of, format!("{action}/variables"), &sent.variable).await?)
        }
        _ => None,
    };
    let typed = &sent.settings;
    let name = typed.value_or("name", &view.environment.name);
    let mut fields = vec![typed.line("name", "Name").value(name)];
    fields.extend(restriction_fields(typed, Some(&view.environment)));
    fields.extend(role_fields(typed, Some(&view.environment)));
    let status = if sent.variable.status().is_success() { typed.status() } else { sent.variable.status() };
    let history: Vec<DeploymentRow> =
        found.values.iter().map(|view| deployment(&located, view, now(cx))).collect();
    let at = RepositorySection::Environments;
    let shown = EnvironmentPage {
        frame: settings::repository(cx, &located, &view.environment.name, at).await,
        error: typed.elsewhere(&fields, &ERRORS),
        row: row(&list, &view, history.first().cloned()),
        kind: view.environment.kind.as_str(),
        may_change: may.first() == Some(&true),
        fields,
        form_token: form::token(cx, &action),
        action,
        variables,
        history,
        remove_token: form::token(cx, &remove),
        remove,
        list,
    };
    page(status, &shown)
}

/// `GET …/settings/environments/{environment_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    shown_one(&cx, &repository_path(&cx)?, Sent::default()).await
}

/// The page of the environment that the path names.
async fn address(cx: &Cx, path: &RepositoryPath) -> Result<String> {
    let located = cx.service()?.repository(&cx.caller, path).await?;
    let id: model::EnvironmentId =
        cx.param("environment_uuid").parse().map_err(|_| Error::not_found("the environment"))?;
    Ok(format!("{}/{id}", settings::repository_address(&located, PART)))
}

/// `POST …/settings/environments/{environment_uuid}`
///
/// # Errors
/// When the caller may not, or there is none. What is wrong with the form is told in it.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    let (path, named) = (repository_path(&cx)?, cx.param("environment_uuid"));
    match cx.service()?.update_environment(&cx.caller, &path, named, change(&form)?).await {
        Ok(_) => see_other(&address(&cx, &path).await?),
        Err(error) => {
            let settings = Typed::default().refused(form, error)?;
            shown_one(&cx, &path, Sent { settings, ..Sent::default() }).await
        }
    }
}

/// `POST …/settings/environments/{environment_uuid}/remove`
///
/// # Errors
/// When the caller may not, there is none, or a run deploys to it.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    let (path, service) = (repository_path(&cx)?, cx.service()?);
    service.remove_environment(&cx.caller, &path, cx.param("environment_uuid")).await?;
    let located = service.repository(&cx.caller, &path).await?;
    see_other(&settings::repository_address(&located, PART))
}

/// `POST …/settings/environments/{environment_uuid}/variables`: adds one.
///
/// # Errors
/// When the caller may not, or there is no such environment. What is wrong with the form is told in it.
pub async fn add_variable(cx: Cx, form: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let of = VariablesOf::Environment(path.clone(), cx.param("environment_uuid").to_owned());
    match pipeline_variable::made(&cx, &of, &form).await {
        Ok(()) => see_other(&address(&cx, &path).await?),
        Err(error) => {
            let variable = Typed::default().refused(form, error)?;
            shown_one(&cx, &path, Sent { variable, ..Sent::default() }).await
        }
    }
}

/// `POST …/settings/environments/{environment_uuid}/variables/{variable_uuid}`: removes one.
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove_variable(cx: Cx, _: Parameters) -> Result<Response> {
    let path = repository_path(&cx)?;
    let of = VariablesOf::Environment(path.clone(), cx.param("environment_uuid").to_owned());
    cx.service()?.remove_pipeline_variable(&cx.caller, &of, cx.param("variable_uuid")).await?;
    see_other(&address(&cx, &path).await?)
}

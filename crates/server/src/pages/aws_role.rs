//! Roles at Amazon: a workspace's, one with who may use it, and how one is added: first what it must trust is shown, then it
//! is proved and saved.

use axum::http::StatusCode;
use model::{Action, AwsGrant, AwsMode, AwsRoleId, Error, Result};
use pages::aws_role::{AwsRolePage, AwsRoleRow, AwsRolesPage, AwsTrust, GrantRow, Making, NewAwsRolePage};
use pages::form::{Field, Kind};
use pages::measure::Moment;
use service::{AwsRoleView, Named, NewAwsGrant, NewAwsRole};
use wire::Parameters;

use super::error::sentence;
use super::resource_form::{Typed, text, ticked};
use super::settings::{self, Section};
use super::{form, may_each, now, page, see_other};
use crate::http::{Cx, Response};

const PART: &str = "aws-roles";
/// The fields of a role, and of a grant, as forms name them.
const ROLE: [&str; 5] = ["arn", "mode", "name", "region", "longest_session"];
const GRANT: [&str; 4] = ["repository", "ref", "protected_only", "environment"];
/// Where what is wrong with a grant stands, and with a role's trust.
const GRANTS: &str = "grants";
const ARN: &str = "arn";

const MODES: [(&str, &str); 2] = [
    ("assume-role", "The server, with its own identity"),
    ("web-identity", "The step, with its identity token"),
];
const SESSIONS: [(&str, &str); 6] = [
    ("3600", "1 hour"),
    ("900", "15 minutes"),
    ("7200", "2 hours"),
    ("14400", "4 hours"),
    ("28800", "8 hours"),
    ("43200", "12 hours"),
];

/// A length of time in words.
fn lasting(seconds: u32) -> String {
    let known = SESSIONS.iter().find(|(value, _)| *value == seconds.to_string());
    known.map_or_else(|| format!("{seconds} seconds"), |(_, words)| (*words).to_owned())
}

fn mode_words(mode: AwsMode) -> &'static str {
    match mode {
        AwsMode::AssumeRole => "The server",
        AwsMode::WebIdentity => "The step, with its token",
    }
}

/// By what a form names a grant: others may come and go meanwhile.
fn key(grant: &AwsGrant) -> String {
    form::digest(&[&format!("{grant:?}")])
}

fn grant_row(grant: &AwsGrant, slug: Option<&String>) -> GrantRow {
    let mut conditions = Vec::new();
    if let Some(refs) = &grant.refs {
        let (kind, name) = match refs.as_str().strip_prefix("refs/heads/") {
            Some(name) => ("Branch", name),
            None => ("Tag", refs.as_str().trim_start_matches("refs/tags/")),
        };
        conditions.push(format!("{kind} `{name}`."));
    }
    if grant.protected_only {
        conditions.push("Protected branches and tags alone.".to_owned());
    }
    if let Some(environment) = &grant.environment {
        conditions.push(format!("Deploying to `{environment}`."));
    }
    let repository = match (grant.repository, slug) {
        (None, _) => "Every repository".to_owned(),
        (Some(_), Some(slug)) => slug.clone(),
        (Some(_), None) => "A repository that was deleted".to_owned(),
    };
    GrantRow { repository, conditions, key: key(grant) }
}

fn row(list: &str, view: &AwsRoleView) -> AwsRoleRow {
    let role = &view.role;
    let by_server = role.mode == AwsMode::AssumeRole;
    AwsRoleRow {
        name: role.name.to_string(),
        href: format!("{list}/{}", role.id),
        arn: role.arn.to_string(),
        account: role.arn.account().as_str().to_owned(),
        mode: mode_words(role.mode),
        external_id: view.external_id.clone().filter(|_| by_server).unwrap_or_default(),
        grants: role
            .grants
            .iter()
            .zip(view.repositories.iter())
            .map(|(grant, slug)| grant_row(grant, slug.as_ref()))
            .collect(),
    }
}

fn trust(workspace: &str, view: &AwsRoleView) -> AwsTrust {
    let by_server = view.role.mode == AwsMode::AssumeRole;
    let making = |id, form, text: &String, copy| Making { id, form, text: text.clone(), copy };
    let made = &view.setup;
    let server = view.server.clone().unwrap_or_default();
    // That there is no identity is told above the warnings, with what to do.
    let nobody = by_server && server.is_empty();
    let warnings =
        if nobody { Vec::new() } else { made.warnings.iter().map(|text| sentence(text)).collect() };
    AwsTrust {
        arn: view.role.arn.to_string(),
        by_server,
        server,
        external_id: view.external_id.clone().filter(|_| by_server).unwrap_or_default(),
        warnings,
        policy: made.trust_policy.clone(),
        makings: vec![
            making("terraform", "Terraform", &made.terraform, "Copy Terraform"),
            making("cloudformation", "CloudFormation", &made.cloudformation, "Copy template"),
            making("commands", "commands", &made.cli, "Copy commands"),
        ],
        setup: format!("bastide aws setup --workspace {workspace} --role {}", view.role.arn),
    }
}

fn grant_fields(typed: &Typed, may_stay_empty: bool) -> Vec<Field> {
    let repository = typed
        .line("repository", "Repository")
        .error(typed.error(GRANTS))
        .hint("Its slug, such as payroll; * for every repository of the workspace.");
    vec![
        if may_stay_empty { repository.optional() } else { repository },
        typed
            .line("ref", "Branch or tag")
            .hint("A pattern such as main, release/* or refs/tags/v*. Empty for every run, pull requests among them.")
            .optional(),
        typed.line("environment", "Environment").hint("Steps that deploy to it alone, such as Production.").optional(),
        typed
            .check("protected_only", "Protected branches and tags alone", false)
            .hint("Those that a branch restriction keeps from being pushed to by everybody who may write."),
    ]
}

fn setting_fields(typed: &Typed) -> Vec<Field> {
    let mut sessions: Vec<(String, String)> =
        SESSIONS.iter().map(|(value, words)| ((*value).to_owned(), (*words).to_owned())).collect();
    let kept = typed.value("longest_session");
    if !kept.is_empty() && !sessions.iter().any(|(value, _)| *value == kept) {
        sessions.push((kept.clone(), format!("{kept} seconds")));
    }
    vec![
        typed.line("name", "Name").hint("What people call it. Empty for its name at Amazon.").optional(),
        typed
            .line("region", "Region")
            .hint("Such as eu-central-1: where it is asked for, and what steps work in.")
            .optional(),
        typed
            .choice("longest_session", "Longest session", sessions)
            .hint("The most that a step may ask for. The role at Amazon must allow it too."),
    ]
}

fn grant_in(form: &Parameters) -> Result<NewAwsGrant> {
    let some = |name: &str| Ok::<_, Error>(Some(text(form, name)?).filter(|text| !text.is_empty()));
    let repository = text(form, "repository")?;
    if repository.is_empty() {
        return Err(Error::invalid_field(GRANTS, "name a repository by its slug, or `*` for all of them"));
    }
    Ok(NewAwsGrant {
        repository,
        refs: some("ref")?,
        protected_only: ticked(form, "protected_only")?,
        environment: some("environment")?,
    })
}

fn role_in(form: &Parameters, grants: Option<Vec<NewAwsGrant>>) -> Result<NewAwsRole> {
    let some = |name: &str| Ok::<_, Error>(Some(text(form, name)?).filter(|text| !text.is_empty()));
    let longest = some("longest_session")?.map(|text| text.parse());
    let message = "use a number of seconds";
    Ok(NewAwsRole {
        arn: text(form, ARN)?,
        mode: text(form, "mode")?,
        name: some("name")?,
        region: some("region")?,
        longest_session: longest.transpose().map_err(|_| Error::invalid_field("longest_session", message))?,
        grants,
    })
}

/// A role that is to be, as its form says it. A grant is one where anything of it was typed.
fn new_role(form: &Parameters) -> Result<NewAwsRole> {
    let mut typed = false;
    for name in GRANT {
        typed |= !text(form, name)?.is_empty();
    }
    let grants = if typed { vec![grant_in(form)?] } else { Vec::new() };
    role_in(form, Some(grants))
}

async fn shown(cx: &Cx, typed: Typed) -> Result<Response> {
    let slug = settings::slug(cx).await?;
    let found = cx.service()?.aws_roles(&cx.caller, &slug).await?;
    let action = settings::address(&slug, PART);
    let may = may_each(cx, &[Action::AwsRoleSet], Named::Workspace(&slug)).await;
    let mut fields = vec![
        typed
            .line(ARN, "Role")
            .hint("Its ARN at Amazon, such as arn:aws:iam::123456789012:role/bastide-deploy. It need not be there yet."),
        typed.line("mode", "Taken on by").kind(Kind::choice(&MODES)),
    ];
    fields.extend(setting_fields(&typed));
    let grant_fields = grant_fields(&typed, true);
    let shown = AwsRolesPage {
        frame: settings::workspace(cx, &slug, "AWS roles", Section::AwsRoles).await,
        error: typed.elsewhere(&fields, &[GRANTS]),
        roles: found.roles.iter().map(|view| row(&action, view)).collect(),
        may_change: may.contains(&true),
        fields,
        grant_fields,
        form_token: form::token(cx, &action),
        workspace: slug,
        action,
    };
    page(typed.status(), &shown)
}

/// `GET /{workspace}/workspace/settings/aws-roles`
///
/// # Errors
/// When the caller does not administer the workspace.
pub async fn list(cx: Cx) -> Result<Response> {
    shown(&cx, Typed::default()).await
}

/// What was said about a role's trust, where nothing else was wrong.
fn trust_error(error: &Error) -> Option<String> {
    match error {
        Error::Invalid { fields, .. } if fields.len() == 1 => {
            fields.get(ARN).map(|texts| sentence(&texts.join("; ")))
        }
        _ => None,
    }
}

/// What a role must trust that is to be, before it is saved.
async fn planned(cx: &Cx, form: &Parameters, new: NewAwsRole, error: String) -> Result<Response> {
    let slug = settings::slug(cx).await?;
    let view = cx.service()?.plan_aws_role(&cx.caller, &slug, new).await?;
    let action = settings::address(&slug, PART);
    let mut typed = Vec::new();
    for name in ROLE.into_iter().chain(GRANT) {
        typed.push((name, text(form, name)?));
    }
    let shown = NewAwsRolePage {
        frame: settings::workspace(cx, &slug, "Add an AWS role", Section::AwsRoles).await,
        name: view.role.name.to_string(),
        trust: trust(&slug, &view),
        grants: row(&action, &view).grants,
        typed,
        form_token: form::token(cx, &action),
        action,
        error,
    };
    let status = if shown.error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    page(status, &shown)
}

async fn added(cx: &Cx, form: &Parameters) -> Result<Response> {
    let new = new_role(form)?;
    if text(form, "do")? != "save" {
        return planned(cx, form, new, String::new()).await;
    }
    let slug = settings::slug(cx).await?;
    match cx.service()?.create_aws_role(&cx.caller, &slug, new.clone()).await {
        Ok(view) => see_other(&format!("{}/{}", settings::address(&slug, PART), view.role.id)),
        Err(error) => match trust_error(&error) {
            Some(told) => planned(cx, form, new, told).await,
            None => Err(error),
        },
    }
}

/// `POST /{workspace}/workspace/settings/aws-roles`: shows what a role must trust; proves and saves it where the form says so.
///
/// # Errors
/// When the caller may not. What is wrong with the role is told in its form.
pub async fn add(cx: Cx, form: Parameters) -> Result<Response> {
    match added(&cx, &form).await {
        Ok(response) => Ok(response),
        Err(error) => shown(&cx, Typed::default().refused(form, error)?).await,
    }
}

fn id(cx: &Cx) -> Result<AwsRoleId> {
    cx.param("role_uuid").parse().map_err(|_| Error::not_found("the role"))
}

/// What is wrong with one of the page's two forms.
#[derive(Default)]
struct Sent {
    settings: Typed,
    grant: Typed,
}

async fn shown_one(cx: &Cx, sent: Sent, mut error: String) -> Result<Response> {
    let slug = settings::slug(cx).await?;
    let view = cx.service()?.aws_role(&cx.caller, &slug, id(cx)?).await?;
    let may = may_each(cx, &[Action::AwsRoleSet], Named::Workspace(&slug)).await;
    let list = settings::address(&slug, PART);
    let role = &view.role;
    let action = format!("{list}/{}", role.id);
    let of = |part: &str| {
        let href = format!("{action}/{part}");
        let token = form::token(cx, &href);
        (href, token)
    };
    let ((grant, grant_token), (revoke, revoke_token), (remove, remove_token)) =
        (of("grants"), of("grants/remove"), of("remove"));
    let region = role.region.as_ref().map(ToString::to_string).unwrap_or_default();
    let fields = setting_fields(&sent.settings.clone().before(vec![
        ("name", role.name.to_string()),
        ("region", region.clone()),
        ("longest_session", role.longest_session.to_string()),
    ]));
    let grant_fields = grant_fields(&sent.grant, false);
    for told in [sent.settings.elsewhere(&fields, &[GRANTS]), sent.grant.elsewhere(&grant_fields, &[GRANTS])]
    {
        error.push_str(&told);
    }
    let mut status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    for typed in [&sent.settings, &sent.grant] {
        status = status.max(typed.status());
    }
    let shown = AwsRolePage {
        frame: settings::workspace(cx, &slug, role.name.as_str(), Section::AwsRoles).await,
        row: row(&list, &view),
        trust: trust(&slug, &view),
        region,
        longest_session: lasting(role.longest_session),
        created: Moment::of(role.created_on, now(cx)),
        proof: sentence(view.proof),
        may_change: may.contains(&true),
        form_token: form::token(cx, &action),
        error,
        list,
        grant_fields,
        grant,
        grant_token,
        revoke,
        revoke_token,
        fields,
        action,
        remove,
        remove_token,
    };
    page(status, &shown)
}

/// `GET …/settings/aws-roles/{role_uuid}`
///
/// # Errors
/// When there is none, or the caller may not see it.
pub async fn get(cx: Cx) -> Result<Response> {
    shown_one(&cx, Sent::default(), String::new()).await
}

async fn back(cx: &Cx) -> Result<Response> {
    see_other(&format!("{}/{}", settings::address(&settings::slug(cx).await?, PART), id(cx)?))
}

async fn changed(cx: &Cx, form: &Parameters) -> Result<AwsRoleView> {
    let service = cx.service()?;
    let before = service.aws_role(&cx.caller, cx.param("workspace"), id(cx)?).await?.role;
    let (arn, mode) = (before.arn.to_string(), before.mode.as_str().to_owned());
    let new = NewAwsRole { arn, mode, ..role_in(form, None)? };
    service.update_aws_role(&cx.caller, cx.param("workspace"), before.id, new).await
}

/// `POST …/settings/aws-roles/{role_uuid}`: changes what it is called, and how long a session may be. It is proved anew.
///
/// # Errors
/// When the caller may not, or there is none. What is wrong is told in the form.
pub async fn set(cx: Cx, form: Parameters) -> Result<Response> {
    match changed(&cx, &form).await {
        Ok(_) => back(&cx).await,
        Err(error) => match trust_error(&error) {
            Some(told) => {
                let settings = Typed::default().sent(form);
                shown_one(&cx, Sent { settings, ..Sent::default() }, told).await
            }
            None => {
                let settings = Typed::default().refused(form, error)?;
                shown_one(&cx, Sent { settings, ..Sent::default() }, String::new()).await
            }
        },
    }
}

/// `POST …/settings/aws-roles/{role_uuid}/remove`
///
/// # Errors
/// When the caller may not, or there is none.
pub async fn remove(cx: Cx, _: Parameters) -> Result<Response> {
    cx.service()?.remove_aws_role(&cx.caller, cx.param("workspace"), id(&cx)?).await?;
    see_other(&settings::address(&settings::slug(&cx).await?, PART))
}

/// `POST …/settings/aws-roles/{role_uuid}/grants`: adds one. The role is proved anew.
///
/// # Errors
/// When the caller may not, or there is no such role. What is wrong is told in the form.
pub async fn add_grant(cx: Cx, form: Parameters) -> Result<Response> {
    let granted = match grant_in(&form) {
        Ok(new) => cx.service()?.grant_aws_role(&cx.caller, cx.param("workspace"), id(&cx)?, new).await,
        Err(error) => Err(error),
    };
    match granted {
        Ok(()) => back(&cx).await,
        Err(error) => match trust_error(&error) {
            Some(told) => {
                let grant = Typed::default().sent(form);
                shown_one(&cx, Sent { grant, ..Sent::default() }, told).await
            }
            None => {
                let grant = Typed::default().refused(form, error)?;
                shown_one(&cx, Sent { grant, ..Sent::default() }, String::new()).await
            }
        },
    }
}

/// `POST …/settings/aws-roles/{role_uuid}/grants/remove`: the form names the grant by what it says.
///
/// # Errors
/// When the caller may not, or there is no such role or grant.
pub async fn remove_grant(cx: Cx, form: Parameters) -> Result<Response> {
    let (service, workspace) = (cx.service()?, cx.param("workspace"));
    let wanted = text(&form, "grant")?;
    let view = service.aws_role(&cx.caller, workspace, id(&cx)?).await?;
    let found = view.role.grants.into_iter().find(|grant| key(grant) == wanted);
    let grant = found.ok_or_else(|| Error::not_found("the grant"))?;
    service.revoke_aws_grant(&cx.caller, workspace, view.role.id, grant).await?;
    back(&cx).await
}

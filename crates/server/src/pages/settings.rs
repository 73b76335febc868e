//! The frames of settings: what a workspace, a project, a repository and the instance have to set, as a column of sections.
//! A section that the viewer may not open is not shown.

use model::{Action, Result};
use pages::frame::{Frame, Way};
use service::{Located, Named};

use super::{
    Around, RepositoryTab, WorkspaceTab, break_glass, by_id, may_each, project, repository_frame,
    workspace_frame,
};
use crate::http::Cx;

/// A section: what it is, what readers call it, the end of its address, and who may open it.
type Row<S> = (S, &'static str, &'static str, Action);

/// The end of the alerts' address, by which they are found among the sections.
const ALERTS: &str = "audit/alerts";

/// A section of a workspace's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    General,
    Members,
    Groups,
    AccessTokens,
    Tokens,
    Guardrails,
    IdentityProvider,
    BreakGlass,
    AuditLog,
    Alerts,
    AuditSinks,
    PipelineVariables,
    DynamicPipelines,
    Runners,
    IdentityTokens,
    AwsRoles,
}

const WORKSPACE: [Row<Section>; 16] = [
    (Section::General, "General", "general", Action::WorkspaceUpdate),
    (Section::Members, "Members", "members", Action::MemberList),
    (Section::Groups, "Groups", "groups", Action::GroupRead),
    (Section::AccessTokens, "Access tokens", "access-tokens", Action::AccessTokenList),
    (Section::Tokens, "All tokens", "tokens", Action::AccessTokenList),
    (Section::Guardrails, "Guardrails", "guardrails", Action::GuardrailRead),
    (Section::IdentityProvider, "Identity provider", "identity-provider", Action::IdentityProviderRead),
    (Section::BreakGlass, "Break-glass", "break-glass", Action::BreakGlassRead),
    (Section::PipelineVariables, "Pipeline variables", "pipeline-variables", Action::PipelineVariableRead),
    (Section::DynamicPipelines, "Dynamic pipelines", "dynamic-pipelines", Action::DynamicPipelineRead),
    (Section::Runners, "Runners", "runners", Action::RunnerRead),
    (Section::IdentityTokens, "Identity tokens", "identity-tokens", Action::IdentityTokenRead),
    (Section::AwsRoles, "AWS roles", "aws-roles", Action::AwsRoleRead),
    (Section::AuditLog, "Audit log", "audit", Action::AuditRead),
    (Section::Alerts, "Alerts", ALERTS, Action::AlertRead),
    (Section::AuditSinks, "Audit receivers", "audit/receivers", Action::AuditSinkRead),
];

/// A section of a project's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProjectSection {
    General,
    Permissions,
    AccessTokens,
}

const PROJECT: [Row<ProjectSection>; 3] = [
    (ProjectSection::General, "General", "general", Action::ProjectUpdate),
    (ProjectSection::Permissions, "Permissions", "permissions", Action::GrantList),
    (ProjectSection::AccessTokens, "Access tokens", "access-tokens", Action::AccessTokenList),
];

/// A section of a repository's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RepositorySection {
    General,
    Permissions,
    BranchRestrictions,
    AccessTokens,
    Pipelines,
    PipelineVariables,
    Environments,
    Schedules,
    DynamicPipelines,
    Runners,
    OpenIdConnect,
}

const REPOSITORY: [Row<RepositorySection>; 11] = [
    (RepositorySection::General, "General", "general", Action::RepositoryUpdate),
    (RepositorySection::Permissions, "Permissions", "permissions", Action::GrantList),
    (
        RepositorySection::BranchRestrictions,
        "Branch restrictions",
        "branch-restrictions",
        Action::BranchRestrictionRead,
    ),
    (RepositorySection::AccessTokens, "Access tokens", "access-tokens", Action::AccessTokenList),
    (RepositorySection::Pipelines, "Pipelines", "pipelines", Action::PipelineConfigure),
    (
        RepositorySection::PipelineVariables,
        "Pipeline variables",
        "pipeline-variables",
        Action::PipelineVariableRead,
    ),
    // Whoever reads the repository may read these two; they stand here for who changes them.
    (RepositorySection::Environments, "Deployment environments", "environments", Action::EnvironmentSet),
    (RepositorySection::Schedules, "Schedules", "schedules", Action::PipelineScheduleSet),
    (
        RepositorySection::DynamicPipelines,
        "Dynamic pipelines",
        "dynamic-pipelines",
        Action::DynamicPipelineRead,
    ),
    (RepositorySection::Runners, "Runners", "runners", Action::RunnerRead),
    (RepositorySection::OpenIdConnect, "OpenID Connect", "openid-connect", Action::IdentityTokenRead),
];

/// A section of the instance's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceSection {
    Accounts,
    Guardrails,
    BreakGlass,
    AuditLog,
    Alerts,
    AuditSinks,
}

const INSTANCE: [Row<InstanceSection>; 6] = [
    (InstanceSection::Accounts, "Accounts", "users", Action::UserList),
    (InstanceSection::Guardrails, "Guardrails", "guardrails", Action::GuardrailRead),
    (InstanceSection::BreakGlass, "Break-glass", "break-glass", Action::BreakGlassRead),
    (InstanceSection::AuditLog, "Audit log", "audit", Action::AuditRead),
    (InstanceSection::Alerts, "Alerts", ALERTS, Action::AlertRead),
    (InstanceSection::AuditSinks, "Audit receivers", "audit/receivers", Action::AuditSinkRead),
];

/// The sections that the viewer may open, behind `base`; the one that is shown is marked.
async fn ways<S: Copy + PartialEq>(
    cx: &Cx,
    rows: &[Row<S>],
    base: &str,
    on: Named<'_>,
    here: Option<S>,
) -> Vec<Way> {
    let actions: Vec<Action> = rows.iter().map(|(_, _, _, action)| *action).collect();
    let may = may_each(cx, &actions, on).await;
    let shown = rows.iter().zip(may).filter(|((section, ..), may)| *may || Some(*section) == here);
    shown
        .map(|((section, name, part, _), _)| {
            Way::new(*name, format!("{base}/{part}")).here(Some(*section) == here)
        })
        .collect()
}

/// Notes how many alerts are open, for who may see them.
async fn count_alerts(cx: &Cx, workspace: Option<&str>, sections: &mut [Way]) {
    let Some(way) = sections.iter_mut().find(|way| way.href.ends_with(ALERTS)) else { return };
    let Ok(service) = cx.service() else { return };
    // A page is none the worse without.
    let open = service.open_alerts(&cx.caller, workspace).await.unwrap_or_default();
    way.open = u64::try_from(open).unwrap_or_default();
}

fn first(ways: Vec<Way>) -> Option<String> {
    ways.into_iter().next().map(|way| way.href)
}

fn of_workspace(workspace: &str) -> String {
    pages::address::of(&[workspace, "workspace", "settings"])
}

/// The address of a part of a workspace's settings.
pub(super) fn address(workspace: &str, part: &str) -> String {
    format!("{}/{part}", of_workspace(workspace))
}

/// The first section of a workspace's settings that the viewer may open.
pub(super) async fn entrance(cx: &Cx, workspace: &str) -> Option<String> {
    first(ways(cx, &WORKSPACE, &of_workspace(workspace), Named::Workspace(workspace), None).await)
}

/// The frame of a page of a workspace's settings.
pub(super) async fn workspace(cx: &Cx, slug: &str, title: &str, here: Section) -> Frame {
    let mut sections = ways(cx, &WORKSPACE, &of_workspace(slug), Named::Workspace(slug), Some(here)).await;
    count_alerts(cx, Some(slug), &mut sections).await;
    Frame { sections, ..workspace_frame(cx, slug, title, WorkspaceTab::Settings).await }
}

/// The slug of the workspace that the path names, which may be its id.
pub(super) async fn slug(cx: &Cx) -> Result<String> {
    let workspace = cx.service()?.workspace(&cx.caller, cx.param("workspace")).await?;
    Ok(workspace.slug.to_string())
}

/// The frame of a project's pages; `here` is none for its overview.
pub(super) async fn project_frame(
    cx: &Cx,
    workspace: &str,
    key: &str,
    title: &str,
    here: Option<ProjectSection>,
) -> Frame {
    let home = project::address(workspace, key);
    let base = format!("{home}/settings");
    let sections = ways(cx, &PROJECT, &base, Named::Project(workspace, key), here).await;
    let mut frame = Around::of(cx).frame().titled(title);
    frame.notice = break_glass::notice(cx, Named::Project(workspace, key)).await;
    frame.crumbs = vec![
        Way::new(workspace, pages::address::of(&[workspace])),
        Way::new(key, &home).here(here.is_none()),
    ];
    frame.tabs = vec![Way::new("Overview", home).here(here.is_none())];
    if let Some(way) = sections.first() {
        frame.tabs.push(Way::new("Settings", &way.href).here(here.is_some()));
    }
    if here.is_some() {
        frame.sections = sections;
    }
    frame
}

/// The frame of a page of a project's settings.
pub(super) async fn project(cx: &Cx, workspace: &str, key: &str, title: &str, here: ProjectSection) -> Frame {
    project_frame(cx, workspace, key, title, Some(here)).await
}

fn of_repository(located: &Located) -> String {
    let (workspace, slug) = (located.workspace.slug.as_str(), located.repository.slug.as_str());
    pages::address::of(&[workspace, slug, "settings"])
}

/// The address of a part of a repository's settings.
pub(super) fn repository_address(located: &Located, part: &str) -> String {
    format!("{}/{part}", of_repository(located))
}

/// The first section of a repository's settings that the viewer may open.
pub(super) async fn repository_entrance(cx: &Cx, located: &Located) -> Option<String> {
    first(ways(cx, &REPOSITORY, &of_repository(located), Named::Repository(by_id(located)), None).await)
}

/// The frame of a page of a repository's settings.
pub(super) async fn repository(cx: &Cx, located: &Located, title: &str, here: RepositorySection) -> Frame {
    let on = Named::Repository(by_id(located));
    let sections = ways(cx, &REPOSITORY, &of_repository(located), on, Some(here)).await;
    Frame { sections, ..repository_frame(cx, located, title, RepositoryTab::Settings).await }
}

/// The first section of the instance's settings that the viewer may open.
pub(super) async fn instance_entrance(cx: &Cx) -> Option<String> {
    first(ways(cx, &INSTANCE, "/-", Named::Instance, None).await)
}

/// The frame of a page of the instance's settings.
pub(super) async fn instance(cx: &Cx, title: &str, here: InstanceSection) -> Frame {
    let mut sections = ways(cx, &INSTANCE, "/-", Named::Instance, Some(here)).await;
    count_alerts(cx, None, &mut sections).await;
    let mut frame = Around::of(cx).frame().titled(title);
    frame.crumbs =
        sections.first().map(|way| Way::new("Instance", &way.href).here(true)).into_iter().collect();
    Frame { sections, ..frame }
}

//! The frames of settings: what a workspace and the instance have to set, as a column of sections. A section that the
//! viewer may not open is not shown.

use model::{Action, Result};
use pages::frame::{Frame, Way};
use service::Named;

use super::{WorkspaceTab, may_each, workspace_frame};
use crate::http::Cx;

/// A section of a workspace's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    AccessTokens,
    Guardrails,
    AuditLog,
}

impl Section {
    const ALL: [(Self, &'static str, &'static str, Action); 3] = [
        (Self::AccessTokens, "Access tokens", "access-tokens", Action::AccessTokenList),
        (Self::Guardrails, "Guardrails", "guardrails", Action::GuardrailRead),
        (Self::AuditLog, "Audit log", "audit", Action::AuditRead),
    ];
}

/// The address of a part of a workspace's settings.
pub(super) fn address(workspace: &str, part: &str) -> String {
    format!("{}/{part}", pages::address::of(&[workspace, "workspace", "settings"]))
}

/// The first section of a workspace's settings that the viewer may open.
pub(super) async fn entrance(cx: &Cx, workspace: &str) -> Option<String> {
    let may = may_each(cx, &Section::ALL.map(|(_, _, _, action)| action), Named::Workspace(workspace)).await;
    let first = Section::ALL.iter().zip(may).find(|(_, may)| *may);
    first.map(|((_, _, part, _), _)| address(workspace, part))
}

/// The frame of a page of a workspace's settings.
pub(super) async fn workspace(cx: &Cx, slug: &str, title: &str, here: Section) -> Frame {
    let mut frame = workspace_frame(cx, slug, title, WorkspaceTab::Settings).await;
    let may = may_each(cx, &Section::ALL.map(|(_, _, _, action)| action), Named::Workspace(slug)).await;
    for ((section, name, part, _), may) in Section::ALL.into_iter().zip(may) {
        if section == here || may {
            frame.sections.push(Way::new(name, address(slug, part)).here(section == here));
        }
    }
    frame
}

/// The slug of the workspace that the path names, which may be its id.
pub(super) async fn slug(cx: &Cx) -> Result<String> {
    let workspace = cx.service()?.workspace(&cx.caller, cx.param("workspace")).await?;
    Ok(workspace.slug.to_string())
}

/// A section of the instance's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceSection {
    Guardrails,
    AuditLog,
}

impl InstanceSection {
    const ALL: [(Self, &'static str, &'static str, Action); 2] = [
        (Self::Guardrails, "Guardrails", "/-/guardrails", Action::GuardrailRead),
        (Self::AuditLog, "Audit log", "/-/audit", Action::AuditRead),
    ];
}

/// The first section of the instance's settings that the viewer may open.
pub(super) async fn instance_entrance(cx: &Cx) -> Option<&'static str> {
    let may = may_each(cx, &InstanceSection::ALL.map(|(_, _, _, action)| action), Named::Instance).await;
    InstanceSection::ALL.iter().zip(may).find(|(_, may)| *may).map(|((_, _, href, _), _)| *href)
}

/// The frame of a page of the instance's settings.
pub(super) async fn instance(cx: &Cx, title: &str, here: InstanceSection) -> Frame {
    let mut frame = super::Around::of(cx).frame().titled(title);
    frame.crumbs = vec![Way::new("Instance", instance_entrance(cx).await.unwrap_or("/")).here(true)];
    let may = may_each(cx, &InstanceSection::ALL.map(|(_, _, _, action)| action), Named::Instance).await;
    for ((section, name, href, _), may) in InstanceSection::ALL.into_iter().zip(may) {
        if section == here || may {
            frame.sections.push(Way::new(name, href).here(section == here));
        }
    }
    frame
}

//! Whose audit trail a page is about, a workspace's or the whole one, and the pages around it: the log, the alerts, the
//! receivers.

use model::{Action, Result};
use pages::frame::Frame;
use service::Named;

use super::may;
use super::settings::{self, InstanceSection, Section};
use crate::http::Cx;
use crate::route::Anchor;

/// A page about the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Log,
    Alerts,
    Receivers,
}

impl Part {
    fn ending(self) -> &'static str {
        match self {
            Self::Log => "",
            Self::Alerts => "/alerts",
            Self::Receivers => "/receivers",
        }
    }
}

/// A trail.
pub(super) struct AuditTrail {
    /// The workspace's slug; none for the whole trail.
    workspace: Option<String>,
}

impl AuditTrail {
    /// The one that the row and the path name.
    pub(super) async fn of(cx: &Cx) -> Result<Self> {
        let workspace = match cx.route.on {
            Anchor::Workspace => Some(settings::slug(cx).await?),
            _ => None,
        };
        Ok(Self { workspace })
    }

    pub(super) fn workspace(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    /// Whose it is, in words.
    pub(super) fn whose(&self) -> String {
        self.workspace().map_or_else(|| "this instance".to_owned(), |slug| format!("the workspace {slug}"))
    }

    /// Where a page about it is.
    pub(super) fn address(&self, part: Part) -> String {
        let log = match self.workspace() {
            Some(slug) => settings::address(slug, "audit"),
            None => "/-/audit".to_owned(),
        };
        log + part.ending()
    }

    /// The frame of a page about it.
    pub(super) async fn frame(&self, cx: &Cx, title: &str, part: Part) -> Frame {
        match (self.workspace(), part) {
            (Some(slug), Part::Log) => settings::workspace(cx, slug, title, Section::AuditLog).await,
            (Some(slug), Part::Alerts) => settings::workspace(cx, slug, title, Section::Alerts).await,
            (Some(slug), Part::Receivers) => settings::workspace(cx, slug, title, Section::AuditSinks).await,
            (None, Part::Log) => settings::instance(cx, title, InstanceSection::AuditLog).await,
            (None, Part::Alerts) => settings::instance(cx, title, InstanceSection::Alerts).await,
            (None, Part::Receivers) => settings::instance(cx, title, InstanceSection::AuditSinks).await,
        }
    }

    /// Where another page about it is, if the viewer may open it: then it is one of the frame's sections.
    pub(super) fn way(&self, frame: &Frame, part: Part) -> Option<String> {
        let address = self.address(part);
        frame.sections.iter().any(|way| way.href == address).then_some(address)
    }

    /// Whether the viewer may do something with it.
    pub(super) async fn may(&self, cx: &Cx, action: Action) -> bool {
        may(cx, action, self.workspace().map_or(Named::Instance, Named::Workspace)).await
    }
}

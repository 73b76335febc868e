//! Break-glass: who asked to read in a workspace as an administrator of the instance, why, and what became of it.

use askama::Template;

use crate::form::Field;
use crate::frame::{Frame, Pages};
use crate::measure::Moment;

/// A sentence about a request, with its moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What stands before its moment: `Ends`, `Given by eve,`.
    pub text: String,
    /// When; none where the sentence stands alone.
    pub at: Option<Moment>,
    /// What stands behind: `, for 2 hours`.
    pub more: String,
}

/// A button that is a form.
#[derive(Clone, Debug)]
pub struct Send {
    /// What it says.
    pub name: &'static str,
    /// The same for who hears it without the row around it.
    pub label: String,
    /// Where it goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
    /// Which request, for a form that many share; empty where the address tells.
    pub uuid: String,
}

/// One request.
#[derive(Clone, Debug)]
pub struct BreakGlassRow {
    /// The workspace's slug.
    pub workspace: String,
    /// The administrator's username.
    pub username: String,
    /// Whether that is the viewer.
    pub own: bool,
    /// Why.
    pub reason: String,
    /// `Waits`, `In force`, `Over`.
    pub state: &'static str,
    /// The badge's class in the stylesheet.
    pub class: &'static str,
    /// What became of it, the latest first.
    pub told: Vec<Told>,
    /// What it opens for the viewer, while it does.
    pub opens: Option<String>,
    /// Whether it ever was in force.
    pub given: bool,
    /// Where its accesses are told; none to who may not read them.
    pub audit: Option<String>,
    /// What the viewer may do with it.
    pub buttons: Vec<Send>,
}

/// All requests, for those who run the instance.
#[derive(Clone, Debug, Template)]
#[template(path = "break_glass.html")]
pub struct BreakGlassPage {
    /// What is around it.
    pub frame: Frame,
    /// What is wrong, apart from the fields.
    pub error: String,
    /// The requests, the newest first.
    pub rows: Vec<BreakGlassRow>,
    /// What leads on.
    pub pages: Pages,
    /// Workspace, reason, hours; none where the viewer asks for none.
    pub fields: Vec<Field>,
    /// Where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// The requests of one workspace, for its owners.
#[derive(Clone, Debug, Template)]
#[template(path = "workspace_break_glass.html")]
pub struct WorkspaceBreakGlassPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace's slug.
    pub workspace: String,
    /// What is wrong.
    pub error: String,
    /// The requests, the newest first.
    pub rows: Vec<BreakGlassRow>,
    /// What leads on.
    pub pages: Pages,
}

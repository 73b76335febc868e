//! What I can access, and why.

use askama::Template;

use crate::frame::{Frame, Pages};
use crate::measure::Moment;

/// A workspace, project or repository.
#[derive(Clone, Debug)]
pub struct ReachRow {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub href: String,
    /// What I may do with it, at most.
    pub level: &'static str,
    /// By which paths, each in sentences.
    pub paths: Vec<String>,
    /// When the path by break-glass ends, where there is one.
    pub until: Option<Moment>,
}

/// Everything of one kind.
#[derive(Clone, Debug)]
pub struct ReachGroup {
    /// `Workspaces`, `Projects`, `Repositories`.
    pub heading: &'static str,
    /// `Workspace`, `Project`, `Repository`.
    pub one: &'static str,
    /// The rows, by name.
    pub rows: Vec<ReachRow>,
}

/// All that an account reaches.
#[derive(Clone, Debug, Template)]
#[template(path = "own_access.html")]
pub struct OwnAccessPage {
    /// What is around it.
    pub frame: Frame,
    /// By kind.
    pub groups: Vec<ReachGroup>,
    /// What leads on among the repositories.
    pub pages: Pages,
}

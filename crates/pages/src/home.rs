//! The first page: the workspaces one belongs to and the repositories one may read; and the search over them.

use askama::Template;

use crate::frame::{Frame, Pages};
use crate::repository::RepositoryRow;

/// A workspace in a list.
#[derive(Clone, Debug)]
pub struct WorkspaceRow {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Its slug.
    pub slug: String,
    /// What one is in it.
    pub role: String,
}

/// The first page.
#[derive(Clone, Debug, Template)]
#[template(path = "home.html")]
pub struct HomePage {
    /// What is around it.
    pub frame: Frame,
    /// The workspaces one belongs to; none for who is not signed in.
    pub workspaces: Option<Vec<WorkspaceRow>>,
    /// Where a workspace is made; none for whoever may not.
    pub new_workspace: Option<&'static str>,
    /// Where the instance is set up; none for whoever may not.
    pub instance: Option<String>,
    /// The repositories one may read.
    pub repositories: Vec<RepositoryRow>,
    /// What leads on.
    pub pages: Pages,
}

/// Repositories found by name.
#[derive(Clone, Debug, Template)]
#[template(path = "search.html")]
pub struct SearchPage {
    /// What is around it.
    pub frame: Frame,
    /// What was looked for.
    pub query: String,
    /// What was found.
    pub repositories: Vec<RepositoryRow>,
    /// What leads on.
    pub pages: Pages,
}

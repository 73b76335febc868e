//! A workspace: its repositories and projects.

use askama::Template;

use crate::frame::{Frame, Pages};
use crate::repository::RepositoryRow;

/// A project in a list.
#[derive(Clone, Debug)]
pub struct ProjectRow {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// Whether it is private.
    pub private: bool,
}

/// A workspace.
#[derive(Clone, Debug, Template)]
#[template(path = "workspace.html")]
pub struct WorkspacePage {
    /// What is around it.
    pub frame: Frame,
    /// Its name.
    pub name: String,
    /// The repositories in it that one may read.
    pub repositories: Vec<RepositoryRow>,
    /// What leads on among them.
    pub pages: Pages,
    /// The projects in it that one may see.
    pub projects: Vec<ProjectRow>,
    /// Where a repository is made; none for whoever is no member.
    pub new_repository: Option<String>,
    /// Where a project is made; none for whoever may not.
    pub new_project: Option<String>,
    /// What makes a repository.
    pub create_command: String,
}

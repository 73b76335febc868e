//! A project: its repositories.

use askama::Template;

use crate::frame::{Frame, Pages};
use crate::repository::RepositoryRow;

/// A project.
#[derive(Clone, Debug, Template)]
#[template(path = "project.html")]
pub struct ProjectPage {
    /// What is around it.
    pub frame: Frame,
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// Whether it is private.
    pub private: bool,
    /// What it is for.
    pub description: String,
    /// The repositories in it that one may read.
    pub repositories: Vec<RepositoryRow>,
    /// Where a repository is made in it; none for whoever may not.
    pub new_repository: Option<String>,
    /// What leads on.
    pub pages: Pages,
}

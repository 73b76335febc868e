//! A repository: how to clone it, what lies in it, what it says of itself.

use askama::Template;

use crate::Markup;
use crate::commit::CommitLine;
use crate::frame::{Frame, Pages};
use crate::measure::Moment;
use crate::source::EntryRow;

/// A repository in a list.
#[derive(Clone, Debug)]
pub struct RepositoryRow {
    /// Its page.
    pub href: String,
    /// Its name, with its workspace where the list has several.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its project's name.
    pub project: String,
    /// Its project's page.
    pub project_href: String,
    /// Whether it is private.
    pub private: bool,
    /// When it was last changed.
    pub updated: Moment,
}

/// What the pages of a repository say of it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is private.
    pub private: bool,
}

/// What a repository says of itself.
#[derive(Clone, Debug)]
pub struct Readme {
    /// The file's name.
    pub name: String,
    /// The file's page.
    pub href: String,
    /// The text, where it is Markdown and short enough.
    pub html: Markup,
    /// The text as it is, otherwise.
    pub text: String,
}

/// A repository.
#[derive(Clone, Debug, Template)]
#[template(path = "repository.html")]
pub struct RepositoryPage {
    /// What is around it.
    pub frame: Frame,
    /// What is said of it.
    pub head: Head,
    /// Where it is cloned from.
    pub clone: String,
    /// The main branch.
    pub branch: String,
    /// The page with all branches.
    pub branches_href: String,
    /// The last commit; none where there is none.
    pub commit: Option<CommitLine>,
    /// The directory above: none, this is the root.
    pub parent: Option<String>,
    /// What lies at the root.
    pub entries: Vec<EntryRow>,
    /// What leads on among them.
    pub pages: Pages,
    /// What it says of itself.
    pub readme: Option<Readme>,
}

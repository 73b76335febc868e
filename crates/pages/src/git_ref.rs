//! Branches and tags.

use askama::Template;

use crate::commit::CommitLine;
use crate::frame::{Frame, Pages};

/// A branch or tag in a list.
#[derive(Clone, Debug)]
pub struct RefRow {
    /// Its name.
    pub name: String,
    /// The files there.
    pub href: String,
    /// The commits that it leads to.
    pub history: String,
    /// Whether it is the main branch.
    pub main: bool,
    /// Whether a branch restriction is about it.
    pub protected: bool,
    /// The last commit.
    pub commit: CommitLine,
}

/// Branches, or tags.
#[derive(Clone, Debug, Template)]
#[template(path = "refs.html")]
pub struct RefsPage {
    /// What is around it.
    pub frame: Frame,
    /// `Branches` or `Tags`.
    pub heading: &'static str,
    /// What would be here.
    pub empty_text: &'static str,
    /// What makes the first one.
    pub empty_command: &'static str,
    /// The refs.
    pub refs: Vec<RefRow>,
    /// What leads on.
    pub pages: Pages,
}

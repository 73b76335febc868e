//! Directories and files at a revision.

use askama::Template;

use crate::code::Content;
use crate::frame::{Frame, Pages, Way};
use crate::repository::Head;

/// What lies in a directory.
#[derive(Clone, Debug)]
pub struct EntryRow {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub directory: bool,
    /// Its size, where it has one.
    pub size: String,
    /// What is special about it: `link`, `executable`, `submodule`.
    pub remark: String,
}

/// A directory.
#[derive(Clone, Debug, Template)]
#[template(path = "tree.html")]
pub struct TreePage {
    /// What is around it.
    pub frame: Frame,
    /// What is said of the repository.
    pub head: Head,
    /// The way from the root.
    pub trail: Vec<Way>,
    /// The path.
    pub path: String,
    /// The revision, as it was asked for.
    pub revision: String,
    /// The same by the commit's name, where the revision is another.
    pub permalink: Option<String>,
    /// The commits that touched it.
    pub history: String,
    /// The directory above.
    pub parent: Option<String>,
    /// What lies in it.
    pub entries: Vec<EntryRow>,
    /// What leads on.
    pub pages: Pages,
}

/// A file.
#[derive(Clone, Debug, Template)]
#[template(path = "file.html")]
pub struct FilePage {
    /// What is around it.
    pub frame: Frame,
    /// What is said of the repository.
    pub head: Head,
    /// The way from the root.
    pub trail: Vec<Way>,
    /// The path.
    pub path: String,
    /// The revision, as it was asked for.
    pub revision: String,
    /// The same by the commit's name, where the revision is another.
    pub permalink: Option<String>,
    /// The commits that touched it.
    pub history: String,
    /// Its size.
    pub size: String,
    /// What is special about it.
    pub remark: String,
    /// The file itself.
    pub raw: String,
    /// What is shown of it.
    pub content: Content,
}

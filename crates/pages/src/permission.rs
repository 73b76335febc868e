//! Who may do what with a project or a repository, and why.

use askama::Template;

use crate::form::Field;
use crate::frame::{Frame, Pages};

/// A grant on the resource itself.
#[derive(Clone, Debug)]
pub struct GrantRow {
    /// `user` or `group`.
    pub kind: &'static str,
    /// The username or the group's slug: what is sent.
    pub name: String,
    /// The name that people read.
    pub display_name: String,
    /// The level's word.
    pub level: String,
}

/// Somebody who gets in.
#[derive(Clone, Debug)]
pub struct PersonRow {
    /// The username.
    pub username: String,
    /// The name that people read.
    pub display_name: String,
    /// At most what.
    pub level: String,
    /// Why, in words, the nearest way first.
    pub paths: Vec<String>,
}

/// The permissions.
#[derive(Clone, Debug, Template)]
#[template(path = "permissions.html")]
pub struct PermissionsPage {
    /// What is around it.
    pub frame: Frame,
    /// On what, in words: `the repository acme/one`.
    pub on: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The grants on it.
    pub grants: Vec<GrantRow>,
    /// Whether there are more grants than are shown.
    pub more_grants: bool,
    /// The levels that there are: the word, and what it lets its holder do.
    pub levels: Vec<(String, String)>,
    /// The form that grants.
    pub fields: Vec<Field>,
    /// Everybody who gets in.
    pub people: Vec<PersonRow>,
    /// What leads on among them.
    pub pages: Pages,
    /// Where the forms go.
    pub action: String,
    /// Proves that the forms were made for this session.
    pub form_token: String,
}

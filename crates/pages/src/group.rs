//! The groups of a workspace.

use askama::Template;

use crate::form::Field;
use crate::frame::Frame;

/// A group in the list.
#[derive(Clone, Debug)]
pub struct GroupRow {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Its slug.
    pub slug: String,
    /// How many are in it.
    pub members: usize,
    /// Its level on the workspace in words; empty where it has none.
    pub role: &'static str,
}

/// The groups.
#[derive(Clone, Debug, Template)]
#[template(path = "groups.html")]
pub struct GroupsPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace's slug.
    pub workspace: String,
    /// The groups, by slug.
    pub groups: Vec<GroupRow>,
    /// Whether the viewer may make one.
    pub may_create: bool,
    /// The new group's name.
    pub field: Field,
    /// Where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

/// Somebody in a group.
#[derive(Clone, Debug)]
pub struct GroupMember {
    /// The username.
    pub username: String,
    /// The name that people read.
    pub display_name: String,
}

/// One group.
#[derive(Clone, Debug, Template)]
#[template(path = "group.html")]
pub struct GroupPage {
    /// What is around it.
    pub frame: Frame,
    /// The group's name.
    pub name: String,
    /// Its slug.
    pub slug: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// Those in it, by username.
    pub members: Vec<GroupMember>,
    /// Whether the viewer may change it.
    pub may_change: bool,
    /// The name of whoever is added.
    pub add: Field,
    /// Its name and its levels.
    pub settings: Vec<Field>,
    /// The name that is typed to delete it.
    pub delete: Field,
    /// Where the forms go.
    pub action: String,
    /// The list.
    pub list: String,
    /// Proves that the forms were made for this session.
    pub form_token: String,
}

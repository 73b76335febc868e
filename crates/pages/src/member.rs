//! The members of a workspace.

use askama::Template;

use crate::form::Field;
use crate::frame::{Frame, Pages};
use crate::measure::Moment;

/// A level on a workspace: the word that is sent, and what readers see.
pub const LEVELS: [(&str, &str); 3] =
    [("member", "Member"), ("create-project", "Member who may create projects"), ("owner", "Owner")];

/// A member in the list.
#[derive(Clone, Debug)]
pub struct MemberRow {
    /// The username.
    pub username: String,
    /// The name that people read.
    pub display_name: String,
    /// The level's word.
    pub level: String,
    /// The level in words.
    pub role: &'static str,
    /// Whether the account is switched off.
    pub inactive: bool,
    /// Whether they have a second step; none where the viewer is not told.
    pub second_step: Option<bool>,
    /// The day on which they last did something here; none where they never did.
    pub last_active: Option<Moment>,
    /// Where they are removed.
    pub remove: String,
    /// Whether it is the viewer.
    pub this: bool,
}

/// The members.
#[derive(Clone, Debug, Template)]
#[template(path = "members.html")]
pub struct MembersPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace's slug.
    pub workspace: String,
    /// What is wrong with what was sent, apart from the fields.
    pub error: String,
    /// The members, by username.
    pub members: Vec<MemberRow>,
    /// What leads on.
    pub pages: Pages,
    /// Whether the viewer may change them.
    pub may_change: bool,
    /// The form that adds one.
    pub fields: Vec<Field>,
    /// Where the forms go.
    pub action: String,
    /// Proves that the forms were made for this session.
    pub form_token: String,
}

/// Whether somebody shall really be removed.
#[derive(Clone, Debug, Template)]
#[template(path = "member_remove.html")]
pub struct RemoveMemberPage {
    /// What is around it.
    pub frame: Frame,
    /// The workspace's slug.
    pub workspace: String,
    /// The username.
    pub username: String,
    /// The name that people read.
    pub display_name: String,
    /// What is wrong.
    pub error: String,
    /// The list.
    pub list: String,
    /// Where the form goes.
    pub action: String,
    /// Proves that the form was made for this session.
    pub form_token: String,
}

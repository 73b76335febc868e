//! Groups with a level on a whole workspace.

use model::{Group, WorkspacePermission};
use schemars::JsonSchema;
use serde::Serialize;

/// A group whose members have a level on the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "member_group")]
pub struct MemberGroup {
    /// The group's name in addresses.
    pub slug: String,
    /// The name that people read.
    pub name: String,
    /// `member`, `create-project` or `owner`.
    pub permission: &'static str,
}

impl MemberGroup {
    /// From a group and its level.
    #[must_use]
    pub fn new(group: &Group, permission: WorkspacePermission) -> Self {
        Self { slug: group.slug.to_string(), name: group.name.to_string(), permission: permission.as_str() }
    }
}

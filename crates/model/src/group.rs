//! A group: users of a workspace who are granted things together.

use crate::{DisplayName, GroupId, GroupSlug, RepositoryPermission, Timestamp, WorkspaceId};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Where it lives.
    pub workspace: WorkspaceId,
    /// Its slug, unique in the workspace.
    pub slug: GroupSlug,
    /// The name that people read.
    pub name: DisplayName,
    /// Whether new repositories grant it `default_permission` by themselves.
    pub auto_add: bool,
    /// What new repositories grant it.
    pub default_permission: Option<RepositoryPermission>,
    /// Kept for clients that send it.
    pub email_forwarding_disabled: bool,
    /// When it was made.
    pub created_on: Timestamp,
}

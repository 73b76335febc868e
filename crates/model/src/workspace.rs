//! A workspace: the home of projects, groups and members, and the outermost name in a clone URL.

use crate::{DisplayName, Timestamp, WorkspaceId, WorkspacePermission, WorkspaceSlug};

/// A workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The first part of its clone URLs.
    pub slug: WorkspaceSlug,
    /// The name that people read.
    pub name: DisplayName,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub updated_on: Timestamp,
}

/// A user's membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: crate::user::User,
    /// As what.
    pub permission: WorkspacePermission,
    /// Since when.
    pub granted_on: Timestamp,
}
